using System;

namespace Companion.Core
{
    /// <summary>What a walker is up to.</summary>
    public enum Mood
    {
        /// <summary>Walks from place to place.</summary>
        Stroll,
        Stand,

        /// <summary>The same walk but faster.</summary>
        Hurry,

        /// <summary>Comes up to the robot.</summary>
        Approach,

        /// <summary>Steps in its way.</summary>
        Block,
    }

    /// <summary>
    /// People who walk about and play with a robot: they stroll, stop, turn back, hurry, come up to it and stand in its
    /// way; how much of that they do is one number, the difficulty. The same draws move them as
    /// python/companion/tasks/_walkers.py does. World frame, m and s.
    /// </summary>
    public sealed class Walkers : Figures
    {
        private const int Moods = 5;

        private readonly Courtesy _courtesy;
        private readonly double _awayM;
        private readonly Habit[] _habits = new Habit[Moods];
        private readonly int[] _habitOrder;
        private readonly double[] _turnsBackPerS;
        private readonly double[] _stoppingShare;
        private readonly double[] _hurryFactor;
        private readonly double[] _ignoresShare;
        private readonly double[] _turningRadps;
        private readonly double _maxSpeedMps;
        private readonly double _comesUpToM;
        private readonly double _inTheWayM;
        private readonly double _apartM;
        private readonly double _backM;
        private readonly double _walksMps;
        private readonly double _sidestepMps;
        private readonly double _robotRadiusM;
        private readonly int _aims;
        private readonly double _periodS;
        private readonly Pose2[] _robots;
        private readonly double[] _waypointX;
        private readonly double[] _waypointY;
        private readonly double[] _speed;
        private readonly bool[] _looks;
        private readonly double[] _side;
        private readonly Mood[] _mood;
        private readonly double[] _leftS;
        private readonly double[] _heading;
        private readonly double[] _wantedX;
        private readonly double[] _wantedY;
        private readonly double[] _chance;
        private readonly double[] _duration;
        private double _difficulty;

        /// <param name="people">The constants of Python's <c>_people</c>.</param>
        /// <param name="walkers">Those of <c>_walkers</c>.</param>
        /// <param name="most">How many there may be, the one that the robot plays with the first.</param>
        /// <param name="periodS">Between two decisions.</param>
        public Walkers(JsonValue people, JsonValue walkers, int most, double periodS)
            : base(most, people["RADIUS_M"].Number)
        {
            _courtesy = new Courtesy(people);
            _awayM = people["AWAY_M"].Number;
            JsonValue habits = walkers["HABITS"];
            _habitOrder = new int[habits.Count];
            for (int index = 0; index < _habitOrder.Length; index++)
            {
                _habitOrder[index] = int.Parse(habits.Keys[index]);
                _habits[_habitOrder[index]] = new Habit(habits[habits.Keys[index]]);
            }
            _turnsBackPerS = walkers["TURNS_BACK_PER_S"].Numbers;
            _stoppingShare = walkers["STOPPING_SHARE"].Numbers;
            _hurryFactor = walkers["HURRY_FACTOR"].Numbers;
            _ignoresShare = walkers["IGNORES_SHARE"].Numbers;
            _turningRadps = walkers["TURNING_RADPS"].Numbers;
            _maxSpeedMps = walkers["MAX_SPEED_MPS"].Number;
            _comesUpToM = walkers["COMES_UP_TO_M"].Number;
            _inTheWayM = walkers["IN_THE_WAY_M"].Number;
            _apartM = walkers["APART_M"].Number;
            _backM = walkers["BACK_M"].Number;
            _walksMps = walkers["WALKS_MPS"].Number;
            _sidestepMps = walkers["SIDESTEP_MPS"].Number;
            _robotRadiusM = walkers["ROBOT_RADIUS_M"].Number;
            _aims = walkers["AIMS"].Integer;
            _periodS = periodS;
            _robots = new Pose2[(int)Math.Round(walkers["REACTION_S"].Number / periodS) + 1];
            _waypointX = new double[most];
            _waypointY = new double[most];
            _speed = new double[most];
            _looks = new bool[most];
            _side = new double[most];
            _mood = new Mood[most];
            _leftS = new double[most];
            _heading = new double[most];
            _wantedX = new double[most];
            _wantedY = new double[most];
            _chance = new double[most];
            _duration = new double[most];
        }

