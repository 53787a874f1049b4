using System;
using System.Collections.Generic;
using Companion.Core;
using Unity.MLAgents;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>
    /// What the trainer sets from outside as ML-Agents environment parameters: a recipe's `reward/&lt;term&gt;/weight` and
    /// `reward/&lt;term&gt;/&lt;setting&gt;`, and the task's perturbations by their names. It counts from the next episode on.
    /// </summary>
    public sealed class EpisodeParameters
    {
        private readonly EnvironmentParameters _outside;
        private readonly RewardEngine _engine;
        private readonly Perturbations _perturbations;
        private readonly string[] _perturbationNames;
        private readonly double[] _set;
        private readonly float[] _lastReward;

        /// <param name="outside">The Academy's.</param>
        /// <param name="task">Says which perturbations there are.</param>
        /// <param name="engine">Gets weights and settings.</param>
        /// <param name="perturbations">Get values.</param>
        /// <param name="settings">Values that hold where the trainer says nothing, by perturbation.</param>
        public EpisodeParameters(
            EnvironmentParameters outside, TaskData task, RewardEngine engine, Perturbations perturbations,
            IReadOnlyDictionary<string, double> settings)
        {
            _outside = outside;
            _engine = engine;
            _perturbations = perturbations;
            _lastReward = new float[engine.ParameterNames.Count];
            _perturbationNames = new string[task.Perturbations.Count];
            _set = new double[task.Perturbations.Count];
            for (int index = 0; index < _set.Length; index++)
            {
                _perturbationNames[index] = task.Perturbations[index].Name;
                _set[index] = settings.TryGetValue(_perturbationNames[index], out double value) ? value : double.NaN;
            }
            for (int index = 0; index < _lastReward.Length; index++)
            {
                _lastReward[index] = float.NaN;
            }
        }

        /// <summary>Takes over what is set now.</summary>
        /// <returns>How many values were refused; each is logged once.</returns>
        public int Apply()
        {
            int refused = 0;
            for (int index = 0; index < _lastReward.Length; index++)
            {
                float value = _outside.GetWithDefault(_engine.ParameterNames[index], float.NaN);
                bool isNew = !float.IsNaN(value) && value != _lastReward[index];
                _lastReward[index] = value;
                if (isNew && !TrySet(index, value))
                {
                    refused++;
                }
            }
            for (int index = 0; index < _set.Length; index++)
            {
                float value = _outside.GetWithDefault(_perturbationNames[index], float.NaN);
                double wanted = float.IsNaN(value) ? _set[index] : value;
                if (double.IsNaN(wanted))
                {
                    _perturbations.Unfix(index);
                }
                else
                {
                    _perturbations.Fix(index, wanted);
                }
            }
            return refused;
        }

        /// <summary>Whether there is a parameter of that name.</summary>
        public bool Knows(string name)
        {
            foreach (string known in _engine.ParameterNames)
            {
                if (known == name)
                {
                    return true;
                }
            }
            return Array.IndexOf(_perturbationNames, name) >= 0;
        }

        private bool TrySet(int index, float value)
        {
            try
            {
                _engine.SetParameter(index, value);
                return true;
            }
            catch (ArgumentException refusal)
            {
                string name = _engine.ParameterNames[index];
                Debug.LogWarning($"environment parameter '{name}' is not taken: {refusal.Message}");
                return false;
            }
        }
    }
}
