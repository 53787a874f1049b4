using System;

namespace Companion.Core
{
    /// <summary>What is true of robot and ball at the end of a decision; the room's frame, SI units.</summary>
    public struct BallBody
    {
        /// <summary>Its contact is with anything but the ball.</summary>
        public MobileBody Robot;

        public double BallX;
        public double BallY;
        public double BallVelocityX;
        public double BallVelocityY;

        /// <summary>Whether the robot touched the ball during the decision.</summary>
        public bool HasTouchedBall;
    }

    /// <summary>
    /// The part of mobile_ball that is neither physics nor reward, for one copy: it starts episodes, drives and measures.
    /// The same draws and the same physics give the same signals as python/companion/tasks/mobile_ball.py.
    /// </summary>
    public sealed class MobileBallScene : RosbotScene
    {
        private const int Ball = 0;
        private const int Person = 1;

        private readonly BallPlayer _player;
        private readonly Places _at;
        private readonly double _gravity;
        private readonly double _ballRadiusM;
        private readonly double _rollingShare;
        private readonly double _atFeetM;
        private readonly double _stillMps;
        private readonly double _readyM;
        private readonly int _wantedInARow;
        private readonly double[] _startsAwayM;
        private readonly double _personClearanceM;
        private readonly double _robotClearanceM;
        private readonly int _roomSize, _furnitureCount, _difficulty, _drag;
        private bool _hasTouched;
        private int _returns;
        private int _inARow;
        private double _ballDistance;
        private double _readyDistance;

        public MobileBallScene(CompanionData data) : base(data, new MobileBallRules(data.Task("mobile_ball")), 2)
        {
            JsonValue constants = Task.Constants;
            _player = new BallPlayer(data.Shared("people"), data.Shared("player"));
            _at = new Places(Task.Signals);
            _gravity = data.Shared("mobile_room")["GRAVITY"].Number;
            _atFeetM = constants["AT_FEET_M"].Number;
            _stillMps = constants["STILL_MPS"].Number;
            _readyM = constants["READY_M"].Number;
            _wantedInARow = constants["WANTED_IN_A_ROW"].Integer;
            _startsAwayM = constants["STARTS_AWAY_M"].Numbers;
            _personClearanceM = constants["PERSON_CLEARANCE_M"].Number;
            _robotClearanceM = constants["ROBOT_CLEARANCE_M"].Number;
            _rollingShare = constants["SPHERE"].Number;
            _ballRadiusM = constants["BALL_RADIUS_M"].Number;
            var known = new Perturbations(Task);
            _roomSize = known.IndexOf("room_size_m");
            _furnitureCount = known.IndexOf("furniture_count");
            _difficulty = known.IndexOf("difficulty");
            _drag = known.IndexOf("ball_drag");
        }

        /// <summary>The person, who holds the ball unless it is out.</summary>
        public override Figures People => _player;

        /// <summary>What resists the ball's rolling in this episode, as MuJoCo has it: a torque per load, m.</summary>
        public double RollingResistanceM => World.Value(_drag) * _ballRadiusM * _rollingShare;

        /// <summary>
        /// Whether the ball is to be laid still at <see cref="HeldX"/>, <see cref="HeldY"/> before this decision's physics:
        /// the person has it, or rolls it from there.
        /// </summary>
        public bool IsLaid { get; private set; }

        public double HeldX { get; private set; }

        public double HeldY { get; private set; }

        /// <summary>Whether the person rolls it now, at <see cref="RollX"/>, <see cref="RollY"/> m/s without slipping.</summary>
        public bool IsRolled { get; private set; }

        public double RollX { get; private set; }

        public double RollY { get; private set; }

        /// <summary>All signals but those of the action.</summary>
        public void Measure(in BallBody body, IDraws draws, double[] signals)
        {
            LookAt(body.BallX, body.BallY);
            MeasureRobot(body.Robot, draws, signals);
            MeasureSeen(body.Robot, signals);
            MeasureGame(body, signals);
            NextRound(signals, draws);
            signals[_at.Returns] = _returns;
            signals[_at.InARow] = _inARow;
            signals[_at.Success] = _inARow >= _wantedInARow && !body.Robot.HasContact ? 1.0 : 0.0;
        }

