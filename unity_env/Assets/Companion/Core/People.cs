using System;

namespace Companion.Core
{
    /// <summary>
    /// People who walk about a room as upright figures; most of them make way for the robot, some don't look. The same
    /// draws move them as python/companion/tasks/_people.py does. World frame, m and s.
    /// </summary>
    public sealed class People : Figures
    {
        private readonly double _awayM;
        private readonly Courtesy _courtesy;
        private readonly double _pausePerS;
        private readonly double[] _pauseS;
        private readonly double[] _waypointX;
        private readonly double[] _waypointY;
        private readonly double[] _speed;
        private readonly bool[] _looks;
        private readonly double[] _side;
        private readonly double[] _pauseLeftS;
        private readonly double[] _headingX;
        private readonly double[] _headingY;
        private readonly double[] _distance;
        private readonly double[] _chance;
        private readonly double[] _aimX;
        private readonly double[] _aimY;

        /// <param name="shared">The constants of Python's <c>_people</c>.</param>
        /// <param name="most">How many there may be.</param>
        public People(JsonValue shared, int most) : base(most, shared["RADIUS_M"].Number)
        {
            _awayM = shared["AWAY_M"].Number;
            _courtesy = new Courtesy(shared);
            _pausePerS = shared["PAUSE_PER_S"].Number;
            _pauseS = shared["PAUSE_S"].Numbers;
            _looks = new bool[most];
            _waypointX = new double[most];
            _waypointY = new double[most];
            _speed = new double[most];
            _side = new double[most];
            _pauseLeftS = new double[most];
            _headingX = new double[most];
            _headingY = new double[most];
            _distance = new double[most];
            _chance = new double[most];
            _aimX = new double[most];
            _aimY = new double[most];
        }

        /// <summary>The way they walk.</summary>
        public override double Heading(int person) => Math.Atan2(VelocityY[person], VelocityX[person]);

        /// <summary>An episode starts: put people into a room.</summary>
        /// <param name="room">Where they are to walk.</param>
        /// <param name="robot">Where the robot stands, which they keep 1 m away from.</param>
        /// <param name="habits">How many they are and how they behave.</param>
        /// <param name="draws">Chance.</param>
        public void Place(Room room, Pose2 robot, Habits habits, IDraws draws)
        {
            var apart = new Apart(robot.X, robot.Y, 1.0);
            for (int person = 0; person < Count; person++)
            {
                room.DrawFreePoint(RadiusM + 0.05, apart, draws, out X[person], out Y[person]);
            }
            DrawWaypoints(room, _waypointX, _waypointY, draws);
            for (int person = 0; person < Count; person++)
            {
                _speed[person] = habits.SpeedMps * draws.Uniform(0.9, 1.1);
            }
            for (int person = 0; person < Count; person++)
            {
                _looks[person] = draws.Uniform(0.0, 1.0) < habits.YieldShare;
            }
            for (int person = 0; person < Count; person++)
            {
                _side[person] = draws.Uniform(0.0, 1.0) < 0.5 ? 1.0 : -1.0;
                Present[person] = person < habits.Count;
                X[person] = BeforeX[person] = Present[person] ? X[person] : _awayM;
                Y[person] = BeforeY[person] = Present[person] ? Y[person] : _awayM;
                VelocityX[person] = VelocityY[person] = _pauseLeftS[person] = 0.0;
            }
        }

        /// <summary>Move everybody on by one decision.</summary>
        public void Walk(Room room, double robotX, double robotY, double robotRadiusM, double periodS, IDraws draws)
        {
            LookAhead();
            ChooseWaypoints(room, periodS, draws);
            for (int person = 0; person < Count; person++)
            {
                double pace = _pauseLeftS[person] <= 0.0 ? _speed[person] : 0.0;
                double wantedX = _headingX[person] * pace, wantedY = _headingY[person] * pace;
                if (_looks[person])
                {
                    var near = new Near(X[person] - robotX, Y[person] - robotY, robotRadiusM + RadiusM);
                    _courtesy.MakeWay(near, _speed[person], _side[person], ref wantedX, ref wantedY);
                }
                double gap = room.ClearanceAndWayOut(X[person], Y[person], out double wayX, out double wayY) - RadiusM;
                Courtesy.SlideAlong(gap, wayX, wayY, ref wantedX, ref wantedY);
                double speed = Math.Sqrt(wantedX * wantedX + wantedY * wantedY);
                double slower = _speed[person] / Math.Max(Math.Max(speed, _speed[person]), 1e-9);
                Step(person, wantedX * slower, wantedY * slower, periodS);
            }
        }

        private void Step(int person, double wantedX, double wantedY, double periodS)
        {
            double there = Present[person] ? 1.0 : 0.0;
            VelocityX[person] = (VelocityX[person] + (wantedX - VelocityX[person]) * 0.5) * there;
            VelocityY[person] = (VelocityY[person] + (wantedY - VelocityY[person]) * 0.5) * there;
            BeforeX[person] = X[person];
            BeforeY[person] = Y[person];
            X[person] += VelocityX[person] * periodS;
            Y[person] += VelocityY[person] * periodS;
        }

        private void LookAhead()
        {
            for (int person = 0; person < Count; person++)
            {
                double x = _waypointX[person] - X[person], y = _waypointY[person] - Y[person];
                double distance = Math.Sqrt(x * x + y * y);
                _distance[person] = distance;
                _headingX[person] = x / Math.Max(distance, 1e-9);
                _headingY[person] = y / Math.Max(distance, 1e-9);
            }
        }

        /// <summary>A new aim for those who arrived or can't get on; a moment's rest for some.</summary>
        private void ChooseWaypoints(Room room, double periodS, IDraws draws)
        {
            for (int person = 0; person < Count; person++)
            {
                _chance[person] = draws.Uniform(0.0, 1.0);
            }
            DrawWaypoints(room, _aimX, _aimY, draws);
            for (int person = 0; person < Count; person++)
            {
                double vx = VelocityX[person], vy = VelocityY[person];
                bool isStuck = Math.Sqrt(vx * vx + vy * vy) < 0.1 && _pauseLeftS[person] <= 0.0;
                if (_distance[person] < 0.3 || (isStuck && _chance[person] < 0.1))
                {
                    _waypointX[person] = _aimX[person];
                    _waypointY[person] = _aimY[person];
                }
                double length = _pauseS[0] + (_pauseS[1] - _pauseS[0]) * draws.Uniform(0.0, 1.0);
                bool rests = _chance[person] > 1.0 - _pausePerS * periodS;
                _pauseLeftS[person] = rests ? length : _pauseLeftS[person] - periodS;
            }
        }

        /// <summary>Anywhere between the walls; who can't get there soon chooses anew.</summary>
        private void DrawWaypoints(Room room, double[] x, double[] y, IDraws draws)
        {
            double reach = room.HalfSize - RadiusM - 0.1;
            for (int person = 0; person < Count; person++)
            {
                x[person] = draws.Uniform(-1.0, 1.0) * reach;
                y[person] = draws.Uniform(-1.0, 1.0) * reach;
            }
        }
    }

    /// <summary>How many people there are and how they behave, for an episode.</summary>
    public readonly struct Habits
    {
        public readonly double Count;
        public readonly double SpeedMps;

        /// <summary>How likely one of them makes way for the robot.</summary>
        public readonly double YieldShare;

        public Habits(double count, double speedMps, double yieldShare)
        {
            Count = count;
            SpeedMps = speedMps;
            YieldShare = yieldShare;
        }
    }
}