        public override double Heading(int person) => _heading[person];

        /// <summary>An episode starts: the first begins to stroll where it was put, passers-by elsewhere.</summary>
        /// <param name="room">Where they walk.</param>
        /// <param name="robot">Where the robot stands.</param>
        /// <param name="first">Where the first of them stands.</param>
        /// <param name="crowd">How many pass by, how fast all walk, how difficult they make it, how many don't look.</param>
        /// <param name="draws">Chance.</param>
        public void Place(Room room, Pose2 robot, Pose2 first, in Crowd crowd, IDraws draws)
        {
            Array.Fill(_robots, robot);
            _difficulty = crowd.Difficulty;
            X[0] = first.X;
            Y[0] = first.Y;
            var fromRobot = new Apart(robot.X, robot.Y, 1.0);
            var fromFirst = new Apart(first.X, first.Y, 0.8);
            for (int person = 1; person < Count; person++)
            {
                room.DrawFreePoint(RadiusM + 0.05, fromRobot, fromFirst, draws, out X[person], out Y[person]);
            }
            DrawCharacters(Between(_ignoresShare) * crowd.IgnoringFactor, draws);
            for (int person = 0; person < Count; person++)
            {
                Present[person] = person <= crowd.PassersBy;
                X[person] = BeforeX[person] = Present[person] ? X[person] : _awayM;
                Y[person] = BeforeY[person] = Present[person] ? Y[person] : _awayM;
                VelocityX[person] = VelocityY[person] = _leftS[person] = 0.0;
                _mood[person] = Mood.Stroll;
                room.DrawFreePoint(RadiusM, default, draws, out _waypointX[person], out _waypointY[person]);
            }
            for (int person = 0; person < Count; person++)
            {
                _heading[person] = draws.Uniform(-Math.PI, Math.PI);
            }
            for (int person = 0; person < Count; person++)
            {
                _speed[person] = crowd.SpeedMps * draws.Uniform(0.9, 1.1);
            }
        }

        /// <summary>Move everybody on by one decision.</summary>
        public void Walk(Room room, Pose2 robot, IDraws draws)
        {
            Array.Copy(_robots, 0, _robots, 1, _robots.Length - 1);
            _robots[0] = robot;
            Pose2 seen = _robots[_robots.Length - 1];
            ChangeMoods(draws);
            ChooseWaypoints(room, draws);
            for (int person = 0; person < Count; person++)
            {
                Want(person, seen);
                if (_looks[person])
                {
                    var near = new Near(X[person] - seen.X, Y[person] - seen.Y, _robotRadiusM + RadiusM);
                    _courtesy.MakeWay(near, _speed[person], _side[person], ref _wantedX[person], ref _wantedY[person]);
                }
                KeepApart(person);
            }
            for (int person = 0; person < Count; person++)
            {
                Move(person, room);
            }
        }

        /// <summary>From what holds at difficulty 0 to what holds at 1.</summary>
        private double Between(double[] ends) => ends[0] + (ends[1] - ends[0]) * _difficulty;

        private void DrawCharacters(double ignoresShare, IDraws draws)
        {
            for (int person = 0; person < Count; person++)
            {
                bool looks = draws.Uniform(0.0, 1.0) >= ignoresShare;
                _looks[person] = looks || person == 0;
            }
            for (int person = 0; person < Count; person++)
            {
                _side[person] = draws.Uniform(0.0, 1.0) < 0.5 ? 1.0 : -1.0;
            }
        }

