using System;
using System.Collections.Generic;

namespace Companion.Core
{
    /// <summary>
    /// Turns the signals of one copy into its reward: the sum of weight x term. Every term is measured at every step, also
    /// at weight 0; what constraints cost is measured beside it and is no part of it.
    /// </summary>
    public sealed class RewardEngine
    {
        private readonly Term[] _terms;
        private readonly Term[] _constraints;
        private readonly double[] _weights;
        private readonly double[] _perStep;
        private readonly Parameter[] _parameters;
        private readonly string[] _parameterNames;

        /// <param name="data">What knows the signals of every term.</param>
        /// <param name="task">What is measured.</param>
        /// <param name="recipe">What is rewarded.</param>
        /// <param name="discount">The learner's own, else potentials change what is learned; in (0, 1].</param>
        public RewardEngine(CompanionData data, TaskData task, Recipe recipe, double discount)
        {
            if (!(discount > 0.0 && discount <= 1.0))
            {
                throw new ArgumentException($"discount={discount} must be in (0, 1]");
            }
            _terms = MakeTerms(data, task, recipe.Terms, discount);
            _constraints = MakeTerms(data, task, recipe.Constraints, discount);
            _weights = new double[_terms.Length];
            _perStep = new double[_terms.Length];
            for (int index = 0; index < _terms.Length; index++)
            {
                _weights[index] = recipe.Terms[index].Weight;
                _perStep[index] = recipe.Terms[index].Kind == TermKind.Rate ? task.ControlPeriodS : 1.0;
            }
            Names = Array.ConvertAll(_terms, term => term.Data.Name);
            ConstraintNames = Array.ConvertAll(_constraints, term => term.Data.Name);
            Raw = new float[_terms.Length];
            Weighted = new float[_terms.Length];
            Cost = new float[_constraints.Length];
            _parameters = MakeParameters();
            _parameterNames = Array.ConvertAll(_parameters, one => one.Name);
        }

        public IReadOnlyList<string> Names { get; }

        public IReadOnlyList<string> ConstraintNames { get; }

        /// <summary><c>reward/&lt;term&gt;/weight</c>, which constraints lack, and <c>reward/&lt;term&gt;/&lt;setting&gt;</c>.</summary>
        public IReadOnlyList<string> ParameterNames => _parameterNames;

        /// <summary>What each term measured on the last step; a terminal term only at a true end, a potential its change.</summary>
        public float[] Raw { get; }

        /// <summary>What each term added to the last step's reward.</summary>
        public float[] Weighted { get; }

        /// <summary>What each constraint measured on the last step.</summary>
        public float[] Cost { get; }

        internal TermData ConstraintData(int index) => _constraints[index].Data;

        /// <summary>Take the signals as an episode's first.</summary>
        public void Start(double[] signals)
        {
            foreach (Term term in _terms)
            {
                term.Start(signals);
            }
        }

        /// <summary>The reward of a decision, from the true signals after it.</summary>
        /// <exception cref="InvalidOperationException">If a term is not finite; names it.</exception>
        public float Step(double[] signals, bool terminated)
        {
            double total = 0.0;
            for (int index = 0; index < _terms.Length; index++)
            {
                Raw[index] = _terms[index].Count(signals, terminated);
                Weighted[index] = (float)(Raw[index] * (_weights[index] * _perStep[index]));
                total += Weighted[index];
            }
            for (int index = 0; index < _constraints.Length; index++)
            {
                Cost[index] = _constraints[index].Count(signals, terminated);
            }
            return (float)total;
        }

        /// <summary>The present value of one of <see cref="ParameterNames"/>.</summary>
        public double GetParameter(int index)
        {
            Parameter parameter = _parameters[index];
            return parameter.Setting < 0 ? _weights[parameter.Weight] : parameter.Term.Settings[parameter.Setting];
        }

        /// <summary>Change a weight or a setting from the next step on.</summary>
        /// <exception cref="ArgumentException">If the value is not finite.</exception>
        public void SetParameter(int index, double value)
        {
            Parameter parameter = _parameters[index];
            if (double.IsNaN(value) || double.IsInfinity(value))
            {
                throw new ArgumentException($"{parameter.Name}={value} is not a finite number");
            }
            if (parameter.Setting < 0)
            {
                _weights[parameter.Weight] = value;
            }
            else
            {
                parameter.Term.SetSetting(parameter.Setting, value);
            }
        }

