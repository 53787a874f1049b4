using System;

namespace Companion.Core
{
    /// <summary>How the episode of one copy differs from the nominal world.</summary>
    public sealed class Perturbations
    {
        private readonly TaskData _task;
        private readonly double[] _values;
        private readonly double[] _fixed;

        public Perturbations(TaskData task)
        {
            _task = task;
            _values = new double[task.Perturbations.Count];
            _fixed = new double[_values.Length];
            for (int index = 0; index < _values.Length; index++)
            {
                _values[index] = task.Perturbations[index].Nominal;
                _fixed[index] = double.NaN;
            }
        }

        public int Count => _values.Length;

        /// <summary>The value of one in this episode, in its unit.</summary>
        public double this[string name] => _values[IndexOf(name)];

        public double Value(int index) => _values[index];

        /// <summary>Where one stands among the task's.</summary>
        /// <exception cref="ArgumentException">If there is none of that name; lists the choices.</exception>
        public int IndexOf(string name)
        {
            for (int index = 0; index < _values.Length; index++)
            {
                if (_task.Perturbations[index].Name == name)
                {
                    return index;
                }
            }
            string choices = string.Join(", ", Array.ConvertAll((Perturbation[])_task.Perturbations, one => one.Name));
            throw new ArgumentException($"no perturbation '{name}' in task '{_task.Name}'; choose from {choices}");
        }

        /// <summary>From the next <see cref="Draw"/> on it has this value, cut to what may be set and whole where it must be.</summary>
        public void Fix(int index, double value)
        {
            Perturbation one = _task.Perturbations[index];
            double allowed = Math.Clamp(value, one.AllowedLow, one.AllowedHigh);
            _fixed[index] = one.IsInteger ? Math.Round(allowed) : allowed;
        }

        /// <summary>From the next <see cref="Draw"/> on it is drawn from the training range again.</summary>
        public void Unfix(int index) => _fixed[index] = double.NaN;

        /// <summary>An episode starts: draw all that is not fixed.</summary>
        public void Draw(IDraws draws)
        {
            for (int index = 0; index < _values.Length; index++)
            {
                Perturbation one = _task.Perturbations[index];
                if (!double.IsNaN(_fixed[index]))
                {
                    _values[index] = _fixed[index];
                }
                else if (one.IsInteger)
                {
                    _values[index] = draws.Integer((int)one.Low, (int)one.High);
                }
                else
                {
                    _values[index] = draws.Uniform(one.Low, one.High);
                }
            }
        }
    }
}
