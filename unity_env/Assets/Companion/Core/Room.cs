using System;

namespace Companion.Core
{
    /// <summary>
    /// A furnished square room with its middle at 0: pieces stand on a jittered grid, so that there is a way around each.
    /// The same draws give the same room as python/companion/tasks/_room.py.
    /// </summary>
    public sealed class Room
    {
        private const int Candidates = 32;

        private readonly int _grid;
        private readonly double[] _halfSizeM;
        private readonly double[] _heightM;
        private readonly double _gapM;
        private readonly double _awayM;
        private readonly double[] _cellChance;
        private readonly int[] _cell;
        private readonly double[] _candidateX = new double[Candidates];
        private readonly double[] _candidateY = new double[Candidates];

        /// <param name="shared">The constants of Python's <c>_room</c>.</param>
        /// <param name="pieces">Pieces of furniture, at most.</param>
        public Room(JsonValue shared, int pieces)
        {
            _grid = shared["GRID"].Integer;
            _halfSizeM = shared["HALF_SIZE_M"].Numbers;
            _heightM = shared["HEIGHT_M"].Numbers;
            _gapM = shared["GAP_M"].Number;
            _awayM = shared["AWAY_M"].Number;
            _cellChance = new double[_grid * _grid];
            _cell = new int[_grid * _grid];
            Pieces = pieces;
            CentreX = new double[pieces];
            CentreY = new double[pieces];
            HalfX = new double[pieces];
            HalfY = new double[pieces];
            Yaw = new double[pieces];
            Height = new double[pieces];
        }

        /// <summary>Half the side of the room, m.</summary>
        public double HalfSize { get; private set; }

        /// <summary>Pieces of furniture, at most.</summary>
        public int Pieces { get; }

        /// <summary>Middle of each piece, m; those that are not there stand far outside.</summary>
        public double[] CentreX { get; }

        public double[] CentreY { get; }

        /// <summary>Half length and half width of each piece, m.</summary>
        public double[] HalfX { get; }

        public double[] HalfY { get; }

        /// <summary>rad.</summary>
        public double[] Yaw { get; }

        /// <summary>m.</summary>
        public double[] Height { get; }

        public bool IsThere(int piece) => Math.Abs(CentreX[piece]) < _awayM;

        /// <summary>Furnish it anew.</summary>
        /// <param name="sizeM">Side of the room.</param>
        /// <param name="pieces">How many pieces stand in it.</param>
        /// <param name="draws">Chance.</param>
        public void Draw(double sizeM, double pieces, IDraws draws)
        {
            double cell = sizeM / _grid;
            double largest = cell / 2.0 - _gapM;
            DrawCells(draws);
            for (int piece = 0; piece < Pieces; piece++)
            {
                HalfX[piece] = draws.Uniform(_halfSizeM[0], _halfSizeM[1]);
                HalfY[piece] = draws.Uniform(_halfSizeM[0], _halfSizeM[1]);
            }
            HalfSize = sizeM / 2.0;
            for (int piece = 0; piece < Pieces; piece++)
            {
                double radius = Math.Sqrt(HalfX[piece] * HalfX[piece] + HalfY[piece] * HalfY[piece]);
                double smaller = Math.Min(1.0, largest / radius);
                HalfX[piece] *= smaller;
                HalfY[piece] *= smaller;
                double slack = largest - Math.Min(radius, largest);
                double middle = (_grid - 1) / 2.0;
                double x = (_cell[piece] % _grid - middle) * cell + draws.Uniform(-1.0, 1.0) * slack;
                double y = (_cell[piece] / _grid - middle) * cell + draws.Uniform(-1.0, 1.0) * slack;
                CentreX[piece] = piece < pieces ? x : _awayM;
                CentreY[piece] = piece < pieces ? y : _awayM;
            }
            for (int piece = 0; piece < Pieces; piece++)
            {
                Yaw[piece] = draws.Uniform(-Math.PI / 2.0, Math.PI / 2.0);
            }
            for (int piece = 0; piece < Pieces; piece++)
            {
                Height[piece] = draws.Uniform(_heightM[0], _heightM[1]);
            }
        }

        /// <summary>From a point to the nearest wall or piece, m, negative inside of one.</summary>
        public double Clearance(double x, double y)
        {
            double nearest = HalfSize - Math.Max(Math.Abs(x), Math.Abs(y));
            for (int piece = 0; piece < Pieces; piece++)
            {
                nearest = Math.Min(nearest, Gap(piece, x, y));
            }
            return nearest;
        }

        /// <summary>From a point to a piece, m, negative inside.</summary>
        public double Gap(int piece, double x, double y)
        {
            ToPiece(piece, x, y, out double localX, out double localY);
            return Outside(Math.Abs(localX) - HalfX[piece], Math.Abs(localY) - HalfY[piece]);
        }

