using System;
using System.Collections.Generic;
using System.Globalization;
using Unity.InferenceEngine;
using Unity.MLAgents.Policies;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>What is played and how; set in the Inspector, and overridden by a player's command line.</summary>
    [Serializable]
    public sealed class PlaySettings
    {
        [SerializeField]
        [Tooltip("What to play: mobile_goto, mobile_follow, mobile_ball, arm_reach, arm_handover or arm_rally.")]
        private string _task = "mobile_goto";

        [SerializeField]
        [Min(1)]
        [Tooltip("Copies of the task per training area that the trainer asks for.")]
        private int _copies = 4;

        [SerializeField]
        [Tooltip("Reward recipe of the task, such as full or sparse.")]
        private string _recipe = "full";

        [SerializeField]
        [Range(0.01f, 1f)]
        [Tooltip("The learner's discount, which potential-based reward terms need.")]
        private float _discount = 0.99f;

        [SerializeField]
        [Tooltip("Choose among the task's motions by number instead of acting continuously.")]
        private bool _discrete;

        [SerializeField]
        [Tooltip("Default asks a trainer if one is there, else the imported policy, else the keyboard.")]
        private BehaviorType _behaviorType = BehaviorType.Default;

        [SerializeField]
        [Tooltip("Of all chance; -1 takes the trainer's.")]
        private int _seed = -1;

        [SerializeField]
        [Tooltip("Policy to act with where no trainer is; if empty, the imported one of the task.")]
        private ModelAsset _model;

        private readonly Dictionary<string, double> _perturbations = new Dictionary<string, double>();

        public string Task => _task;

        public int Copies => _copies;

        public string Recipe => _recipe;

        public double Discount => _discount;

        public bool IsDiscrete => _discrete;

        public BehaviorType BehaviorType => _behaviorType;

        /// <summary>The seed, or nothing where the trainer's counts.</summary>
        public int? Seed => _seed < 0 ? (int?)null : _seed;

        /// <summary>Fixed values of perturbations, by name.</summary>
        public IReadOnlyDictionary<string, double> Perturbations => _perturbations;

        /// <summary>The policy of a behaviour, or null if none was imported.</summary>
        public ModelAsset ModelOf(string behaviorName) =>
            _model != null ? _model : Resources.Load<ModelAsset>($"Companion/{behaviorName}");

        /// <summary>
        /// Takes over `--task`, `--copies`, `--recipe`, `--discount`, `--seed`, `--actions` and `--set KEY=VALUE`, which mean
        /// what they mean to companion-player; leaves Unity's and ML-Agents' own arguments alone.
        /// </summary>
        /// <exception cref="ArgumentException">On a value that can't be; says which and why.</exception>
        public void Override(IReadOnlyList<string> words)
        {
            for (int index = 0; index + 1 < words.Count; index++)
            {
                string value = words[index + 1];
                switch (words[index])
                {
                    case "--task":
                        _task = value;
                        break;
                    case "--copies":
                        _copies = Whole("--copies", value, 1);
                        break;
                    case "--recipe":
                        _recipe = value;
                        break;
                    case "--discount":
                        _discount = (float)Number("--discount", value);
                        break;
                    case "--seed":
                        _seed = Whole("--seed", value, 0);
                        break;
                    case "--actions":
                        _discrete = Choice("--actions", value, "continuous", "discrete") == "discrete";
                        break;
                    case "--set":
                        AddPerturbation(value);
                        break;
                }
            }
        }

        private void AddPerturbation(string pair)
        {
            int equals = pair.IndexOf('=');
            if (equals < 1)
            {
                throw new ArgumentException($"--set {pair}: expected KEY=VALUE");
            }
            string name = pair.Substring(0, equals);
            _perturbations[name] = Number($"--set {name}", pair.Substring(equals + 1));
        }

        private static int Whole(string flag, string text, int least)
        {
            if (int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out int value) && value >= least)
            {
                return value;
            }
            throw new ArgumentException($"{flag} {text}: expected a whole number of at least {least}");
        }

        private static double Number(string flag, string text)
        {
            if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value))
            {
                return value;
            }
            throw new ArgumentException($"{flag} {text}: expected a number");
        }

        private static string Choice(string flag, string text, params string[] choices)
        {
            if (Array.IndexOf(choices, text) >= 0)
            {
                return text;
            }
            throw new ArgumentException($"{flag} {text}: choose from {string.Join(", ", choices)}");
        }
    }
}
