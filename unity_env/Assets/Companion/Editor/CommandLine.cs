using System;

namespace Companion.Editor
{
    /// <summary>The Editor's command line in batch mode.</summary>
    internal static class CommandLine
    {
        /// <summary>What follows a flag, or a default where it is not given.</summary>
        public static string Value(string flag, string otherwise)
        {
            string[] words = Environment.GetCommandLineArgs();
            int index = Array.IndexOf(words, flag);
            return index >= 0 && index + 1 < words.Length ? words[index + 1] : otherwise;
        }
    }
}
