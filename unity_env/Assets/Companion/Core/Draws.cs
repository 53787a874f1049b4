using System;

namespace Companion.Core
{
    /// <summary>A source of chance.</summary>
    public interface IDraws
    {
        /// <summary>Evenly from <paramref name="low"/> to below <paramref name="high"/>.</summary>
        double Uniform(double low, double high);

        /// <summary>Normal with mean 0 and standard deviation 1.</summary>
        double Normal();

        /// <summary>A whole number, both ends included.</summary>
        int Integer(int low, int highIncluded);
    }

    /// <summary>
    /// Chance from a seed, the same on every machine: SplitMix64 (Steele, Lea, Flood 2014), normal by the polar method
    /// (Marsaglia, Bray 1964). UnityEngine.Random has one state for the whole scene, so copies would disturb each other.
    /// </summary>
    public sealed class Draws : IDraws
    {
        private const double UnitOf53Bits = 1.0 / (1L << 53);

        private ulong _state;
        private double _spare;
        private bool _hasSpare;

        public Draws(ulong seed) => Seed(seed);

        /// <summary>Begin anew.</summary>
        public void Seed(ulong seed)
        {
            _state = seed;
            _hasSpare = false;
        }

        public double Uniform(double low, double high) => low + (high - low) * Unit();

        public int Integer(int low, int highIncluded)
        {
            int drawn = low + (int)Math.Floor((highIncluded - low + 1.0) * Unit());
            return Math.Min(drawn, highIncluded);
        }

        public double Normal()
        {
            if (_hasSpare)
            {
                _hasSpare = false;
                return _spare;
            }
            double x, y, square;
            do
            {
                x = Uniform(-1.0, 1.0);
                y = Uniform(-1.0, 1.0);
                square = x * x + y * y;
            }
            while (square >= 1.0 || square == 0.0);
            double factor = Math.Sqrt(-2.0 * Math.Log(square) / square);
            _spare = y * factor;
            _hasSpare = true;
            return x * factor;
        }

        private double Unit() => (Next() >> 11) * UnitOf53Bits;

        private ulong Next()
        {
            _state += 0x9E3779B97F4A7C15UL;
            ulong mixed = _state;
            mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9UL;
            mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBUL;
            return mixed ^ (mixed >> 31);
        }
    }
}
