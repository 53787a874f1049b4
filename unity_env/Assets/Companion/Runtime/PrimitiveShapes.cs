using System.Collections.Generic;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>Unity's built-in meshes with one material per colour, for scenes that are built by code.</summary>
    /// <remarks>
    /// They come from primitives made once: unlike a shader that is looked up by name, a build can't leave them out.
    /// </remarks>
    public sealed class PrimitiveShapes
    {
        private readonly Dictionary<PrimitiveType, Mesh> _meshes = new Dictionary<PrimitiveType, Mesh>();
        private readonly Dictionary<Color, Material> _materials = new Dictionary<Color, Material>();
        private readonly Material _template;

        /// <summary>Takes the meshes from primitives that are not seen again.</summary>
        public PrimitiveShapes()
        {
            PrimitiveType[] kinds =
            {
                PrimitiveType.Cube, PrimitiveType.Sphere, PrimitiveType.Cylinder, PrimitiveType.Plane,
            };
            foreach (PrimitiveType kind in kinds)
            {
                GameObject sample = GameObject.CreatePrimitive(kind);
                sample.SetActive(false);
                _meshes[kind] = sample.GetComponent<MeshFilter>().sharedMesh;
                _template = sample.GetComponent<MeshRenderer>().sharedMaterial;
                Object.Destroy(sample);
            }
        }

        /// <summary>The mesh of a primitive: cube of side 1, sphere of diameter 1, cylinder of diameter 1, height 2.</summary>
        public Mesh MeshOf(PrimitiveType kind) => _meshes[kind];

        /// <summary>A child that is drawn and touches nothing.</summary>
        public Transform Draw(PrimitiveType kind, Transform parent, Vector3 position, Vector3 scale, Color colour)
        {
            var drawn = new GameObject(kind.ToString());
            drawn.transform.SetParent(parent, false);
            drawn.transform.localPosition = position;
            drawn.transform.localScale = scale;
            drawn.AddComponent<MeshFilter>().sharedMesh = _meshes[kind];
            drawn.AddComponent<MeshRenderer>().sharedMaterial = MaterialOf(colour);
            return drawn.transform;
        }

        private Material MaterialOf(Color colour)
        {
            if (!_materials.TryGetValue(colour, out Material material))
            {
                material = new Material(_template) { color = colour };
                _materials[colour] = material;
            }
            return material;
        }
    }
}
