using UnityEngine;
using UnityEngine.SceneManagement;

namespace Companion.Runtime
{
    /// <summary>Starts a world in a scene that is meant for one and has none: a build's empty one, or a new one.</summary>
    public static class Bootstrap
    {
        /// <summary>The scene that the build scripts make.</summary>
        public const string SceneName = "Companion";

        [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.AfterSceneLoad)]
        private static void StartWorld()
        {
            string scene = SceneManager.GetActiveScene().name;
            // Not in the test runner's scenes, nor in those that people make for something else.
            bool isMeant = scene == SceneName || string.IsNullOrEmpty(scene);
            if (isMeant && !CompanionWorld.IsPresent)
            {
                new GameObject(nameof(CompanionWorld)).AddComponent<CompanionWorld>();
            }
        }
    }
}