        /// <summary>Whether a straight way goes through a piece that is grown by so much to each side.</summary>
        public bool IsCrossed(int piece, in Segment way, double marginM)
        {
            ToPiece(piece, way.StartX, way.StartY, out double startX, out double startY);
            ToPiece(piece, way.EndX, way.EndY, out double endX, out double endY);
            Strip(startX, endX, HalfX[piece] + marginM, out double enterX, out double leaveX);
            Strip(startY, endY, HalfY[piece] + marginM, out double enterY, out double leaveY);
            double enter = Math.Max(0.0, Math.Max(enterX, enterY)), leave = Math.Min(1.0, Math.Min(leaveX, leaveY));
            return enter < leave;
        }

        /// <summary><see cref="Clearance"/>, and the unit vector that leads away from what is nearest.</summary>
        public double ClearanceAndWayOut(double x, double y, out double wayX, out double wayY)
        {
            double gap = double.PositiveInfinity;
            int nearest = -1;
            for (int piece = 0; piece < Pieces; piece++)
            {
                double outside = Gap(piece, x, y);
                if (outside < gap)
                {
                    gap = outside;
                    nearest = piece;
                }
            }
            double toWall = HalfSize - Math.Max(Math.Abs(x), Math.Abs(y));
            if (toWall < gap)
            {
                bool isAlongX = Math.Abs(x) > Math.Abs(y);
                wayX = isAlongX ? -Math.Sign(x) : 0.0;
                wayY = isAlongX ? 0.0 : -Math.Sign(y);
                return toWall;
            }
            WayOut(nearest, x, y, out wayX, out wayY);
            return gap;
        }

        /// <summary>From a point in the room to the nearest wall or piece in a direction, m; a piece that it lies in is not met.</summary>
        public double Cast(double x, double y, double angle)
        {
            double alongX = Math.Cos(angle) + 1e-12, alongY = Math.Sin(angle) + 1e-12;
            double toX = (Math.Sign(alongX) * HalfSize - x) / alongX, toY = (Math.Sign(alongY) * HalfSize - y) / alongY;
            double nearest = Math.Min(toX, toY);
            for (int piece = 0; piece < Pieces; piece++)
            {
                ToPiece(piece, x, y, out double localX, out double localY);
                double turned = angle - Yaw[piece];
                Slab(localX, HalfX[piece], Math.Cos(turned), out double enterX, out double leaveX);
                Slab(localY, HalfY[piece], Math.Sin(turned), out double enterY, out double leaveY);
                double enter = Math.Max(enterX, enterY);
                if (enter >= 0.0 && enter <= Math.Min(leaveX, leaveY))
                {
                    nearest = Math.Min(nearest, enter);
                }
            }
            return nearest;
        }

        /// <summary>A point with so much clearance, as <see cref="DrawFreePoint(double, in Apart, in Apart, IDraws, out double, out double)"/>.</summary>
        public void DrawFreePoint(double clearanceM, in Apart apart, IDraws draws, out double x, out double y)
        {
            DrawFreePoint(clearanceM, apart, default, draws, out x, out y);
        }

        /// <summary>
        /// A point with so much clearance that is also away from two others: of 32 candidates the first that fits, else
        /// the one with most clearance.
        /// </summary>
        public void DrawFreePoint(
            double clearanceM, in Apart apart, in Apart also, IDraws draws, out double x, out double y)
        {
            double reach = HalfSize - clearanceM;
            for (int index = 0; index < Candidates; index++)
            {
                _candidateX[index] = draws.Uniform(-1.0, 1.0) * reach;
                _candidateY[index] = draws.Uniform(-1.0, 1.0) * reach;
            }
            Choose(clearanceM, apart, also, out x, out y);
        }

        /// <summary>The same at a distance of <paramref name="awayM"/>, from to, about a point.</summary>
        public void DrawFreePointNear(double clearanceM, in Pose2 about, double[] awayM, IDraws draws, out double x, out double y)
        {
            for (int index = 0; index < Candidates; index++)
            {
                _candidateX[index] = draws.Uniform(-Math.PI, Math.PI);
            }
            for (int index = 0; index < Candidates; index++)
            {
                double angle = _candidateX[index], distance = draws.Uniform(awayM[0], awayM[1]);
                _candidateX[index] = about.X + distance * Math.Cos(angle);
                _candidateY[index] = about.Y + distance * Math.Sin(angle);
            }
            Choose(clearanceM, default, default, out x, out y);
        }

