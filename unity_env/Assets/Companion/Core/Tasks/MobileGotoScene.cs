using System;

namespace Companion.Core
{
    /// <summary>What is true of a wheeled robot at the end of a decision; the room's frame, SI units.</summary>
    public struct MobileBody
    {
        public double X;
        public double Y;

        /// <summary>rad, counter-clockwise from x.</summary>
        public double Yaw;

        public double VelocityX;
        public double VelocityY;

        /// <summary>rad/s, counter-clockwise.</summary>
        public double TurningSpeed;

        /// <summary>What each wheel pushes the robot on with, N.</summary>
        public double LeftForceN;
        public double RightForceN;

        /// <summary>Whether the robot touched anything during the decision.</summary>
        public bool HasContact;
    }

    /// <summary>
    /// The part of mobile_goto that is neither physics nor reward, for one copy: it starts episodes, drives and measures.
    /// The same draws and the same physics give the same signals as python/companion/tasks/mobile_goto.py.
    /// </summary>
    public sealed class MobileGotoScene : IMobileScene
    {
        /// <summary>A touch within a decision may have parted again by its end, by no more than a step's walk, m.</summary>
        private const double PartedM = 0.08;

        private const double OdometryNoise = 0.01;

        private const int ScansBack = 1;

        private readonly TurtleBot3 _robot;
        private readonly LaserScan _lidar;
        private readonly People _people;
        private readonly ActionEntry _forward;
        private readonly ActionEntry _turning;
        private readonly Places _at;
        private readonly double _successRadiusM;
        private readonly double _startClearanceM;
        private readonly double _goalClearanceM;
        private readonly double _goalAwayM;
        private readonly int _scanSteps;
        private readonly int _roomSize, _furnitureCount, _peopleCount, _peopleSpeed, _peopleYield;
        private readonly int _lidarNoise, _lidarDropout, _lidarYaw, _goalNoise, _goalOffset, _slipLeft, _slipRight;

        private Perturbations _perturbations;
        private double _goalErrorX;
        private double _goalErrorY;
        private double _scanAgeS;
        private int _scanDueSteps;
        private double _distance;
        private double _forwardMps;

        public MobileGotoScene(CompanionData data)
        {
            Task = data.Task("mobile_goto");
            Rules = new MobileGotoRules(Task);
            JsonValue constants = Task.Constants;
            _robot = data.TurtleBot3;
            Room = new Room(data.Shared("room"), constants["FURNITURE"].Integer);
            _people = new People(data.Shared("people"), constants["PEOPLE"].Integer);
            Rays = constants["RAYS"].Integer;
            _lidar = new LaserScan(Rays, constants["BEAMS"].Integer, _robot.LidarMinM, _robot.LidarMaxM, ScansBack);
            _forward = Task.Action[0];
            _turning = Task.Action[1];
            _at = new Places(Task.Signals);
            _successRadiusM = constants["SUCCESS_RADIUS_M"].Number;
            _startClearanceM = constants["START_CLEARANCE_M"].Number;
            _goalClearanceM = constants["GOAL_CLEARANCE_M"].Number;
            _goalAwayM = constants["GOAL_AWAY_M"].Number;
            _scanSteps = constants["SCAN_STEPS"].Integer;
            var known = new Perturbations(Task);
            _roomSize = known.IndexOf("room_size_m");
            _furnitureCount = known.IndexOf("furniture_count");
            _peopleCount = known.IndexOf("people_count");
            _peopleSpeed = known.IndexOf("people_speed_mps");
            _peopleYield = known.IndexOf("people_yield_share");
            _lidarNoise = known.IndexOf("lidar_noise_share");
            _lidarDropout = known.IndexOf("lidar_dropout_share");
            _lidarYaw = known.IndexOf("lidar_yaw_rad");
            _goalNoise = known.IndexOf("goal_noise_m");
            _goalOffset = known.IndexOf("goal_offset_m");
            _slipLeft = known.IndexOf("wheel_slip_left");
            _slipRight = known.IndexOf("wheel_slip_right");
        }

        public TaskData Task { get; }

        public ITaskRules Rules { get; }

        public Room Room { get; }

        public Figures People => _people;

        /// <summary>In the room, m.</summary>
        public double GoalX { get; private set; }

        public double GoalY { get; private set; }