        /// <summary>Who is done with a mood strolls on; some who stroll get into another.</summary>
        private void ChangeMoods(IDraws draws)
        {
            for (int person = 0; person < Count; person++)
            {
                _leftS[person] -= _periodS;
                _mood[person] = _leftS[person] <= 0.0 ? Mood.Stroll : _mood[person];
                _chance[person] = draws.Uniform(0.0, 1.0);
            }
            for (int person = 0; person < Count; person++)
            {
                _duration[person] = draws.Uniform(0.0, 1.0) * 1.5 + 0.25;
                if (_mood[person] == Mood.Stroll)
                {
                    ChangeMood(person, _chance[person], _duration[person]);
                }
            }
        }

        private void ChangeMood(int person, double chance, double duration)
        {
            double below = 0.0;
            foreach (int mood in _habitOrder)
            {
                double above = below + Between(_habits[mood].PerS) * _periodS;
                bool canSee = _looks[person] || (mood != (int)Mood.Approach && mood != (int)Mood.Block);
                if (chance >= below && chance < above && canSee)
                {
                    _mood[person] = (Mood)mood;
                    _leftS[person] = duration * Between(_habits[mood].LastsS);
                }
                below = above;
            }
            if (chance >= below && chance < below + Between(_turnsBackPerS) * _periodS)
            {
                _waypointX[person] = X[person] - _backM * Math.Cos(_heading[person]);
                _waypointY[person] = Y[person] - _backM * Math.Sin(_heading[person]);
            }
        }

        /// <summary>A new aim for those who arrived or can't get on, where a person can stand.</summary>
        private void ChooseWaypoints(Room room, IDraws draws)
        {
            for (int person = 0; person < Count; person++)
            {
                _chance[person] = draws.Uniform(0.0, 1.0);
            }
            for (int person = 0; person < Count; person++)
            {
                double distance = Plane.Length(_waypointX[person] - X[person], _waypointY[person] - Y[person]);
                bool isWalking = _mood[person] == Mood.Stroll || _mood[person] == Mood.Hurry;
                bool isStuck = isWalking && Plane.Length(VelocityX[person], VelocityY[person]) < 0.3 * _speed[person];
                if (Present[person] && (distance < 0.3 || (isStuck && _chance[person] < 0.1)))
                {
                    ChooseWaypoint(person, room, draws);
                }
            }
        }

        /// <summary>Of some places to go on to, the one with the least turn.</summary>
        private void ChooseWaypoint(int person, Room room, IDraws draws)
        {
            double cos = Math.Cos(_heading[person]), sin = Math.Sin(_heading[person]);
            var apart = new Apart(X[person], Y[person], 1.0);
            double best = double.NegativeInfinity;
            for (int aim = 0; aim < _aims; aim++)
            {
                room.DrawFreePoint(RadiusM, apart, draws, out double x, out double y);
                double wayX = x - X[person], wayY = y - Y[person];
                double ahead = (wayX * cos + wayY * sin) / Math.Max(Plane.Length(wayX, wayY), 1e-9);
                if (ahead > best)
                {
                    best = ahead;
                    _waypointX[person] = x;
                    _waypointY[person] = y;
                }
            }
        }

        /// <summary>The velocity that a mood asks for.</summary>
        private void Want(int person, in Pose2 robot)
        {
            Mood mood = _mood[person];
            double aimX = _waypointX[person], aimY = _waypointY[person], stopsAt = 0.0;
            if (mood == Mood.Approach)
            {
                (aimX, aimY, stopsAt) = (robot.X, robot.Y, _comesUpToM);
            }
            else if (mood == Mood.Block)
            {
                aimX = robot.X + _inTheWayM * Math.Cos(robot.Yaw);
                aimY = robot.Y + _inTheWayM * Math.Sin(robot.Yaw);
                stopsAt = 0.1;
            }
            double x = aimX - X[person], y = aimY - Y[person];
            double distance = Plane.Length(x, y);
            double pace = mood == Mood.Stand ? 0.0 : _speed[person];
            pace *= mood == Mood.Hurry ? Between(_hurryFactor) : 1.0;
            pace = Math.Clamp(Math.Min(pace, 2.0 * (distance - stopsAt)), 0.0, _maxSpeedMps);
            _wantedX[person] = x * (pace / Math.Max(distance, 1e-9));
            _wantedY[person] = y * (pace / Math.Max(distance, 1e-9));
        }

