// Meshes are names here.
namespace UnityEngine
{
    public sealed class Mesh : Object
    {
    }

    public sealed class MeshFilter : Component
    {
        public Mesh sharedMesh { get; set; }
    }
}