        public Pose2 StartPose { get; private set; }

        public int Rays { get; }

        public double ScannerHeightM => _robot.LidarPositionBaseM[2];

        public double[] TrueRanges => _lidar.TrueRanges;

        public bool IsScanDue => _scanDueSteps == 0;

        public double LeftWheelMps { get; private set; }

        public double RightWheelMps { get; private set; }

        public void Start(Perturbations perturbations, IDraws draws)
        {
            _perturbations = perturbations;
            Room.Draw(perturbations.Value(_roomSize), perturbations.Value(_furnitureCount), draws);
            Room.DrawFreePoint(_startClearanceM, default, draws, out double x, out double y);
            var apart = new Apart(x, y, _goalAwayM);
            Room.DrawFreePoint(_goalClearanceM, apart, draws, out double goalX, out double goalY);
            (GoalX, GoalY) = (goalX, goalY);
            var habits = new Habits(
                perturbations.Value(_peopleCount), perturbations.Value(_peopleSpeed), perturbations.Value(_peopleYield));
            _people.Place(Room, new Pose2(x, y, 0.0), habits, draws);
            double angle = draws.Uniform(-Math.PI, Math.PI);
            _goalErrorX = perturbations.Value(_goalOffset) * Math.Cos(angle);
            _goalErrorY = perturbations.Value(_goalOffset) * Math.Sin(angle);
            StartPose = new Pose2(x, y, draws.Uniform(-Math.PI, Math.PI));
            _distance = Plane.Length(goalX - x, goalY - y);
            _forwardMps = 0.0;
            LeftWheelMps = RightWheelMps = 0.0;
        }

        public void FirstScan(IDraws draws)
        {
            Scan(draws);
            _lidar.ForgetBefore();
            _scanDueSteps = draws.Integer(1, _scanSteps);
        }

        public Pose2 ScannerPose(Pose2 robot)
        {
            double ahead = _robot.LidarPositionBaseM[0];
            double x = robot.X + ahead * Math.Cos(robot.Yaw), y = robot.Y + ahead * Math.Sin(robot.Yaw);
            return new Pose2(x, y, robot.Yaw + _perturbations.Value(_lidarYaw));
        }

        public void Drive(double[] action, Pose2 robot, IDraws draws)
        {
            double forward = _forward.Command(action[0]);
            double halfTrack = _turning.Command(action[1]) * (_robot.WheelSeparationM / 2.0);
            LeftWheelMps = (forward - halfTrack) * (1.0 - _perturbations.Value(_slipLeft));
            RightWheelMps = (forward + halfTrack) * (1.0 - _perturbations.Value(_slipRight));
            _people.Walk(Room, robot.X, robot.Y, _robot.RadiusM, Task.ControlPeriodS, draws);
            _scanAgeS += Task.ControlPeriodS;
            _scanDueSteps--;
        }

        /// <summary>All signals but those of the action.</summary>
        public void Measure(in MobileBody body, IDraws draws, double[] signals)
        {
            if (IsScanDue)
            {
                Scan(draws);
                _scanDueSteps = _scanSteps;
            }
            double cos = Math.Cos(body.Yaw), sin = Math.Sin(body.Yaw);
            double forward = cos * body.VelocityX + sin * body.VelocityY;
            MeasureScan(signals);
            MeasureSeenGoal(body, cos, sin, draws, signals);
            signals[_at.Velocity] = forward + OdometryNoise * draws.Normal();
            signals[_at.Velocity + 1] = body.TurningSpeed + OdometryNoise * draws.Normal();
            signals[_at.Position] = body.X;
            signals[_at.Position + 1] = body.Y;
            signals[_at.Speed] = Math.Abs(forward);
            signals[_at.TurningSpeed] = Math.Abs(body.TurningSpeed);
            signals[_at.Power] = Math.Abs(body.LeftForceN * LeftWheelMps) + Math.Abs(body.RightForceN * RightWheelMps);
            MeasureNeighbours(body, cos, sin, signals);
            MeasureDistance(body, signals);
            _forwardMps = forward;
        }

        private static double Number(bool claim) => claim ? 1.0 : 0.0;

        private void Scan(IDraws draws)
        {
            _lidar.Scan(_perturbations.Value(_lidarNoise), _perturbations.Value(_lidarDropout), draws);
            _scanAgeS = 0.0;
        }

