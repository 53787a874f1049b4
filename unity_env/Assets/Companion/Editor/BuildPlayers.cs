using System.IO;
using UnityEditor;
using UnityEditor.Build.Reporting;
using UnityEditor.SceneManagement;
using UnityEngine;

namespace Companion.Editor
{
    /// <summary>
    /// Builds players that <c>companion train --world unity --env FILE</c> starts. Each build is a menu and, in batch mode, a
    /// method for <c>-executeMethod</c>; <c>-companionOutput FILE</c> says where to, docs/unity.md has the whole lines.
    /// </summary>
    public static class BuildPlayers
    {
        private const string OutputFlag = "-companionOutput";
        private const string Menu = "Companion/Build/";

        [MenuItem(Menu + "Linux server (headless)")]
        public static void LinuxServer() =>
            Build("linux-server/companion.x86_64", BuildTarget.StandaloneLinux64, StandaloneBuildSubtarget.Server);

        [MenuItem(Menu + "Linux player")]
        public static void LinuxPlayer() =>
            Build("linux/companion.x86_64", BuildTarget.StandaloneLinux64, StandaloneBuildSubtarget.Player);

        [MenuItem(Menu + "Windows player")]
        public static void WindowsPlayer() =>
            Build("windows/companion.exe", BuildTarget.StandaloneWindows64, StandaloneBuildSubtarget.Player);

        [MenuItem(Menu + "macOS player")]
        public static void MacPlayer() =>
            Build("macos/companion.app", BuildTarget.StandaloneOSX, StandaloneBuildSubtarget.Player);

        private static void Build(string file, BuildTarget target, StandaloneBuildSubtarget subtarget)
        {
            if (!Application.isBatchMode && !EditorSceneManager.SaveCurrentModifiedScenesIfUserWantsTo())
            {
                return;
            }
            string output = CommandLine.Value(OutputFlag, Path.Combine("Build", file));
            // Without it a player waits for nobody while its window is in the background.
            PlayerSettings.runInBackground = true;
            BuildReport report = BuildPipeline.BuildPlayer(new BuildPlayerOptions
            {
                scenes = new[] { CompanionScene.Write() },
                locationPathName = output,
                target = target,
                subtarget = (int)subtarget,
                options = BuildOptions.StrictMode,
            });
            Report(report, output);
        }

        private static void Report(BuildReport report, string output)
        {
            bool isBuilt = report.summary.result == BuildResult.Succeeded;
            if (isBuilt)
            {
                Debug.Log($"companion: built {Path.GetFullPath(output)}");
            }
            else
            {
                Debug.LogError($"companion: {output} was not built ({report.summary.totalErrors} errors, see above)");
            }
            if (Application.isBatchMode)
            {
                EditorApplication.Exit(isBuilt ? 0 : 1);
            }
            else if (isBuilt)
            {
                EditorUtility.RevealInFinder(output);
            }
        }
    }
}
