using System;
using System.Collections.Generic;
using System.IO;

namespace Companion.Core
{
    /// <summary>
    /// What Python says about robots, tasks and terms: the files of StreamingAssets/companion, which <c>make unity</c> writes.
    /// </summary>
    public sealed class CompanionData
    {
        private readonly Func<string, string> _read;
        private readonly JsonValue _index;
        private readonly JsonValue _shared;

        /// <summary>The data behind a reader.</summary>
        /// <param name="read">Gives the text of a file by its name, such as <c>tasks/mobile_goto.json</c>.</param>
        public CompanionData(Func<string, string> read)
        {
            _read = read ?? throw new ArgumentNullException(nameof(read));
            _index = Load("index.json");
            _shared = Load("shared.json");
            Terms = Load("terms.json");
            StatisticKeys = _index["statistics"];
            TaskNames = Words.List(_index["tasks"], name => name.Text);
            TurtleBot3 = new TurtleBot3(Load("robots/turtlebot3.json"));
            Ur5e = new Ur5e(Load("robots/ur5e.json"));
            Rosbot = new Rosbot(Load("robots/rosbot.json"));
        }

        public IReadOnlyList<string> TaskNames { get; }

        public TurtleBot3 TurtleBot3 { get; }

        public Ur5e Ur5e { get; }

        public Rosbot Rosbot { get; }

        /// <summary>Of each function of <see cref="RewardTerms"/>: which signals it looks at.</summary>
        internal JsonValue Terms { get; }

        /// <summary>What the keys of an episode's statistics begin with.</summary>
        internal JsonValue StatisticKeys { get; }

        /// <summary>The data in a folder.</summary>
        public static CompanionData FromFolder(string folder)
        {
            return new CompanionData(name => File.ReadAllText(Path.Combine(folder, name)));
        }

        /// <summary>The task of that name.</summary>
        /// <exception cref="ArgumentException">If there is none; lists the choices.</exception>
        public TaskData Task(string name)
        {
            foreach (string known in TaskNames)
            {
                if (known == name)
                {
                    return new TaskData(Load($"tasks/{name}.json"));
                }
            }
            throw new ArgumentException($"no task '{name}'; choose from {string.Join(", ", TaskNames)}");
        }

        /// <summary>The numbers with UPPER_CASE names of a Python module that tasks share, such as <c>people</c>.</summary>
        public JsonValue Shared(string module) => _shared[module];

        private JsonValue Load(string name)
        {
            try
            {
                return JsonValue.Parse(_read(name));
            }
            catch (FormatException error)
            {
                throw new FormatException($"{name}: {error.Message}", error);
            }
        }
    }
}
