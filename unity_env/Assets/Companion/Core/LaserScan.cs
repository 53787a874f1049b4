using System;

namespace Companion.Core
{
    /// <summary>What a laser scanner that looks around level makes of true ranges, in sectors; the last scans are kept.</summary>
    public sealed class LaserScan
    {
        private readonly float _leastM;
        private readonly float _greatestM;
        private readonly int _raysPerSector;
        private readonly float[] _seen;
        private readonly double[][] _scans;

        /// <param name="rays">Of a turn.</param>
        /// <param name="sectors">Of a scan.</param>
        /// <param name="leastM">What is nearer is not seen.</param>
        /// <param name="greatestM">Nor what is farther.</param>
        /// <param name="scansBack">How many scans before the last the older one is that is seen.</param>
        public LaserScan(int rays, int sectors, double leastM, double greatestM, int scansBack)
        {
            _leastM = (float)leastM;
            _greatestM = (float)greatestM;
            _raysPerSector = rays / sectors;
            _seen = new float[rays];
            TrueRanges = new double[rays];
            _scans = new double[1 + scansBack][];
            for (int scan = 0; scan < _scans.Length; scan++)
            {
                _scans[scan] = new double[sectors];
            }
        }

        /// <summary>To the nearest thing along each ray, m, however far; the first ray ahead, counter-clockwise.</summary>
        public double[] TrueRanges { get; }

        /// <summary>How many scans are kept.</summary>
        public int Scans => _scans.Length;

        /// <summary>The least range of each sector of the last scan, m; sector 0 lies about the first ray. Another array after each scan.</summary>
        public double[] Nearest => _scans[_scans.Length - 1];

        /// <summary>The same of the oldest scan that is kept.</summary>
        public double[] NearestBefore => _scans[0];

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
            MakeOldestNewest();
            TakeNearest();
        }

        /// <summary>An episode starts: there was no other scan before the first.</summary>
        public void ForgetBefore()
        {
            for (int scan = 0; scan < _scans.Length - 1; scan++)
            {
                Array.Copy(Nearest, _scans[scan], Nearest.Length);
            }
        }

        private void MakeOldestNewest()
        {
            double[] oldest = _scans[0];
            Array.Copy(_scans, 1, _scans, 0, _scans.Length - 1);
            _scans[_scans.Length - 1] = oldest;
        }

        private void TakeNearest()
        {
            double[] newest = Nearest;
            for (int sector = 0; sector < newest.Length; sector++)
            {
                int first = sector * _raysPerSector - _raysPerSector / 2 + _seen.Length;
                float nearest = float.PositiveInfinity;
                for (int ray = first; ray < first + _raysPerSector; ray++)
                {
                    nearest = Math.Min(nearest, _seen[ray % _seen.Length]);
                }
                newest[sector] = nearest;
            }
        }
    }
}
