using System;

namespace Companion.Core
{
    /// <summary>
    /// A person who plays ball with the robot: holds it, rolls it, waits for it to come back, and fetches what is lost. The
    /// same draws move them as python/companion/tasks/_player.py does. World frame, m and s.
    /// </summary>
    public sealed class BallPlayer : Figures
    {
        private readonly double[][] _holdsS;
        private readonly double[] _aimsRad;
        private readonly double[][] _rollsM;
        private readonly double[] _shortOfWallsM;
        private readonly double[] _puts;
        private readonly double[][] _stepsM;
        private readonly double _mostMps;
        private readonly double _walksMps;
        private readonly double _roomM;
        private readonly double _patienceS;
        private readonly double _holdsAheadM;
        private readonly double[] _stepClearanceM = { 0.8, 1.0 };
        private double _heading;
        private double _goesToX;
        private double _goesToY;
        private double _holdsForS;
        private double _difficulty;

        /// <param name="people">The constants of Python's <c>_people</c>.</param>
        /// <param name="player">Those of <c>_player</c>.</param>
        public BallPlayer(JsonValue people, JsonValue player) : base(1, people["RADIUS_M"].Number)
        {
            Present[0] = true;
            _holdsS = Ranges(player["HOLDS_S"]);
            _aimsRad = player["AIMS_RAD"].Numbers;
            _rollsM = Ranges(player["ROLLS_M"]);
            _shortOfWallsM = player["SHORT_OF_WALLS_M"].Numbers;
            _puts = player["PUTS"].Numbers;
            _stepsM = Ranges(player["STEPS_M"]);
            _mostMps = player["MOST_MPS"].Number;
            _walksMps = player["WALKS_MPS"].Number;
            _roomM = player["ROOM_M"].Number;
            _patienceS = player["PATIENCE_S"].Number;
            _holdsAheadM = player["HOLDS_AHEAD_M"].Number;
            GivesUpS = player["GIVES_UP_S"].Number;
        }

        /// <summary>Since the roll: after this they fetch the ball themselves.</summary>
        public double GivesUpS { get; }

        /// <summary>Whether the ball is out; else they hold it.</summary>
        public bool IsPlaying { get; private set; }

        /// <summary>How long it has been out, or held.</summary>
        public double SinceS { get; private set; }

        /// <summary>Where the ball is that they hold.</summary>
        public double BallX => X[0] + _holdsAheadM * Math.Cos(_heading);

        public double BallY => Y[0] + _holdsAheadM * Math.Sin(_heading);

        public override double Heading(int person) => _heading;

        /// <summary>An episode starts: they stand with the ball, turned to the robot.</summary>
        public void Place(in Pose2 place, in Pose2 robot, double difficulty, IDraws draws)
        {
            X[0] = BeforeX[0] = _goesToX = place.X;
            Y[0] = BeforeY[0] = _goesToY = place.Y;
            VelocityX[0] = VelocityY[0] = 0.0;
            _heading = Math.Atan2(robot.Y - place.Y, robot.X - place.X);
            _difficulty = difficulty;
            IsPlaying = false;
            SinceS = 0.0;
            _holdsForS = Drawn(_holdsS, draws);
        }

        /// <summary>Let a decision's time pass; whether they roll the ball now.</summary>
        public bool Act(in Pose2 robot, double periodS)
        {
            SinceS += periodS;
            double toRobotX = robot.X - X[0], toRobotY = robot.Y - Y[0];
            double distance = Plane.Length(toRobotX, toRobotY);
            Step(toRobotX, toRobotY, distance, periodS);
            double turn = Plane.Wrapped(Math.Atan2(toRobotY, toRobotX) - _heading);
            _heading += IsPlaying ? 0.0 : Math.Clamp(turn, -2.0 * periodS, 2.0 * periodS);
            bool isReady = !IsPlaying && SinceS >= _holdsForS && Math.Abs(turn) < 0.3;
            return isReady && (distance > _roomM || SinceS > _holdsForS + _patienceS);
        }

        /// <summary>They roll the ball; its velocity, m/s.</summary>
        /// <param name="robot">To where they roll it.</param>
        /// <param name="decelerationMps2">Of a ball that rolls on their floor.</param>
        /// <param name="room">In which it shall not hit anything.</param>
        /// <param name="draws">Chance.</param>
        /// <param name="velocityX">Of the ball.</param>
        /// <param name="velocityY">Its other entry.</param>
        public void Roll(
            in Pose2 robot, double decelerationMps2, Room room, IDraws draws, out double velocityX, out double velocityY)
        {
            IsPlaying = true;
            SinceS = 0.0;
            double angle = Math.Atan2(robot.Y - Y[0], robot.X - X[0]) + Between(_aimsRad) * draws.Uniform(-1.0, 1.0);
            double free = room.Cast(BallX, BallY, angle) - Between(_shortOfWallsM);
            double distance = Math.Min(Drawn(_rollsM, draws), Math.Max(free, 0.6));
            double speed = Math.Sqrt(2.0 * decelerationMps2 * distance) * draws.Uniform(_puts[0], _puts[1]);
            speed = Math.Min(speed, _mostMps);
            velocityX = speed * Math.Cos(angle);
            velocityY = speed * Math.Sin(angle);
        }

        /// <summary>They have the ball again, and may step elsewhere before they roll it.</summary>
        public void Take(Room room, IDraws draws)
        {
            IsPlaying = false;
            SinceS = 0.0;
            _holdsForS = Drawn(_holdsS, draws);
            var here = new Pose2(X[0], Y[0], 0.0);
            room.DrawFreePointNear(0.6, here, _stepClearanceM, draws, out double placeX, out double placeY);
            double wayX = placeX - here.X, wayY = placeY - here.Y;
            double share = Drawn(_stepsM, draws) / Math.Max(Plane.Length(wayX, wayY), 1e-9);
            _goesToX = here.X + share * wayX;
            _goesToY = here.Y + share * wayY;
        }

        private static double[][] Ranges(JsonValue json) => new[] { json[0].Numbers, json[1].Numbers };

        /// <summary>On to where they go, but not towards the robot.</summary>
        private void Step(double toRobotX, double toRobotY, double distance, double periodS)
        {
            double wayX = _goesToX - X[0], wayY = _goesToY - Y[0];
            double left = Plane.Length(wayX, wayY);
            bool isFree = wayX * toRobotX + wayY * toRobotY < 0.7 * left * Math.Max(distance - 0.4, 0.0);
            double pace = isFree && !IsPlaying ? Math.Min(_walksMps, left / periodS) : 0.0;
            VelocityX[0] = wayX * (pace / Math.Max(left, 1e-9));
            VelocityY[0] = wayY * (pace / Math.Max(left, 1e-9));
            BeforeX[0] = X[0];
            BeforeY[0] = Y[0];
            X[0] += VelocityX[0] * periodS;
            Y[0] += VelocityY[0] * periodS;
        }

        /// <summary>From what holds at difficulty 0 to what holds at 1.</summary>
        private double Between(double[] ends) => ends[0] + (ends[1] - ends[0]) * _difficulty;

        /// <summary>From within what holds at this difficulty.</summary>
        private double Drawn(double[][] ends, IDraws draws)
        {
            double low = ends[0][0] + (ends[1][0] - ends[0][0]) * _difficulty;
            double high = ends[0][1] + (ends[1][1] - ends[0][1]) * _difficulty;
            return low + (high - low) * draws.Uniform(0.0, 1.0);
        }
    }
}