        /// <summary>People give way to each other.</summary>
        private void KeepApart(int person)
        {
            for (int other = 0; other < Count; other++)
            {
                double x = X[person] - X[other], y = Y[person] - Y[other];
                double distance = Plane.Length(x, y);
                if (distance > 1e-6)
                {
                    double push = 3.0 * Math.Clamp(_apartM - distance, 0.0, 0.3) / distance;
                    _wantedX[person] += x * push;
                    _wantedY[person] += y * push;
                }
            }
        }

        private void Move(int person, Room room)
        {
            double gap = room.ClearanceAndWayOut(X[person], Y[person], out double wayX, out double wayY) - RadiusM;
            double stepX = _wantedX[person], stepY = _wantedY[person];
            Courtesy.SlideAlong(gap, wayX, wayY, ref stepX, ref stepY);
            TurnAndStep(person, ref stepX, ref stepY);
            Courtesy.SlideAlong(gap, wayX, wayY, ref stepX, ref stepY);
            double share = Between(_stoppingShare), there = Present[person] ? 1.0 : 0.0;
            VelocityX[person] = (VelocityX[person] + (stepX - VelocityX[person]) * share) * there;
            VelocityY[person] = (VelocityY[person] + (stepY - VelocityY[person]) * share) * there;
            BeforeX[person] = X[person];
            BeforeY[person] = Y[person];
            X[person] += VelocityX[person] * _periodS;
            Y[person] += VelocityY[person] * _periodS;
        }

        /// <summary>Turn to where one wants to go; what people facing so get of that velocity.</summary>
        private void TurnAndStep(int person, ref double x, ref double y)
        {
            double most = _speed[person] * (_mood[person] == Mood.Hurry ? _hurryFactor[1] : 1.0);
            most = Math.Min(most, _maxSpeedMps);
            double speed = Plane.Length(x, y);
            double slower = most / Math.Max(Math.Max(speed, most), 1e-9);
            (x, y) = (x * slower, y * slower);
            if (speed > _walksMps)
            {
                double turn = Plane.Wrapped(Math.Atan2(y, x) - _heading[person]);
                double mostTurn = Between(_turningRadps) * _periodS;
                _heading[person] += Math.Clamp(turn, -mostTurn, mostTurn);
            }
            double cos = Math.Cos(_heading[person]), sin = Math.Sin(_heading[person]);
            double ahead = Math.Max(x * cos + y * sin, 0.0);
            double restX = x - ahead * cos, restY = y - ahead * sin;
            double sidestep = _sidestepMps / Math.Max(Plane.Length(restX, restY), _sidestepMps);
            x = ahead * cos + restX * sidestep;
            y = ahead * sin + restY * sidestep;
        }

        /// <summary>How often strolling people get into a mood, and for how long; each at difficulty 0 and at 1.</summary>
        private readonly struct Habit
        {
            public readonly double[] PerS;
            public readonly double[] LastsS;

            public Habit(JsonValue json)
            {
                PerS = json["per_s"].Numbers;
                LastsS = json["lasts_s"].Numbers;
            }
        }
    }

    /// <summary>Who walks about in an episode.</summary>
    public readonly struct Crowd
    {
        public readonly double PassersBy;
        public readonly double SpeedMps;

        /// <summary>How often and how abruptly they change what they do, 0 to 1.</summary>
        public readonly double Difficulty;

        /// <summary>On the share of passers-by who don't look.</summary>
        public readonly double IgnoringFactor;

        public Crowd(double passersBy, double speedMps, double difficulty, double ignoringFactor)
        {
            PassersBy = passersBy;
            SpeedMps = speedMps;
            Difficulty = difficulty;
            IgnoringFactor = ignoringFactor;
        }
    }
}
