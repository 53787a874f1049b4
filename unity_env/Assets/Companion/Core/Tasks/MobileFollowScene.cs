using System;

namespace Companion.Core
{
    /// <summary>
    /// The part of mobile_follow that is neither physics nor reward, for one copy: it starts episodes, drives and measures.
    /// The same draws and the same physics give the same signals as python/companion/tasks/mobile_follow.py.
    /// </summary>
    public sealed class MobileFollowScene
    {
        private readonly Tracker _tracker;
        private readonly Places _at;
        private readonly double[] _bandM;
        private readonly double[] _startsAwayM;
        private readonly double _cosFacing;
        private readonly double _cosAhead;
        private readonly double _walksMps;
        private readonly double _successShare;
        private readonly double _robotClearanceM;
        private readonly double _personClearanceM;
        private readonly int _graceSteps;
        private readonly int _roomSize, _furnitureCount, _peopleCount, _peopleSpeed, _difficulty;
        private Perturbations _perturbations;
        private double _kept;

        public MobileFollowScene(CompanionData data)
        {
            Task = data.Task("mobile_follow");
            Rules = new MobileFollowRules(Task);
            JsonValue constants = Task.Constants, walkers = data.Shared("walkers");
            Room = new Room(data.Shared("room"), constants["FURNITURE"].Integer);
            int most = 1 + walkers["PASSERS_BY"].Integer;
            People = new Walkers(data.Shared("people"), walkers, most, Task.ControlPeriodS);
            Base = new RosbotBase(data, Task);
            _tracker = new Tracker(Task, data.Shared("tracker"), 1, 2);
            _at = new Places(Task.Signals);
            _bandM = constants["BAND_M"].Numbers;
            _startsAwayM = constants["STARTS_AWAY_M"].Numbers;
            _cosFacing = Math.Cos(constants["FACING_RAD"].Number);
            _cosAhead = Math.Cos(constants["AHEAD_RAD"].Number);
            _walksMps = constants["WALKS_MPS"].Number;
            _successShare = constants["SUCCESS_SHARE"].Number;
            _robotClearanceM = constants["ROBOT_CLEARANCE_M"].Number;
            _personClearanceM = constants["PERSON_CLEARANCE_M"].Number;
            _graceSteps = (int)Math.Round(constants["GRACE_S"].Number / Task.ControlPeriodS);
            var known = new Perturbations(Task);
            _roomSize = known.IndexOf("room_size_m");
            _furnitureCount = known.IndexOf("furniture_count");
            _peopleCount = known.IndexOf("people_count");
            _peopleSpeed = known.IndexOf("people_speed_mps");
            _difficulty = known.IndexOf("difficulty");
        }

        public TaskData Task { get; }

        public MobileFollowRules Rules { get; }

        public Room Room { get; }

        /// <summary>The first is the one to walk with.</summary>
        public Walkers People { get; }

        /// <summary>The robot: wheel speeds to ask for, and its scanner.</summary>
        public RosbotBase Base { get; }

        /// <summary>Where the robot stands when an episode starts.</summary>
        public Pose2 StartPose { get; private set; }

        /// <summary>
        /// To be filled with what each ray meets, m, before <see cref="FirstScan"/>, and before <see cref="Measure"/> where
        /// <see cref="IsScanDue"/>.
        /// </summary>
        public double[] TrueRanges => Base.TrueRanges;

        /// <summary>Whether the coming measurement takes a new scan: after every decision.</summary>
        public bool IsScanDue => Base.Decisions > 0;

        /// <summary>An episode starts: furnish the room, put the robot into it, the person near it, the others anywhere.</summary>
        /// <param name="perturbations">Of this episode; kept.</param>
        /// <param name="draws">Chance.</param>
        public void Start(Perturbations perturbations, IDraws draws)
        {
            Room.Draw(perturbations.Value(_roomSize), perturbations.Value(_furnitureCount), draws);
            Room.DrawFreePoint(_robotClearanceM, default, draws, out double x, out double y);
            StartPose = new Pose2(x, y, draws.Uniform(-Math.PI, Math.PI));
            Room.DrawFreePointNear(_personClearanceM, StartPose, _startsAwayM, draws, out double personX, out double personY);
            var crowd = new Crowd(
                perturbations.Value(_peopleCount), perturbations.Value(_peopleSpeed), perturbations.Value(_difficulty));
            People.Place(Room, StartPose, new Pose2(personX, personY, 0.0), crowd, draws);
            _kept = 0.0;
            _perturbations = perturbations;
            Base.Begin(perturbations);
        }

        /// <summary>The rest of an episode's start, once everything stands in its place and the rays were cast.</summary>
        public void FirstScan(IDraws draws)
        {
            Base.Look(draws);
            Base.Look(draws);
            LookAtPerson();
            _tracker.Begin(_perturbations, draws);
        }