        private void Choose(double clearanceM, in Apart apart, in Apart also, out double x, out double y)
        {
            int chosen = 0;
            double best = double.NegativeInfinity;
            for (int index = 0; index < Candidates && best < clearanceM; index++)
            {
                double candidateX = _candidateX[index], candidateY = _candidateY[index];
                double farther = Math.Min(apart.Gap(candidateX, candidateY), also.Gap(candidateX, candidateY));
                double gap = Math.Min(Clearance(candidateX, candidateY), farther + clearanceM);
                if (gap > best)
                {
                    best = gap;
                    chosen = index;
                }
            }
            x = _candidateX[chosen];
            y = _candidateY[chosen];
        }

        private static double Outside(double outX, double outY)
        {
            double pastX = Math.Max(outX, 0.0), pastY = Math.Max(outY, 0.0);
            return Math.Sqrt(pastX * pastX + pastY * pastY) + Math.Min(Math.Max(outX, outY), 0.0);
        }

        /// <summary>Where a ray from <paramref name="from"/> enters and leaves the strip of half width <paramref name="half"/> about 0.</summary>
        private static void Slab(double from, double half, double along, out double enter, out double leave)
        {
            double inverse = 1.0 / (along + 1e-12);
            double middle = -from * inverse, reach = half * Math.Abs(inverse);
            enter = middle - reach;
            leave = middle + reach;
        }

        /// <summary>At which shares of its way a point enters and leaves the strip of half width <paramref name="half"/> about 0.</summary>
        private static void Strip(double from, double to, double half, out double enter, out double leave)
        {
            double way = Math.Abs(to - from) < 1e-9 ? 1e-9 : to - from;
            double one = (-half - from) / way, other = (half - from) / way;
            enter = Math.Min(one, other);
            leave = Math.Max(one, other);
        }

        /// <summary>The numbers of the cells in a drawn order.</summary>
        private void DrawCells(IDraws draws)
        {
            for (int index = 0; index < _cell.Length; index++)
            {
                _cellChance[index] = draws.Uniform(0.0, 1.0);
                _cell[index] = index;
            }
            for (int index = 1; index < _cell.Length; index++)
            {
                int cell = _cell[index];
                int place = index;
                for (; place > 0 && _cellChance[_cell[place - 1]] > _cellChance[cell]; place--)
                {
                    _cell[place] = _cell[place - 1];
                }
                _cell[place] = cell;
            }
        }

        /// <summary>A point in a piece's frame.</summary>
        private void ToPiece(int piece, double x, double y, out double localX, out double localY)
        {
            double offsetX = x - CentreX[piece], offsetY = y - CentreY[piece];
            double cos = Math.Cos(Yaw[piece]), sin = Math.Sin(Yaw[piece]);
            localX = cos * offsetX + sin * offsetY;
            localY = cos * offsetY - sin * offsetX;
        }

        /// <summary>To the nearer side from inside, away from the nearest point from outside.</summary>
        private void WayOut(int piece, double x, double y, out double wayX, out double wayY)
        {
            ToPiece(piece, x, y, out double localX, out double localY);
            double outX = Math.Abs(localX) - HalfX[piece], outY = Math.Abs(localY) - HalfY[piece];
            bool isInside = outX < 0.0 && outY < 0.0;
            double alongX = Math.Sign(localX) * (isInside ? (outX >= outY ? 1.0 : 0.0) : Math.Max(outX, 0.0));
            double alongY = Math.Sign(localY) * (isInside ? (outX < outY ? 1.0 : 0.0) : Math.Max(outY, 0.0));
            double length = Math.Max(Math.Sqrt(alongX * alongX + alongY * alongY), 1e-9);
            double cos = Math.Cos(Yaw[piece]), sin = Math.Sin(Yaw[piece]);
            wayX = (cos * alongX - sin * alongY) / length;
            wayY = (sin * alongX + cos * alongY) / length;
        }
    }

    /// <summary>A straight way over the floor, m.</summary>
    public readonly struct Segment
    {
        public readonly double StartX;
        public readonly double StartY;
        public readonly double EndX;
        public readonly double EndY;

        public Segment(double startX, double startY, double endX, double endY)
        {
            StartX = startX;
            StartY = startY;
            EndX = endX;
            EndY = endY;
        }
    }

    /// <summary>From what a drawn point shall keep away; nothing by default.</summary>
    public readonly struct Apart
    {
        private readonly double _x;
        private readonly double _y;
        private readonly double _awayM;
        private readonly bool _isSet;

        public Apart(double x, double y, double awayM)
        {
            _x = x;
            _y = y;
            _awayM = awayM;
            _isSet = true;
        }

        /// <summary>How much farther than it must be a point is away, m.</summary>
        internal double Gap(double x, double y)
        {
            double offsetX = x - _x, offsetY = y - _y;
            return _isSet ? Math.Sqrt(offsetX * offsetX + offsetY * offsetY) - _awayM : double.PositiveInfinity;
        }
    }
}
