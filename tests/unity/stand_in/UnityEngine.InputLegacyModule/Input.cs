// A keyboard that nobody touches.
namespace UnityEngine
{
    public class Input
    {
        public static float GetAxis(string axis) => 0f;
        public static bool GetKey(KeyCode key) => false;
    }
}
