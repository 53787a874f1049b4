using System;

namespace Companion.Core
{
    /// <summary>
    /// The robot of the play tasks: how it drives, what its scanner sees, how gently it moves. The same draws and the same
    /// physics give the same signals as python/companion/tasks/_rosbot_base.py.
    /// </summary>
    public sealed class RosbotBase
    {
        private const double OdometryNoise = 0.01;

        private readonly TaskData _task;
        private readonly Rosbot _robot;
        private readonly LaserScan _lidar;
        private readonly Places _at;
        private readonly double _nearM;
        private readonly double _touchM;
        private readonly double _laterS;
        private readonly int _slipLeft, _slipRight, _lidarNoise, _lidarDropout, _lidarYaw;

        private Perturbations _perturbations;
        private double _forwardCommand;
        private double _turningCommand;
        private double _speed;
        private double _acceleration;
        private double _jerkSquared;

        public RosbotBase(CompanionData data, TaskData task)
        {
            _task = task;
            _robot = data.Rosbot;
            JsonValue shared = data.Shared("rosbot_base");
            Rays = shared["RAYS"].Integer;
            int beams = shared["BEAMS"].Integer, scansBack = task.Constants["SCANS_BACK"].Integer;
            _lidar = new LaserScan(Rays, beams, _robot.LidarMinM, _robot.LidarMaxM, scansBack);
            _nearM = shared["NEAR_M"].Number;
            _touchM = shared["TOUCH_M"].Number;
            _laterS = data.Shared("mobile_room")["LATER_S"].Number;
            _at = new Places(task.Signals);
            var known = new Perturbations(task);
            _slipLeft = known.IndexOf("wheel_slip_left");
            _slipRight = known.IndexOf("wheel_slip_right");
            _lidarNoise = known.IndexOf("lidar_noise_share");
            _lidarDropout = known.IndexOf("lidar_dropout_share");
            _lidarYaw = known.IndexOf("lidar_yaw_rad");
        }

        /// <summary>Rays of a scan.</summary>
        public int Rays { get; }

        /// <summary>To be filled with what each ray meets, m, before <see cref="Look"/>.</summary>
        public double[] TrueRanges => _lidar.TrueRanges;

        /// <summary>Of the episode so far.</summary>
        public int Decisions { get; private set; }

        /// <summary>The ground speed to ask of each side's wheels in this decision, m/s.</summary>
        public double LeftWheelMps { get; private set; }

        public double RightWheelMps { get; private set; }

        /// <summary>An episode starts: stand still. <see cref="LookFirst"/> is still to be called.</summary>
        public void Begin(Perturbations perturbations)
        {
            _perturbations = perturbations;
            _forwardCommand = _turningCommand = _speed = _acceleration = _jerkSquared = 0.0;
            LeftWheelMps = RightWheelMps = 0.0;
            Decisions = 0;
        }

        /// <summary>Where a scan's first ray starts and points to in the room; the others follow evenly, counter-clockwise.</summary>
        public Pose2 ScannerPose(Pose2 robot)
        {
            double ahead = _robot.LidarPositionBaseM[0];
            double x = robot.X + ahead * Math.Cos(robot.Yaw), y = robot.Y + ahead * Math.Sin(robot.Yaw);
            return new Pose2(x, y, robot.Yaw + _perturbations.Value(_lidarYaw));
        }

        /// <summary>All the scans that are remembered, at an episode's start.</summary>
        public void LookFirst(IDraws draws)
        {
            for (int scan = 0; scan < _lidar.Scans; scan++)
            {
                Look(draws);
            }
        }

        /// <summary>Turn the scanner once.</summary>
        public void Look(IDraws draws)
        {
            _lidar.Scan(_perturbations.Value(_lidarNoise), _perturbations.Value(_lidarDropout), draws);
        }

        /// <summary>Ask the wheels for a speed and a turn, as fast as the robot's own controller gets there.</summary>
        /// <param name="action">Forward and turning speed, each in [-1, 1].</param>
        public void Drive(double[] action)
        {
            double faster = _robot.MaxAccelerationMps2 * _task.ControlPeriodS;
            double turn = _robot.MaxTurningAccelerationRadps2 * _task.ControlPeriodS;
            _forwardCommand += Math.Clamp(_task.Action[0].Command(action[0]) - _forwardCommand, -faster, faster);
            _turningCommand += Math.Clamp(_task.Action[1].Command(action[1]) - _turningCommand, -turn, turn);
            double halfTrack = _turningCommand * (_robot.WheelSeparationM / 2.0);
            LeftWheelMps = (_forwardCommand - halfTrack) * (1.0 - _perturbations.Value(_slipLeft));
            RightWheelMps = (_forwardCommand + halfTrack) * (1.0 - _perturbations.Value(_slipRight));
            Decisions++;
        }