        /// <summary>Put the person with the ball somewhere, and the robot near them.</summary>
        protected override void Arrange(IDraws draws)
        {
            Room.Draw(World.Value(_roomSize), World.Value(_furnitureCount), draws);
            Room.DrawFreePoint(_personClearanceM, default, draws, out double personX, out double personY);
            var person = new Pose2(personX, personY, 0.0);
            Room.DrawFreePointNear(_robotClearanceM, person, _startsAwayM, draws, out double x, out double y);
            _player.Place(person, new Pose2(x, y, 0.0), World.Value(_difficulty), draws);
            StartPose = new Pose2(x, y, draws.Uniform(-Math.PI, Math.PI));
            LayBall();
            IsLaid = true;
            IsRolled = false;
            _hasTouched = false;
            _returns = _inARow = 0;
            _ballDistance = Plane.Length(HeldX - personX, HeldY - personY);
            _readyDistance = ReadyDistance(HeldX, HeldY, x, y);
        }

        protected override void LookAtStart() => LookAt(HeldX, HeldY);

        /// <summary>Let the person hold the ball, walk and roll it.</summary>
        protected override void LiveOn(Pose2 robot, IDraws draws)
        {
            IsRolled = _player.Act(robot, Task.ControlPeriodS);
            IsLaid = !_player.IsPlaying;
            if (IsLaid)
            {
                LayBall();
            }
            if (IsRolled)
            {
                double deceleration = World.Value(_drag) * _gravity;
                _player.Roll(robot, deceleration, Room, draws, out double rollX, out double rollY);
                (RollX, RollY) = (rollX, rollY);
                _hasTouched = false;
            }
        }

        private static double Number(bool claim) => claim ? 1.0 : 0.0;

        private void LayBall()
        {
            HeldX = _player.BallX;
            HeldY = _player.BallY;
        }

        private void LookAt(double ballX, double ballY)
        {
            Tracker.Truth[2 * Ball] = ballX;
            Tracker.Truth[2 * Ball + 1] = ballY;
            Tracker.Truth[2 * Person] = _player.X[0];
            Tracker.Truth[2 * Person + 1] = _player.Y[0];
        }

        /// <summary>From the robot to the place behind the ball, seen from the person, m.</summary>
        private double ReadyDistance(double ballX, double ballY, double robotX, double robotY)
        {
            double awayX = ballX - _player.X[0], awayY = ballY - _player.Y[0];
            double share = _readyM / Math.Max(Plane.Length(awayX, awayY), 1e-9);
            return Plane.Length(ballX + share * awayX - robotX, ballY + share * awayY - robotY);
        }

        /// <summary>What the camera tracker tells of ball and person, in the robot's frame.</summary>
        private void MeasureSeen(in MobileBody robot, double[] signals)
        {
            MeasureSeenVelocity(Ball, robot, signals, _at.BallVelocity);
            signals[_at.TrackedAge] = Tracker.AgeS[Ball];
            signals[_at.TrackedAge + 1] = Tracker.AgeS[Person];
            MeasureSeenPlace(Ball, robot, signals, _at.BallSeenDistance, _at.BallSeenDirection);
            MeasureSeenPlace(Person, robot, signals, _at.PersonSeenDistance, _at.PersonSeenDirection);
        }

