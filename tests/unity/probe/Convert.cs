// Turns a robot's ONNX file into Unity's, as the Editor's import does: `Convert ROBOT UNITY`.
using System;
using System.IO;
using Companion.Editor;

public static class Convert
{
    public static int Main(string[] words)
    {
        try
        {
            File.WriteAllBytes(words[1], UnityPolicy.FromRobots(File.ReadAllBytes(words[0])));
            return 0;
        }
        catch (FormatException refusal)
        {
            Console.Error.WriteLine(refusal.Message);
            return 2;
        }
    }
}
