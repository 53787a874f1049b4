using UnityEngine;
#if COMPANION_INPUT_SYSTEM && !ENABLE_LEGACY_INPUT_MANAGER
using UnityEngine.InputSystem;
#endif

namespace Companion.Runtime
{
    /// <summary>What a person wants: arrow keys and the space bar, with either of Unity's input systems.</summary>
    public static class ManualControl
    {
#if COMPANION_INPUT_SYSTEM && !ENABLE_LEGACY_INPUT_MANAGER
        /// <summary>1 ahead, -1 back.</summary>
        public static float Ahead => Axis(Key.UpArrow, Key.DownArrow);

        /// <summary>1 to the right, -1 to the left.</summary>
        public static float Right => Axis(Key.RightArrow, Key.LeftArrow);

        /// <summary>Whether the space bar is down.</summary>
        public static bool IsHeld => IsDown(Key.Space);

        /// <summary>Whether the key that shows the next copy is down.</summary>
        public static bool IsNextHeld => IsDown(Key.Tab);

        private static bool IsDown(Key key) => Keyboard.current != null && Keyboard.current[key].isPressed;

        private static float Axis(Key more, Key less) => (IsDown(more) ? 1f : 0f) - (IsDown(less) ? 1f : 0f);
#else
        /// <summary>1 ahead, -1 back.</summary>
        public static float Ahead => Axis(KeyCode.UpArrow, KeyCode.DownArrow);

        /// <summary>1 to the right, -1 to the left.</summary>
        public static float Right => Axis(KeyCode.RightArrow, KeyCode.LeftArrow);

        /// <summary>Whether the space bar is down.</summary>
        public static bool IsHeld => Input.GetKey(KeyCode.Space);

        /// <summary>Whether the key that shows the next copy is down.</summary>
        public static bool IsNextHeld => Input.GetKey(KeyCode.Tab);

        private static float Axis(KeyCode more, KeyCode less) =>
            (Input.GetKey(more) ? 1f : 0f) - (Input.GetKey(less) ? 1f : 0f);
#endif
    }
}