        /// <summary>Where the ball truly is, how it moves, and whether it has come back.</summary>
        private void MeasureGame(in BallBody body, double[] signals)
        {
            bool isOut = _player.IsPlaying, isTouch = body.HasTouchedBall && isOut;
            _hasTouched |= isTouch;
            double toPerson = Plane.Length(body.BallX - _player.X[0], body.BallY - _player.Y[0]);
            double ready = ReadyDistance(body.BallX, body.BallY, body.Robot.X, body.Robot.Y);
            double speed = Plane.Length(body.BallVelocityX, body.BallVelocityY);
            bool isAtFeet = isOut && speed < _stillMps && toPerson <= _atFeetM;
            bool isKnown = isOut && _player.SinceS > Task.ControlPeriodS;
            double nearer = (_ballDistance - toPerson) / Task.ControlPeriodS;
            double readier = (_readyDistance - ready) / Task.ControlPeriodS;
            signals[_at.BallPosition] = body.BallX;
            signals[_at.BallPosition + 1] = body.BallY;
            signals[_at.PersonPosition] = _player.X[0];
            signals[_at.PersonPosition + 1] = _player.Y[0];
            signals[_at.Distance] = Plane.Length(body.BallX - body.Robot.X, body.BallY - body.Robot.Y);
            signals[_at.BallToPerson] = toPerson;
            signals[_at.BallSpeed] = speed;
            signals[_at.BallReturnSpeed] = _hasTouched && isKnown ? nearer : 0.0;
            signals[_at.ReadyDistance] = ready;
            signals[_at.ReadySpeed] = isKnown ? readier : 0.0;
            signals[_at.BallIsOut] = Number(isOut);
            signals[_at.Touch] = Number(isTouch);
            signals[_at.Returned] = Number(isAtFeet && _hasTouched);
            _ballDistance = toPerson;
            _readyDistance = ready;
        }

        /// <summary>Count what came back and what is lost, and give the person the ball again.</summary>
        private void NextRound(double[] signals, IDraws draws)
        {
            bool isReturned = signals[_at.Returned] > 0.0, isOut = _player.IsPlaying;
            bool isNear = signals[_at.BallToPerson] <= _atFeetM && signals[_at.BallSpeed] < _stillMps;
            bool isLost = isOut && !isReturned && _player.SinceS > _player.GivesUpS;
            bool neverWent = isOut && isNear && !isReturned && _player.SinceS > 1.0;
            _returns += isReturned ? 1 : 0;
            _inARow = isLost ? 0 : _inARow + (isReturned ? 1 : 0);
            if (isReturned || isLost || neverWent)
            {
                _player.Take(Room, draws);
            }
        }

        /// <summary>Where each signal begins.</summary>
        private sealed class Places
        {
            public readonly int BallVelocity, TrackedAge, BallSeenDistance, BallSeenDirection, PersonSeenDistance;
            public readonly int PersonSeenDirection, BallPosition, PersonPosition, Distance, BallToPerson, BallSpeed;
            public readonly int BallReturnSpeed, ReadyDistance, ReadySpeed, BallIsOut, Touch, Returned, Returns, InARow;
            public readonly int Success;

            public Places(SignalLayout signals)
            {
                BallVelocity = signals.Where("ball_velocity").Start;
                TrackedAge = signals.Where("tracked_age_s").Start;
                BallSeenDistance = signals.Where("ball_distance").Start;
                BallSeenDirection = signals.Where("ball_direction").Start;
                PersonSeenDistance = signals.Where("person_distance").Start;
                PersonSeenDirection = signals.Where("person_direction").Start;
                BallPosition = signals.Where("ball_position_room").Start;
                PersonPosition = signals.Where("person_position_room").Start;
                Distance = signals.Where("distance").Start;
                BallToPerson = signals.Where("ball_to_person").Start;
                BallSpeed = signals.Where("ball_speed").Start;
                BallReturnSpeed = signals.Where("ball_return_speed").Start;
                ReadyDistance = signals.Where("ready_distance").Start;
                ReadySpeed = signals.Where("ready_speed").Start;
                BallIsOut = signals.Where("ball_is_out").Start;
                Touch = signals.Where("touch").Start;
                Returned = signals.Where("returned").Start;
                Returns = signals.Where("returns").Start;
                InARow = signals.Where("in_a_row").Start;
                Success = signals.Where("success").Start;
            }
        }
    }
}
