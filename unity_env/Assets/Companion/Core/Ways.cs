using System;

namespace Companion.Core
{
    /// <summary>
    /// The shortest way between two points of a furnished room: straight, or from corner to corner round what stands there;
    /// as python/companion/tasks/_ways.py has it.
    /// </summary>
    public sealed class Ways
    {
        private static readonly double[] SideX = { 1.0, 1.0, -1.0, -1.0 };
        private static readonly double[] SideY = { 1.0, -1.0, 1.0, -1.0 };

        private readonly Room _room;
        private readonly double _asideM;
        private readonly double _marginM;
        private readonly double _slackM;
        private readonly int _corners;
        private readonly double[] _cornerX;
        private readonly double[] _cornerY;
        private readonly bool[] _isOpen;
        private readonly double[,] _between;
        private readonly double[] _pieceMarginM;
        private readonly double[] _fromStart;
        private readonly double[] _toEnd;

        /// <param name="shared">The constants of Python's <c>_ways</c>.</param>
        /// <param name="room">Where they lead.</param>
        public Ways(JsonValue shared, Room room)
        {
            _room = room;
            _asideM = shared["ASIDE_M"].Number;
            _marginM = shared["MARGIN_M"].Number;
            _slackM = shared["SLACK_M"].Number;
            _corners = SideX.Length * room.Pieces;
            _cornerX = new double[_corners];
            _cornerY = new double[_corners];
            _isOpen = new bool[_corners];
            _between = new double[_corners, _corners];
            _pieceMarginM = new double[room.Pieces];
            _fromStart = new double[_corners];
            _toEnd = new double[_corners];
        }

        /// <summary>The room was furnished anew: find all ways between corners (Floyd 1962, algorithm 97).</summary>
        public void Find()
        {
            PlaceCorners();
            Array.Fill(_pieceMarginM, _marginM);
            for (int from = 0; from < _corners; from++)
            {
                for (int to = 0; to < _corners; to++)
                {
                    bool areOpen = _isOpen[from] && _isOpen[to];
                    _between[from, to] = areOpen ? StraightWay(_cornerX[from], _cornerY[from], to) : double.PositiveInfinity;
                }
            }
            for (int over = 0; over < _corners; over++)
            {
                ShortenOver(over);
            }
        }

        /// <summary>Length of the shortest way from a point to another, m; of the straight one where none leads round.</summary>
        public double Shortest(double startX, double startY, double endX, double endY)
        {
            double length = Plane.Length(endX - startX, endY - startY);
            for (int piece = 0; piece < _pieceMarginM.Length; piece++)
            {
                double gap = Math.Min(_room.Gap(piece, startX, startY), _room.Gap(piece, endX, endY));
                _pieceMarginM[piece] = Math.Clamp(gap - _slackM, 0.0, _marginM);
            }
            if (!IsBlocked(new Segment(startX, startY, endX, endY)))
            {
                return length;
            }
            for (int corner = 0; corner < _corners; corner++)
            {
                _fromStart[corner] = StraightWay(startX, startY, corner);
                _toEnd[corner] = StraightWay(endX, endY, corner);
            }
            double round = ShortestOverCorners();
            return double.IsInfinity(round) ? length : round;
        }

        private void PlaceCorners()
        {
            for (int corner = 0; corner < _corners; corner++)
            {
                int piece = corner / SideX.Length, side = corner % SideX.Length;
                double x = SideX[side] * (_room.HalfX[piece] + _asideM), y = SideY[side] * (_room.HalfY[piece] + _asideM);
                double cos = Math.Cos(_room.Yaw[piece]), sin = Math.Sin(_room.Yaw[piece]);
                _cornerX[corner] = _room.CentreX[piece] + (cos * x - sin * y);
                _cornerY[corner] = _room.CentreY[piece] + (sin * x + cos * y);
                _isOpen[corner] = _room.Clearance(_cornerX[corner], _cornerY[corner]) >= _marginM;
            }
        }

        private void ShortenOver(int over)
        {
            for (int from = 0; from < _corners; from++)
            {
                for (int to = 0; to < _corners; to++)
                {
                    _between[from, to] = Math.Min(_between[from, to], _between[from, over] + _between[over, to]);
                }
            }
        }

        /// <summary>From a point to a corner, m; infinite where something is between.</summary>
        private double StraightWay(double x, double y, int corner)
        {
            var way = new Segment(x, y, _cornerX[corner], _cornerY[corner]);
            return IsBlocked(way) ? double.PositiveInfinity : Plane.Length(way.EndX - x, way.EndY - y);
        }

        private bool IsBlocked(in Segment way)
        {
            for (int piece = 0; piece < _pieceMarginM.Length; piece++)
            {
                if (_room.IsCrossed(piece, way, _pieceMarginM[piece]))
                {
                    return true;
                }
            }
            return false;
        }

        private double ShortestOverCorners()
        {
            double shortest = double.PositiveInfinity;
            for (int first = 0; first < _corners; first++)
            {
                for (int last = 0; last < _corners; last++)
                {
                    shortest = Math.Min(shortest, _fromStart[first] + _between[first, last] + _toEnd[last]);
                }
            }
            return shortest;
        }
    }
}