        private void MeasureScan(double[] signals)
        {
            for (int beam = 0; beam < _lidar.Nearest.Length; beam++)
            {
                signals[_at.Range + beam] = _lidar.Nearest[beam];
                signals[_at.RangeBefore + beam] = _lidar.NearestBefore[beam];
                signals[_at.Nearness + beam] = 1.0 / _lidar.Nearest[beam];
                signals[_at.NearnessBefore + beam] = 1.0 / _lidar.NearestBefore[beam];
            }
            signals[_at.Age] = _scanAgeS;
        }

        private void MeasureSeenGoal(in MobileBody body, double cos, double sin, IDraws draws, double[] signals)
        {
            double noise = _perturbations.Value(_goalNoise);
            double x = GoalX - body.X + _goalErrorX + noise * draws.Normal();
            double y = GoalY - body.Y + _goalErrorY + noise * draws.Normal();
            double distance = Math.Max(Plane.Length(x, y), 1e-6);
            signals[_at.SeenDistance] = distance;
            signals[_at.Direction] = (cos * x + sin * y) / distance;
            signals[_at.Direction + 1] = (cos * y - sin * x) / distance;
        }

        /// <summary>What is near, and whom the robot has touched.</summary>
        private void MeasureNeighbours(in MobileBody body, double cos, double sin, double[] signals)
        {
            double gap = Room.Clearance(body.X, body.Y);
            NearestPerson near = NearestPerson.Of(People, body.X, body.Y);
            double toPeople = near.Distance - People.RadiusM, x = near.DirectionX, y = near.DirectionY;
            // A robot that has bumped into somebody stands: what it was up to is its speed of the decision before.
            double robotClosing = _forwardMps * (cos * x + sin * y);
            double personClosing = -(People.VelocityX[near.Index] * x + People.VelocityY[near.Index] * y);
            bool isPerson = body.HasContact && toPeople < _robot.RadiusM + PartedM && toPeople < gap;
            signals[_at.Clearance] = Math.Min(gap, toPeople) - _robot.RadiusM;
            signals[_at.Contact] = Number(body.HasContact);
            signals[_at.ContactPerson] = Number(isPerson);
            signals[_at.ContactWalkedIn] = Number(isPerson && personClosing > robotClosing);
        }

        private void MeasureDistance(in MobileBody body, double[] signals)
        {
            double distance = Plane.Length(GoalX - body.X, GoalY - body.Y);
            signals[_at.Goal] = GoalX;
            signals[_at.Goal + 1] = GoalY;
            signals[_at.Distance] = distance;
            signals[_at.Approach] = (_distance - distance) / Task.ControlPeriodS;
            signals[_at.Success] = Number(distance < _successRadiusM && !body.HasContact);
            _distance = distance;
        }

        /// <summary>Where each signal begins.</summary>
        private sealed class Places
        {
            public readonly int Range, RangeBefore, Nearness, NearnessBefore, Age, SeenDistance, Direction, Velocity;
            public readonly int Position, Goal, Distance, Approach, Clearance, Speed, TurningSpeed, Power;
            public readonly int Contact, ContactPerson, ContactWalkedIn, Success;

            public Places(SignalLayout signals)
            {
                Range = signals.Where("lidar_range").Start;
                RangeBefore = signals.Where("lidar_range_before").Start;
                Nearness = signals.Where("lidar_nearness").Start;
                NearnessBefore = signals.Where("lidar_nearness_before").Start;
                Age = signals.Where("lidar_age_s").Start;
                SeenDistance = signals.Where("goal_distance").Start;
                Direction = signals.Where("goal_direction").Start;
                Velocity = signals.Where("velocity").Start;
                Position = signals.Where("position_room").Start;
                Goal = signals.Where("goal_position_room").Start;
                Distance = signals.Where("distance").Start;
                Approach = signals.Where("approach_speed").Start;
                Clearance = signals.Where("clearance").Start;
                Speed = signals.Where("speed").Start;
                TurningSpeed = signals.Where("turning_speed").Start;
                Power = signals.Where("power").Start;
                Contact = signals.Where("contact").Start;
                ContactPerson = signals.Where("contact_person").Start;
                ContactWalkedIn = signals.Where("contact_person_walked_in").Start;
                Success = signals.Where("success").Start;
            }
        }
    }
}
