// The flat physics that ML-Agents' ray sensors know of; nothing flat is here to be hit.
namespace UnityEngine
{
    public class Collider2D : Component
    {
    }

    public struct RaycastHit2D
    {
        public Collider2D collider => null;
        public float fraction => 0f;
        public static implicit operator bool(RaycastHit2D hit) => false;
    }

    public static class Physics2D
    {
        public static RaycastHit2D CircleCast(Vector2 origin, float radius, Vector2 direction, float reach, int layers) =>
            default;

        public static RaycastHit2D Raycast(Vector2 origin, Vector2 direction, float reach, int layers) => default;
    }
}
