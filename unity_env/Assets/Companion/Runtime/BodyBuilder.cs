using System;
using System.Collections.Generic;
using Companion.Core;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>Builds the bodies that Python describes: their shapes as they are drawn, their hulls as colliders.</summary>
    public sealed class BodyBuilder
    {
        /// <summary>PhysX reports a touch when two shapes are nearer than the sum of their offsets, m.</summary>
        public const float ContactOffsetM = 0.001f;
        private const float PlaneMeshSideM = 10f;

        /// <summary>PhysX has no plane; a slab with its top there is one to all that comes from above.</summary>
        private const float PlaneThicknessM = 0.5f;

        private readonly PrimitiveShapes _shapes;

        public BodyBuilder(PrimitiveShapes shapes) => _shapes = shapes;

        /// <summary>A collider that was built, and what MuJoCo lets it touch.</summary>
        public readonly struct Hull
        {
            public readonly Collider Collider;
            public readonly GeomData Geom;

            public Hull(Collider collider, GeomData geom)
            {
                Collider = collider;
                Geom = geom;
            }

            /// <summary>Whether physics knows it now.</summary>
            public bool IsAwake => Collider.enabled && Collider.gameObject.activeInHierarchy;
        }

        /// <summary>One body with its shapes, below its parent; its hulls are added to a list.</summary>
        public Transform Build(BodyData body, Transform parent, ICollection<Hull> hulls)
        {
            var built = new GameObject(body.Name);
            built.transform.SetParent(parent, false);
            built.transform.SetLocalPositionAndRotation(
                Frames.ToUnity(body.Position), Frames.RotationToUnity(body.Rotation));
            AddShapes(body, built.transform, hulls);
            return built.transform;
        }

        /// <summary>A body's shapes alone, on an object that is there.</summary>
        public void AddShapes(BodyData body, Transform owner, ICollection<Hull> hulls)
        {
            foreach (GeomData geom in body.Geoms)
            {
                var shape = new GameObject(geom.Name.Length > 0 ? geom.Name : geom.Kind.ToString());
                shape.transform.SetParent(owner, false);
                shape.transform.SetLocalPositionAndRotation(
                    Frames.ToUnity(geom.Position), Frames.RotationToUnity(geom.Rotation));
                if (geom.IsDrawn)
                {
                    Draw(geom, shape.transform);
                }
                if (!geom.IsVisual)
                {
                    Collider hull = AddCollider(geom, shape);
                    hull.contactOffset = ContactOffsetM;
                    hulls.Add(new Hull(hull, geom));
                }
            }
        }

        /// <summary>A body whose one shape is drawn as a cube of side 1, to be scaled to what it shall be.</summary>
        public Transform BuildBlock(BodyData body, Transform parent, ICollection<Hull> hulls)
        {
            GeomData geom = body.Geoms[0];
            Transform block = _shapes.Draw(PrimitiveType.Cube, parent, Vector3.zero, Vector3.one, ColourOf(geom.Colour));
            block.name = body.Name;
            var hull = block.gameObject.AddComponent<BoxCollider>();
            hull.contactOffset = ContactOffsetM;
            hulls.Add(new Hull(hull, geom));
            return block;
        }

        /// <summary>Lets only those touch that do in MuJoCo; call it whenever one has woken, for PhysX forgets those asleep.</summary>
        public static void IgnoreWhatNeverMeets(IReadOnlyList<Hull> hulls)
        {
            for (int one = 0; one < hulls.Count; one++)
            {
                for (int other = 0; other < one; other++)
                {
                    bool isAwake = hulls[one].IsAwake && hulls[other].IsAwake;
                    if (isAwake && !hulls[one].Geom.Meets(hulls[other].Geom))
                    {
                        Physics.IgnoreCollision(hulls[one].Collider, hulls[other].Collider);
                    }
                }
            }
        }

        /// <summary>A colour of red, green, blue and opacity.</summary>
        private static Color ColourOf(double[] rgba) =>
            new Color((float)rgba[0], (float)rgba[1], (float)rgba[2], (float)rgba[3]);

        private void Draw(GeomData geom, Transform owner)
        {
            double[] size = geom.Size;
            Color colour = ColourOf(geom.Colour);
            switch (geom.Kind)
            {
                case GeomKind.Box:
                    DrawScaled(PrimitiveType.Cube, Frames.SizeToUnity(2.0 * size[0], 2.0 * size[1], 2.0 * size[2]));
                    break;
                case GeomKind.Sphere:
                    DrawScaled(PrimitiveType.Sphere, 2f * (float)size[0] * Vector3.one);
                    break;
                case GeomKind.Ellipsoid:
                    DrawScaled(PrimitiveType.Sphere, Frames.SizeToUnity(2.0 * size[0], 2.0 * size[1], 2.0 * size[2]));
                    break;
                case GeomKind.Cylinder:
                    DrawScaled(PrimitiveType.Cylinder, Frames.SizeToUnity(2.0 * size[0], 2.0 * size[0], size[1]));
                    break;
                case GeomKind.Plane:
                    DrawScaled(
                        PrimitiveType.Plane,
                        Frames.SizeToUnity(2.0 * size[0], 2.0 * size[1], PlaneMeshSideM) / PlaneMeshSideM);
                    break;
                case GeomKind.Capsule:
                    DrawScaled(PrimitiveType.Cylinder, Frames.SizeToUnity(2.0 * size[0], 2.0 * size[0], size[1]));
                    Vector3 end = (float)size[1] * Vector3.up, ball = 2f * (float)size[0] * Vector3.one;
                    _shapes.Draw(PrimitiveType.Sphere, owner, end, ball, colour);
                    _shapes.Draw(PrimitiveType.Sphere, owner, -end, ball, colour);
                    break;
                default:
                    throw new ArgumentOutOfRangeException(nameof(geom), geom.Kind, "no way to draw it");
            }

            void DrawScaled(PrimitiveType kind, Vector3 scale) =>
                _shapes.Draw(kind, owner, Vector3.zero, scale, colour);
        }

        private Collider AddCollider(GeomData geom, GameObject owner)
        {
            double[] size = geom.Size;
            switch (geom.Kind)
            {
                case GeomKind.Box:
                    var box = owner.AddComponent<BoxCollider>();
                    box.size = Frames.SizeToUnity(2.0 * size[0], 2.0 * size[1], 2.0 * size[2]);
                    return box;
                case GeomKind.Plane:
                    var slab = owner.AddComponent<BoxCollider>();
                    slab.size = Frames.SizeToUnity(2.0 * size[0], 2.0 * size[1], PlaneThicknessM);
                    slab.center = PlaneThicknessM / 2f * Vector3.down;
                    return slab;
                case GeomKind.Sphere:
                    var sphere = owner.AddComponent<SphereCollider>();
                    sphere.radius = (float)size[0];
                    return sphere;
                case GeomKind.Capsule:
                    var capsule = owner.AddComponent<CapsuleCollider>();
                    capsule.radius = (float)size[0];
                    capsule.height = 2f * (float)(size[0] + size[1]);
                    return capsule;
                case GeomKind.Cylinder:
                    owner.transform.localScale = Frames.SizeToUnity(2.0 * size[0], 2.0 * size[0], size[1]);
                    var hull = owner.AddComponent<MeshCollider>();
                    hull.sharedMesh = _shapes.MeshOf(PrimitiveType.Cylinder);
                    hull.convex = true;
                    return hull;
                default:
                    throw new ArgumentOutOfRangeException(nameof(geom), geom.Kind, "no collider for it");
            }
        }
    }
}
