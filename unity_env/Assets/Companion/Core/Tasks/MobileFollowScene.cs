using System;

namespace Companion.Core
{
    /// <summary>
    /// The part of mobile_follow that is neither physics nor reward, for one copy: it starts episodes, drives and measures.
    /// The same draws and the same physics give the same signals as python/companion/tasks/mobile_follow.py.
    /// </summary>
    public sealed class MobileFollowScene : RosbotScene
    {
        private readonly Walkers _people;
        private readonly Ways _ways;
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
        private readonly int _roomSize, _furnitureCount, _peopleCount, _peopleSpeed, _difficulty, _ignoring;
        private double _kept;

        public MobileFollowScene(CompanionData data) : base(data, new MobileFollowRules(data.Task("mobile_follow")), 1)
        {
            JsonValue constants = Task.Constants, walkers = data.Shared("walkers");
            int most = 1 + walkers["PASSERS_BY"].Integer;
            _people = new Walkers(data.Shared("people"), walkers, most, Task.ControlPeriodS);
            _ways = new Ways(data.Shared("ways"), Room);
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
            _ignoring = known.IndexOf("ignoring_factor");
        }

        /// <summary>The first is the one to walk with.</summary>
        public override Figures People => _people;

        /// <summary>All signals but those of the action.</summary>
        public void Measure(in MobileBody body, IDraws draws, double[] signals)
        {
            LookAtPerson();
            MeasureRobot(body, draws, signals);
            double cos = Math.Cos(body.Yaw), sin = Math.Sin(body.Yaw);
            MeasureSeenPlace(0, body, signals, _at.SeenDistance, _at.SeenDirection);
            MeasureSeenVelocity(0, body, signals, _at.SeenVelocity);
            signals[_at.SeenAge] = Tracker.AgeS[0];
            MeasurePersonTruly(body, cos, sin, signals);
            int counted = Base.Decisions - _graceSteps;
            _kept += counted > 0 ? signals[_at.InBand] : 0.0;
            double share = _kept / Math.Max(counted, 1);
            bool isDone = Base.Decisions >= Task.MaxEpisodeSteps && share >= _successShare && !body.HasContact;
            signals[_at.BandShare] = share;
            signals[_at.Success] = isDone ? 1.0 : 0.0;
        }

        /// <summary>Put the robot somewhere, the person near it, the others anywhere.</summary>
        protected override void Arrange(IDraws draws)
        {
            Room.Draw(World.Value(_roomSize), World.Value(_furnitureCount), draws);
            _ways.Find();
            Room.DrawFreePoint(_robotClearanceM, default, draws, out double x, out double y);
            StartPose = new Pose2(x, y, draws.Uniform(-Math.PI, Math.PI));
            Room.DrawFreePointNear(_personClearanceM, StartPose, _startsAwayM, draws, out double personX, out double personY);
            double difficulty = World.Value(_difficulty), ignoring = World.Value(_ignoring);
            var crowd = new Crowd(World.Value(_peopleCount), World.Value(_peopleSpeed), difficulty, ignoring);
            _people.Place(Room, StartPose, new Pose2(personX, personY, 0.0), crowd, draws);
            _kept = 0.0;
        }

        protected override void LookAtStart() => LookAtPerson();

        protected override void LiveOn(Pose2 robot, IDraws draws) => _people.Walk(Room, robot, draws);

        private void LookAtPerson()
        {
            Tracker.Truth[0] = People.X[0];
            Tracker.Truth[1] = People.Y[0];
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
            for (int person = 0, at = 0; person < People.Count; person++, at += 2)
            {
                signals[_at.PeoplePosition + at] = People.X[person];
                signals[_at.PeoplePosition + at + 1] = People.Y[person];
                signals[_at.PeopleVelocity + at] = People.VelocityX[person];
                signals[_at.PeopleVelocity + at + 1] = People.VelocityY[person];
            }
            signals[_at.Distance] = distance;
            signals[_at.Way] = _ways.Shortest(body.X, body.Y, People.X[0], People.Y[0]);
            signals[_at.BandError] = error;
            signals[_at.Facing] = facing;
            signals[_at.InWay] = isInWay ? 1.0 : 0.0;
            signals[_at.InBand] = isInBand ? 1.0 : 0.0;
        }

        /// <summary>Where each signal begins.</summary>
        private sealed class Places
        {
            public readonly int SeenDistance, SeenDirection, SeenVelocity, SeenAge, PersonPosition, PeoplePosition, PeopleVelocity;
            public readonly int Distance, Way, BandError, Facing, InWay, InBand, BandShare, Success;

            public Places(SignalLayout signals)
            {
                SeenDistance = signals.Where("person_distance").Start;
                SeenDirection = signals.Where("person_direction").Start;
                SeenVelocity = signals.Where("person_velocity").Start;
                SeenAge = signals.Where("person_age_s").Start;
                PersonPosition = signals.Where("person_position_room").Start;
                PeoplePosition = signals.Where("people_position_room").Start;
                PeopleVelocity = signals.Where("people_velocity_room").Start;
                Distance = signals.Where("distance").Start;
                Way = signals.Where("way").Start;
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