        /// <summary>The signals of the robot itself and of who is near.</summary>
        public void Measure(in MobileBody body, Room room, Figures people, IDraws draws, double[] signals)
        {
            double cos = Math.Cos(body.Yaw), sin = Math.Sin(body.Yaw);
            double forward = cos * body.VelocityX + sin * body.VelocityY;
            MeasureScans(signals);
            signals[_at.Velocity] = forward + OdometryNoise * draws.Normal();
            signals[_at.Velocity + 1] = body.TurningSpeed + OdometryNoise * draws.Normal();
            signals[_at.Position] = body.X;
            signals[_at.Position + 1] = body.Y;
            signals[_at.Yaw] = body.Yaw;
            signals[_at.Speed] = Math.Abs(forward);
            signals[_at.TurningSpeed] = Math.Abs(body.TurningSpeed);
            signals[_at.Power] = Math.Abs(body.LeftForceN * LeftWheelMps) + Math.Abs(body.RightForceN * RightWheelMps);
            double toPeople = MeasureNeighbours(body, room, people, signals);
            signals[_at.SpeedNearPerson] = toPeople < _nearM ? Math.Abs(forward) : 0.0;
            signals[_at.ContactIn] = SoonestContact(body, people, forward * cos, forward * sin);
            MeasureJerk(forward, signals);
        }

        private static double Number(bool claim) => claim ? 1.0 : 0.0;

        private void MeasureScans(double[] signals)
        {
            double[] newest = _lidar.Nearest, before = _lidar.NearestBefore;
            for (int beam = 0; beam < newest.Length; beam++)
            {
                signals[_at.Nearness + beam] = 1.0 / newest[beam];
                signals[_at.NearnessBefore + beam] = 1.0 / before[beam];
            }
        }

        /// <summary>What is near, and whom the robot has touched; gives the distance to the nearest person's body, m.</summary>
        private double MeasureNeighbours(in MobileBody body, Room room, Figures people, double[] signals)
        {
            double gap = room.Clearance(body.X, body.Y);
            var near = NearestPerson.Of(people, body.X, body.Y);
            double toPeople = near.Distance - people.RadiusM;
            // A robot that has bumped into somebody stands: what it was up to is its speed of the decision before.
            double robotClosing = _speed * (Math.Cos(body.Yaw) * near.DirectionX + Math.Sin(body.Yaw) * near.DirectionY);
            double personClosing = -(people.VelocityX[near.Index] * near.DirectionX
                + people.VelocityY[near.Index] * near.DirectionY);
            bool isPerson = body.HasContact && toPeople < _robot.RadiusM + _touchM && toPeople < gap;
            signals[_at.Clearance] = Math.Min(gap, toPeople) - _robot.RadiusM;
            signals[_at.Contact] = Number(body.HasContact);
            signals[_at.ContactPerson] = Number(isPerson);
            signals[_at.ContactWalkedIn] = Number(isPerson && personClosing > robotClosing);
            return toPeople;
        }

        /// <summary>How soon the robot touches somebody if neither it nor they change their velocity, s; 0 in contact.</summary>
        private double SoonestContact(in MobileBody body, Figures people, double velocityX, double velocityY)
        {
            double radii = _robot.RadiusM + people.RadiusM, soonest = _laterS;
            for (int person = 0; person < people.Count; person++)
            {
                double x = people.X[person] - body.X, y = people.Y[person] - body.Y;
                double speedX = people.VelocityX[person] - velocityX, speedY = people.VelocityY[person] - velocityY;
                // |offset + t speed| = both radii, a quadratic equation in t.
                double squared = Math.Max(speedX * speedX + speedY * speedY, 1e-9);
                double half = x * speedX + y * speedY;
                double gap = x * x + y * y - radii * radii;
                double root = half * half - squared * gap;
                double time = root > 0.0 && half < 0.0 ? (-half - Math.Sqrt(root)) / squared : _laterS;
                soonest = Math.Min(soonest, Math.Clamp(gap <= 0.0 ? 0.0 : time, 0.0, _laterS));
            }
            return soonest;
        }

        private void MeasureJerk(double forward, double[] signals)
        {
            double acceleration = Decisions > 0 ? (forward - _speed) / _task.ControlPeriodS : 0.0;
            double jerk = (acceleration - _acceleration) / _task.ControlPeriodS;
            _speed = forward;
            _acceleration = acceleration;
            _jerkSquared += jerk * jerk;
            signals[_at.Jerk] = jerk;
            signals[_at.JerkRms] = Math.Sqrt(_jerkSquared / Math.Max(Decisions, 1));
        }

        /// <summary>Where each signal begins.</summary>
        private sealed class Places
        {
            public readonly int Nearness, NearnessBefore, Velocity, Position, Yaw, Clearance, Speed, SpeedNearPerson;
            public readonly int TurningSpeed, ContactIn, Jerk, JerkRms, Power, Contact, ContactPerson, ContactWalkedIn;

            public Places(SignalLayout signals)
            {
                Nearness = signals.Where("lidar_nearness").Start;
                NearnessBefore = signals.Where("lidar_nearness_before").Start;
                Velocity = signals.Where("velocity").Start;
                Position = signals.Where("position_room").Start;
                Yaw = signals.Where("yaw_room").Start;
                Clearance = signals.Where("clearance").Start;
                Speed = signals.Where("speed").Start;
                SpeedNearPerson = signals.Where("speed_near_person").Start;
                TurningSpeed = signals.Where("turning_speed").Start;
                ContactIn = signals.Where("person_contact_in_s").Start;
                Jerk = signals.Where("jerk").Start;
                JerkRms = signals.Where("jerk_rms").Start;
                Power = signals.Where("power").Start;
                Contact = signals.Where("contact").Start;
                ContactPerson = signals.Where("contact_person").Start;
                ContactWalkedIn = signals.Where("contact_person_walked_in").Start;
            }
        }
    }
}
