using System;

namespace Companion.Core
{
    /// <summary>What a laser scanner that looks around level makes of true ranges, in sectors; the last two scans are kept.</summary>
    public sealed class LaserScan
    {
        private readonly float _leastM;
        private readonly float _greatestM;
        private readonly int _raysPerSector;
        private readonly float[] _seen;

        public LaserScan(int rays, int sectors, double leastM, double greatestM)
        {
            _leastM = (float)leastM;
            _greatestM = (float)greatestM;
            _raysPerSector = rays / sectors;
            _seen = new float[rays];
            TrueRanges = new double[rays];
            Nearest = new double[sectors];
            NearestBefore = new double[sectors];
        }

        /// <summary>To the nearest thing along each ray, m, however far; the first ray ahead, counter-clockwise.</summary>
        public double[] TrueRanges { get; }

        /// <summary>The least range of each sector of the last scan, m; sector 0 lies about the first ray.</summary>
        public double[] Nearest { get; }

        /// <summary>The same of the scan before.</summary>
        public double[] NearestBefore { get; }

        /// <summary>Turn the scanner once: see <see cref="TrueRanges"/> with its noise and its limits.</summary>
        /// <param name="noiseShare">Standard deviation of a range, of its size.</param>
        /// <param name="dropoutShare">Share of rays that come back empty, and then read the greatest range.</param>
        /// <param name="draws">Chance.</param>
        public void Scan(double noiseShare, double dropoutShare, IDraws draws)
        {
            float noise = (float)noiseShare;
            for (int ray = 0; ray < _seen.Length; ray++)
            {
                float factor = (float)draws.Normal() * noise + 1.0f;
                _seen[ray] = Math.Min(factor * (float)TrueRanges[ray], _greatestM);
            }
            float dropout = (float)dropoutShare;
            for (int ray = 0; ray < _seen.Length; ray++)
            {
                bool isLost = (float)draws.Uniform(0.0, 1.0) < dropout || _seen[ray] < _leastM;
                _seen[ray] = isLost ? _greatestM : _seen[ray];
            }
            Array.Copy(Nearest, NearestBefore, Nearest.Length);
            TakeNearest();
        }

        /// <summary>An episode starts: there was no other scan before the first.</summary>
        public void ForgetBefore() => Array.Copy(Nearest, NearestBefore, Nearest.Length);

        private void TakeNearest()
        {
            for (int sector = 0; sector < Nearest.Length; sector++)
            {
                int first = sector * _raysPerSector - _raysPerSector / 2 + _seen.Length;
                float nearest = float.PositiveInfinity;
                for (int ray = first; ray < first + _raysPerSector; ray++)
                {
                    nearest = Math.Min(nearest, _seen[ray % _seen.Length]);
                }
                Nearest[sector] = nearest;
            }
        }
    }
}