        /// <summary>A decision takes effect: the robot drives on, and the people walk.</summary>
        /// <param name="action">Forward and turning speed, each in [-1, 1].</param>
        /// <param name="robot">Where it stands.</param>
        /// <param name="draws">Chance.</param>
        public void Drive(double[] action, Pose2 robot, IDraws draws)
        {
            Base.Drive(action);
            People.Walk(Room, robot, draws);
            _tracker.Tick(Task.ControlPeriodS);
        }

        /// <summary>All signals but those of the action.</summary>
        public void Measure(in MobileBody body, IDraws draws, double[] signals)
        {
            if (IsScanDue)
            {
                Base.Look(draws);
            }
            LookAtPerson();
            _tracker.See(draws);
            Base.Measure(body, Room, People, draws, signals);
            double cos = Math.Cos(body.Yaw), sin = Math.Sin(body.Yaw);
            MeasurePersonSeen(body, cos, sin, signals);
            MeasurePersonTruly(body, cos, sin, signals);
            int counted = Base.Decisions - _graceSteps;
            _kept += counted > 0 ? signals[_at.InBand] : 0.0;
            double share = _kept / Math.Max(counted, 1);
            bool isDone = Base.Decisions >= Task.MaxEpisodeSteps && share >= _successShare && !body.HasContact;
            signals[_at.BandShare] = share;
            signals[_at.Success] = isDone ? 1.0 : 0.0;
        }

        private void LookAtPerson()
        {
            _tracker.Truth[0] = People.X[0];
            _tracker.Truth[1] = People.Y[0];
        }

        /// <summary>What the camera tracker tells of the person, in the robot's frame.</summary>
        private void MeasurePersonSeen(in MobileBody body, double cos, double sin, double[] signals)
        {
            double x = _tracker.Position[0] - body.X, y = _tracker.Position[1] - body.Y;
            double ahead = cos * x + sin * y, left = cos * y - sin * x;
            double distance = Math.Max(Plane.Length(ahead, left), 1e-6);
            double velocityX = _tracker.Velocity[0], velocityY = _tracker.Velocity[1];
            signals[_at.SeenDistance] = distance;
            signals[_at.SeenDirection] = ahead / distance;
            signals[_at.SeenDirection + 1] = left / distance;
            signals[_at.SeenVelocity] = cos * velocityX + sin * velocityY;
            signals[_at.SeenVelocity + 1] = cos * velocityY - sin * velocityX;
            signals[_at.SeenAge] = _tracker.AgeS[0];
        }

        /// <summary>Where the person is, and whether the robot is where it shall be.</summary>
        private void MeasurePersonTruly(in MobileBody body, double cos, double sin, double[] signals)
        {
            double x = People.X[0] - body.X, y = People.Y[0] - body.Y;
            double distance = Math.Max(Plane.Length(x, y), 1e-9);
            double walking = Plane.Length(People.VelocityX[0], People.VelocityY[0]);
            double towards = -(People.VelocityX[0] * x + People.VelocityY[0] * y) / distance;
            bool isInWay = walking > _walksMps && towards > walking * _cosAhead;
            double facing = (cos * x + sin * y) / distance;
            double error = Math.Max(Math.Max(_bandM[0] - distance, distance - _bandM[1]), 0.0);
            bool isInBand = error == 0.0 && facing >= _cosFacing && !isInWay;
            signals[_at.PersonPosition] = People.X[0];
            signals[_at.PersonPosition + 1] = People.Y[0];
            signals[_at.Distance] = distance;
            signals[_at.BandError] = error;
            signals[_at.Facing] = facing;
            signals[_at.InWay] = isInWay ? 1.0 : 0.0;
            signals[_at.InBand] = isInBand ? 1.0 : 0.0;
        }

        /// <summary>Where each signal begins.</summary>
        private sealed class Places
        {
            public readonly int SeenDistance, SeenDirection, SeenVelocity, SeenAge, PersonPosition, Distance, BandError;
            public readonly int Facing, InWay, InBand, BandShare, Success;

            public Places(SignalLayout signals)
            {
                SeenDistance = signals.Where("person_distance").Start;
                SeenDirection = signals.Where("person_direction").Start;
                SeenVelocity = signals.Where("person_velocity").Start;
                SeenAge = signals.Where("person_age_s").Start;
                PersonPosition = signals.Where("person_position_room").Start;
                Distance = signals.Where("distance").Start;
                BandError = signals.Where("band_error").Start;
                Facing = signals.Where("facing").Start;
                InWay = signals.Where("in_way").Start;
                InBand = signals.Where("in_band").Start;
                BandShare = signals.Where("band_share").Start;
                Success = signals.Where("success").Start;
            }
        }
    }
}
