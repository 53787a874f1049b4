using System;
using System.IO;
using System.Linq;
using UnityEditor;
using UnityEngine;

namespace Companion.Editor
{
    /// <summary>
    /// Takes trained policies from `exported_models/` into the project: what robots run becomes what an agent runs with
    /// Unity's Inference Engine. Agents find it by their behaviour's name; in batch mode, <c>-companionModels FOLDER</c>.
    /// </summary>
    public static class ImportPolicies
    {
        private const string SourceFlag = "-companionModels";
        private const string Folder = "Assets/Companion/Models/Resources/Companion";

        [MenuItem("Companion/Import trained policies", priority = 1)]
        public static void Import()
        {
            string source = CommandLine.Value(SourceFlag, Path.Combine(Application.dataPath, "../../exported_models"));
            bool isDone = TryImport(Path.GetFullPath(source));
            if (Application.isBatchMode)
            {
                EditorApplication.Exit(isDone ? 0 : 1);
            }
        }

        private static bool TryImport(string source)
        {
            string[] files = Directory.Exists(source) ? Directory.GetFiles(source, "*.onnx") : Array.Empty<string>();
            if (files.Length == 0)
            {
                Debug.LogError($"companion: no .onnx files in {source}; `companion export` writes them");
                return false;
            }
            Directory.CreateDirectory(Folder);
            return files.Select(TryImportFile).ToArray().All(isDone => isDone);
        }

        private static bool TryImportFile(string file)
        {
            string asset = $"{Folder}/{BehaviorName(Path.GetFileNameWithoutExtension(file))}.onnx";
            try
            {
                File.WriteAllBytes(asset, UnityPolicy.FromRobots(File.ReadAllBytes(file)));
            }
            catch (FormatException refusal)
            {
                Debug.LogError($"companion: {file}: {refusal.Message}");
                return false;
            }
            AssetDatabase.ImportAsset(asset);
            Debug.Log($"companion: {file} is now {asset}");
            return true;
        }

        /// <summary>`mobile_goto` is `MobileGoto`.</summary>
        private static string BehaviorName(string task) =>
            string.Concat(task.Split('_').Select(part => char.ToUpperInvariant(part[0]) + part.Substring(1)));
    }
}