        /// <summary>Change a weight or a setting from the next step on.</summary>
        /// <exception cref="ArgumentException">If there is none of that name, listing the choices, or the value is not finite.</exception>
        public void SetParameter(string name, double value)
        {
            int index = Array.IndexOf(_parameterNames, name);
            if (index < 0)
            {
                throw new ArgumentException($"no reward parameter '{name}'; choose from {string.Join(", ", _parameterNames)}");
            }
            SetParameter(index, value);
        }

        private static Term[] MakeTerms(CompanionData data, TaskData task, IReadOnlyList<TermData> terms, double discount)
        {
            var made = new Term[terms.Count];
            for (int index = 0; index < made.Length; index++)
            {
                JsonValue signals = data.Terms[terms[index].Function]["signals"];
                Slice[] at = Words.List(signals, name => task.Signals.Where(name.Text));
                made[index] = new Term(terms[index], at, discount);
            }
            return made;
        }

        private Parameter[] MakeParameters()
        {
            var made = new List<Parameter>();
            for (int index = 0; index < _terms.Length; index++)
            {
                made.Add(new Parameter($"reward/{_terms[index].Data.Name}/weight", _terms[index], index, -1));
                AddSettings(_terms[index], made);
            }
            foreach (Term constraint in _constraints)
            {
                AddSettings(constraint, made);
            }
            return made.ToArray();
        }

        private static void AddSettings(Term term, List<Parameter> made)
        {
            for (int setting = 0; setting < term.Settings.Length; setting++)
            {
                made.Add(new Parameter($"reward/{term.Data.Name}/{term.Data.SettingNames[setting]}", term, -1, setting));
            }
        }

        /// <summary>One number that may be changed from outside: a weight, or a setting of a term.</summary>
        private sealed class Parameter
        {
            public readonly string Name;
            public readonly Term Term;
            public readonly int Weight;
            public readonly int Setting;

            public Parameter(string name, Term term, int weight, int setting)
            {
                Name = name;
                Term = term;
                Weight = weight;
                Setting = setting;
            }
        }

        /// <summary>One term at work: its formula, its settings now, and the last step's potential if it is one.</summary>
        private sealed class Term
        {
            public readonly TermData Data;
            public readonly double[] Settings;

            private readonly TermFunction _function;
            private readonly Slice[] _at;
            private readonly double _discount;
            private readonly double[] _ones;
            private double _potential = double.NaN;

            public Term(TermData data, Slice[] at, double discount)
            {
                Data = data;
                Settings = (double[])data.Settings.Clone();
                _function = RewardTerms.Find(data.Function);
                _at = at;
                _discount = discount;
                int end = 0;
                foreach (Slice slice in at)
                {
                    end = Math.Max(end, slice.Start + slice.Size);
                }
                _ones = new double[end];
                Array.Fill(_ones, 1.0);
            }

            public void SetSetting(int index, double value)
            {
                double before = Settings[index];
                Settings[index] = value;
                try
                {
                    _function(_ones, _at, Settings);
                }
                catch (ArgumentException)
                {
                    Settings[index] = before;
                    throw;
                }
            }

            public void Start(double[] signals)
            {
                if (Data.Kind == TermKind.Potential)
                {
                    _potential = _function(signals, _at, Settings);
                }
            }

            /// <summary>What it counts on this step, before its weight.</summary>
            public float Count(double[] signals, bool terminated)
            {
                double value = _function(signals, _at, Settings);
                if (Data.Kind == TermKind.Terminal)
                {
                    value = terminated ? value : 0.0;
                }
                else if (Data.Kind == TermKind.Potential)
                {
                    // Discount x the new potential, less the old; leaves the best policy as it is (Ng et al. 1999).
                    double gained = _discount * (terminated ? 0.0 : value) - _potential;
                    _potential = value;
                    value = gained;
                }
                if (double.IsNaN(value) || double.IsInfinity(value))
                {
                    throw new InvalidOperationException(
                        $"reward term '{Data.Name}' is {value} (is a signal not finite, or was no episode started?)");
                }
                return (float)value;
            }
        }
    }
}
