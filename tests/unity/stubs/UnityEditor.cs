// Signatures of UnityEditor that our Editor scripts use, written by hand from the manual: no package has the assembly.
// They prove that the scripts fit what is written here, and no more.
namespace UnityEditor
{
    public enum BuildTarget
    {
        StandaloneOSX = 2,
        StandaloneWindows64 = 19,
        StandaloneLinux64 = 24,
    }

    [System.Flags]
    public enum BuildOptions
    {
        None = 0,
        Development = 1,
        StrictMode = 0x200000,
    }

    public enum StandaloneBuildSubtarget
    {
        Default = 0,
        Server = 1,
        Player = 2,
    }

    public struct BuildPlayerOptions
    {
        public string[] scenes { get; set; }
        public string locationPathName { get; set; }
        public BuildTarget target { get; set; }
        public int subtarget { get; set; }
        public BuildOptions options { get; set; }
    }

    public static class BuildPipeline
    {
        public static Build.Reporting.BuildReport BuildPlayer(BuildPlayerOptions buildPlayerOptions) => throw null;
    }

    public static class AssetDatabase
    {
        public static void ImportAsset(string path) => throw null;
        public static void Refresh() => throw null;
    }

    public static class EditorApplication
    {
        public static void Exit(int returnValue) => throw null;
    }

    public static class EditorUtility
    {
        public static void RevealInFinder(string path) => throw null;
    }

    public static class PlayerSettings
    {
        public static bool runInBackground { get; set; }
    }

    public static class Selection
    {
        public static UnityEngine.GameObject activeGameObject { get; set; }
    }

    [System.AttributeUsage(System.AttributeTargets.Method, AllowMultiple = true)]
    public sealed class MenuItem : System.Attribute
    {
        public int priority;

        public MenuItem(string itemName)
        {
        }
    }
}

namespace UnityEditor.Build.Reporting
{
    public enum BuildResult
    {
        Unknown = 0,
        Succeeded = 1,
        Failed = 2,
        Cancelled = 3,
    }

    public struct BuildSummary
    {
        public BuildResult result => throw null;
        public int totalErrors => throw null;
    }

    public sealed class BuildReport : UnityEngine.Object
    {
        public BuildSummary summary => throw null;
    }
}

namespace UnityEditor.SceneManagement
{
    public enum NewSceneSetup
    {
        EmptyScene = 0,
        DefaultGameObjects = 1,
    }

    public enum NewSceneMode
    {
        Single = 0,
        Additive = 1,
    }

    public sealed class EditorSceneManager
    {
        public static UnityEngine.SceneManagement.Scene NewScene(NewSceneSetup setup, NewSceneMode mode) => throw null;
        public static bool SaveCurrentModifiedScenesIfUserWantsTo() => throw null;
        public static bool SaveScene(UnityEngine.SceneManagement.Scene scene, string dstScenePath) => throw null;
    }
}
