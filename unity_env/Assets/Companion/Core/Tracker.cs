using System;

namespace Companion.Core
{
    /// <summary>
    /// A camera that tracks moving things: it sees them late, seldom, a little wrong, and sometimes not at all. The same
    /// draws give the same tracks as python/companion/tasks/_tracker.py. Velocities come from an α-β filter over the
    /// frames (Benedict and Bordner 1962).
    /// </summary>
    public sealed class Tracker
    {
        private readonly int _things;
        private readonly int _size;
        private readonly double _smoothing;
        private readonly double _lostS;
        private readonly int _rate, _latency, _noise, _offset, _dropout;
        private readonly double[][] _history;
        private readonly double[] _offsetM;
        private readonly double[] _found;
        private double _periodS;
        private double _latencyS;
        private double _noiseM;
        private double _dropoutShare;
        private double _waitS;
        private double _elapsedS;

        /// <param name="task">Whose perturbations say how well it sees.</param>
        /// <param name="shared">The constants of Python's <c>_tracker</c>.</param>
        /// <param name="things">How many it tracks.</param>
        /// <param name="size">Coordinates of each.</param>
        public Tracker(TaskData task, JsonValue shared, int things, int size)
        {
            _things = things;
            _size = size;
            _smoothing = shared["SMOOTHING"].Number;
            _lostS = shared["LOST_S"].Number;
            var known = new Perturbations(task);
            _rate = known.IndexOf("tracker_rate_hz");
            _latency = known.IndexOf("tracker_latency_s");
            _noise = known.IndexOf("tracker_noise_m");
            _offset = known.IndexOf("tracker_offset_m");
            _dropout = known.IndexOf("tracker_dropout_share");
            double oldest = task.Perturbations[_latency].AllowedHigh + 1.0 / task.Perturbations[_rate].AllowedLow;
            _history = new double[(int)Math.Ceiling(oldest / task.ControlPeriodS) + 2][];
            for (int index = 0; index < _history.Length; index++)
            {
                _history[index] = new double[things * size];
            }
            Truth = new double[things * size];
            Position = new double[things * size];
            Velocity = new double[things * size];
            AgeS = new double[things];
            Smooth = new double[things * size];
            _found = new double[things * size];
            _offsetM = new double[size];
        }

        /// <summary>To be filled with where the things truly are, one after the other, before <see cref="Begin"/> and <see cref="See"/>.</summary>
        public double[] Truth { get; }

        /// <summary>The last finding of each thing.</summary>
        public double[] Position { get; }

        /// <summary>Filtered, per second.</summary>
        public double[] Velocity { get; }

        /// <summary>The filter's position at the moment of the last finding.</summary>
        public double[] Smooth { get; }

        /// <summary>Since the moment of the last finding, of each thing.</summary>
        public double[] AgeS { get; }

        /// <summary>An episode starts: things have stood at <see cref="Truth"/>, and all were seen.</summary>
        public void Begin(Perturbations perturbations, IDraws draws)
        {
            _periodS = 1.0 / perturbations.Value(_rate);
            _latencyS = perturbations.Value(_latency);
            _noiseM = perturbations.Value(_noise);
            _dropoutShare = perturbations.Value(_dropout);
            DrawOffset(perturbations.Value(_offset), draws);
            foreach (double[] past in _history)
            {
                Array.Copy(Truth, past, Truth.Length);
            }
            double since = _periodS * draws.Uniform(0.0, 1.0);
            _waitS = _periodS - since;
            _elapsedS = 0.0;
            for (int index = 0; index < Truth.Length; index++)
            {
                Position[index] = Truth[index] + _offsetM[index % _size] + _noiseM * draws.Normal();
                Smooth[index] = Position[index];
                Velocity[index] = 0.0;
            }
            Array.Fill(AgeS, _latencyS + since);
        }

        /// <summary>A decision's time passes.</summary>
        public void Tick(double periodS) => _elapsedS += periodS;

        /// <summary>Take in where things are now; nothing happens if no time has passed. Of several frames only the newest counts.</summary>
        public void See(IDraws draws)
        {
            if (_elapsedS <= 0.0)
            {
                return;
            }
            Remember();
            _waitS -= _elapsedS;
            bool isTold = _waitS <= 1e-9;
            _waitS += isTold ? (Math.Floor((1e-9 - _waitS) / _periodS) + 1.0) * _periodS : 0.0;
            double age = _latencyS + _periodS - _waitS;
            FindBack(age / _elapsedS);
            for (int index = 0; index < _found.Length; index++)
            {
                _found[index] += _offsetM[index % _size] + _noiseM * draws.Normal();
            }
            for (int thing = 0; thing < _things; thing++)
            {
                AgeS[thing] += _elapsedS;
                if (draws.Uniform(0.0, 1.0) >= _dropoutShare && isTold)
                {
                    Follow(thing, age);
                }
            }
            _elapsedS = 0.0;
        }

        private void DrawOffset(double offsetM, IDraws draws)
        {
            double square = 0.0;
            for (int index = 0; index < _size; index++)
            {
                _offsetM[index] = draws.Normal();
                square += _offsetM[index] * _offsetM[index];
            }
            for (int index = 0; index < _size; index++)
            {
                _offsetM[index] *= offsetM / Math.Sqrt(square);
            }
        }

        /// <summary>Put the truth before all that is known of the past.</summary>
        private void Remember()
        {
            double[] oldest = _history[_history.Length - 1];
            Array.Copy(_history, 0, _history, 1, _history.Length - 1);
            _history[0] = oldest;
            Array.Copy(Truth, oldest, Truth.Length);
        }

        /// <summary>Where things were so many decisions ago, in between by straight lines.</summary>
        private void FindBack(double decisions)
        {
            int last = _history.Length - 1;
            decisions = Math.Clamp(decisions, 0.0, last);
            int newer = Math.Min((int)decisions, last - 1);
            double share = decisions - newer;
            for (int index = 0; index < _found.Length; index++)
            {
                _found[index] = (1.0 - share) * _history[newer][index] + share * _history[newer + 1][index];
            }
        }

        /// <summary>Move the α-β filter on to a finding.</summary>
        private void Follow(int thing, double age)
        {
            double step = Math.Max(AgeS[thing] - age, 1e-3);
            double steadiness = _smoothing * _smoothing / (2.0 - _smoothing);
            for (int index = thing * _size; index < (thing + 1) * _size; index++)
            {
                double expected = Smooth[index] + Velocity[index] * step;
                double surprise = _found[index] - expected;
                Velocity[index] = step > _lostS ? 0.0 : Velocity[index] + steadiness * surprise / step;
                Smooth[index] = step > _lostS ? _found[index] : expected + _smoothing * surprise;
                Position[index] = _found[index];
            }
            AgeS[thing] = age;
        }
    }
}
