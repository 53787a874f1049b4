using System.IO;
using Companion.Runtime;
using UnityEditor;
using UnityEditor.SceneManagement;
using UnityEngine;

namespace Companion.Editor
{
    /// <summary>Scenes for a world that builds itself.</summary>
    public static class CompanionScene
    {
        private const string Folder = "Assets/Companion/Generated";

        /// <summary>A new scene with the settings in the Inspector; press Play.</summary>
        [MenuItem("Companion/New scene", priority = 0)]
        public static void Create()
        {
            if (!EditorSceneManager.SaveCurrentModifiedScenesIfUserWantsTo())
            {
                return;
            }
            EditorSceneManager.NewScene(NewSceneSetup.EmptyScene, NewSceneMode.Single);
            Selection.activeGameObject = new GameObject(nameof(CompanionWorld), typeof(CompanionWorld));
        }

        /// <summary>Writes the empty scene that a player is built with; its path.</summary>
        internal static string Write()
        {
            Directory.CreateDirectory(Folder);
            string path = $"{Folder}/{Bootstrap.SceneName}.unity";
            EditorSceneManager.SaveScene(
                EditorSceneManager.NewScene(NewSceneSetup.EmptyScene, NewSceneMode.Single), path);
            AssetDatabase.Refresh();
            return path;
        }
    }
}
