using System;
using System.Collections.Generic;

namespace Companion.Core
{
    /// <summary>Running sums of one copy's episode, and the statistics that are told when it ends.</summary>
    public sealed class EpisodeTally
    {
        private readonly TaskData _task;
        private readonly RewardEngine _engine;
        private readonly Slice[] _measured;
        private readonly double[] _raw;
        private readonly double[] _weighted;
        private readonly double[] _metric;
        private readonly double[] _cost;
        private readonly string[] _names;
        private double _total;

        public EpisodeTally(CompanionData data, TaskData task, RewardEngine engine)
        {
            _task = task;
            _engine = engine;
            _measured = new Slice[task.Metrics.Count];
            for (int index = 0; index < _measured.Length; index++)
            {
                _measured[index] = task.Signals.Where(task.Metrics[index].Name);
            }
            _raw = new double[engine.Names.Count];
            _weighted = new double[engine.Names.Count];
            _metric = new double[task.Metrics.Count];
            _cost = new double[engine.ConstraintNames.Count];
            _names = MakeNames(data.StatisticKeys);
            Clear();
        }

        /// <summary>Decisions so far.</summary>
        public int Steps { get; private set; }

        public float TotalReward => (float)_total;

        /// <summary>The keys of ML-Agents' statistics: success, terms, raw terms, metrics, costs.</summary>
        public IReadOnlyList<string> StatisticNames => _names;

        /// <summary>An episode starts.</summary>
        public void Clear()
        {
            Steps = 0;
            _total = 0.0;
            Array.Clear(_raw, 0, _raw.Length);
            Array.Clear(_weighted, 0, _weighted.Length);
            Array.Clear(_cost, 0, _cost.Length);
            for (int index = 0; index < _metric.Length; index++)
            {
                MetricKind how = _task.Metrics[index].How;
                _metric[index] = how == MetricKind.Max ? double.NegativeInfinity
                    : how == MetricKind.Min ? double.PositiveInfinity : 0.0;
            }
        }

        /// <summary>Take in a step that the engine has just rewarded.</summary>
        /// <param name="signals">Of that step.</param>
        /// <param name="reward">What <see cref="RewardEngine.Step"/> gave.</param>
        public void Add(double[] signals, float reward)
        {
            Steps++;
            _total += reward;
            Accumulate(_raw, _engine.Raw);
            Accumulate(_weighted, _engine.Weighted);
            Accumulate(_cost, _engine.Cost);
            for (int index = 0; index < _metric.Length; index++)
            {
                _metric[index] = Taken(_metric[index], _task.Metrics[index].How, signals, _measured[index]);
            }
        }

        /// <summary>The value of one of <see cref="StatisticNames"/>, told when the episode has ended.</summary>
        public float Statistic(int index, bool succeeded)
        {
            if (index == 0)
            {
                return succeeded ? 1.0f : 0.0f;
            }
            index--;
            if (index < _weighted.Length)
            {
                return (float)_weighted[index];
            }
            index -= _weighted.Length;
            if (index < _raw.Length)
            {
                return (float)(_raw[index] / Math.Max(Steps, 1));
            }
            index -= _raw.Length;
            return index < _metric.Length ? Judged(index) : Costs(index - _metric.Length);
        }

        private string[] MakeNames(JsonValue keys)
        {
            var names = new List<string> { keys["success"].Text };
            foreach (string prefix in new[] { keys["term"].Text, keys["raw_term"].Text })
            {
                foreach (string name in _engine.Names)
                {
                    names.Add(prefix + name);
                }
            }
            foreach (Metric metric in _task.Metrics)
            {
                names.Add(keys["metric"].Text + metric.Name);
            }
            foreach (string name in _engine.ConstraintNames)
            {
                names.Add(keys["cost"].Text + name);
            }
            return names.ToArray();
        }

        private static void Accumulate(double[] sums, float[] values)
        {
            for (int index = 0; index < sums.Length; index++)
            {
                sums[index] += values[index];
            }
        }

        private static double Taken(double sum, MetricKind how, double[] signals, Slice at)
        {
            double value = signals[at.Start];
            switch (how)
            {
                case MetricKind.Last: return value;
                case MetricKind.Max: return Math.Max(sum, value);
                case MetricKind.Min: return Math.Min(sum, value);
                case MetricKind.MeanSize: return sum + MeanSize(signals, at);
                default: return sum + value;
            }
        }

        private static double MeanSize(double[] signals, Slice at)
        {
            double sum = 0.0;
            for (int index = at.Start; index < at.Start + at.Size; index++)
            {
                sum += Math.Abs(signals[index]);
            }
            return sum / at.Size;
        }

        private float Judged(int index)
        {
            MetricKind how = _task.Metrics[index].How;
            bool isMean = how == MetricKind.Mean || how == MetricKind.MeanSize;
            return (float)(_metric[index] / (isMean ? Math.Max(Steps, 1) : 1));
        }

        private float Costs(int index)
        {
            return (float)(_cost[index] / (_engine.ConstraintData(index).IsCounted ? 1 : Math.Max(Steps, 1)));
        }
    }
}
