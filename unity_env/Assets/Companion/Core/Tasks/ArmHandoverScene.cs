using System;

namespace Companion.Core
{
    /// <summary>What is true of the arm and of what it touches at the end of a decision.</summary>
    public struct HandoverBody
    {
        /// <summary>Its contact is with anything but the person's hand.</summary>
        public ArmBody Arm;

        /// <summary>Whether the arm or the object touched the person's head, trunk or arm during the decision.</summary>
        public bool TouchesPerson;

        /// <summary>Whether it touched the hand.</summary>
        public bool TouchesHand;
    }

    /// <summary>
    /// The part of arm_handover that is neither physics nor reward, for one copy: it starts episodes, drives and measures.
    /// The same draws and the same physics give the same signals as python/companion/tasks/arm_handover.py.
    /// </summary>
    public sealed class ArmHandoverScene : SeatedScene
    {
        private const int Points = 3;
        private const int CarriesWrist = 4;

        private readonly SeatedPerson _person;
        private readonly ResolvedRates _rates = new ResolvedRates();
        private readonly RateWeights _weights;
        private readonly Places _at;
        private readonly double[] _startSpreadRad;
        private readonly double _seatXM, _objectAlongM, _objectRadiusM, _reachM, _borderPerS, _uprightPerS;
        private readonly double _maxLeadRad, _maxJointStepRad, _nearPersonM, _closeM;
        private readonly double _successRadiusM, _successSpeedMps, _holdS;
        private readonly Vec3 _receive;
        private readonly Ur5eKinematics _commanded;
        private readonly Vec3[] _points = new Vec3[Points];
        private readonly double[] _step = new double[Six];
        private double _heldS;

        public ArmHandoverScene(CompanionData data) : this(data, data.Task("arm_handover"))
        {
        }

        private ArmHandoverScene(CompanionData data, TaskData task)
            : base(data, new ArmHandoverRules(task), new Tracker(task, data.Shared("tracker"), 2, 3))
        {
            JsonValue constants = Task.Constants;
            _person = new SeatedPerson(data.Shared("seated"), constants["OFFER"]);
            _weights = new RateWeights(constants["UPRIGHT_SHARE"].Number, constants["DAMPING_M2"].Number);
            _at = new Places(Task.Signals);
            _startSpreadRad = constants["START_SPREAD_RAD"].Numbers;
            _seatXM = constants["SEAT_X_M"].Number;
            _objectAlongM = Robot.ToolLengthM + constants["OBJECT_BEYOND_TIP_M"].Number;
            _objectRadiusM = constants["OBJECT_RADIUS_M"].Number;
            _reachM = constants["REACH_M"].Number;
            _borderPerS = constants["BORDER_PER_S"].Number;
            _uprightPerS = constants["UPRIGHT_PER_S"].Number;
            _maxLeadRad = data.Shared("sensing")["MAX_LEAD_RAD"].Number;
            _maxJointStepRad = constants["MAX_JOINT_STEP_RAD"].Number;
            _nearPersonM = constants["NEAR_PERSON_M"].Number;
            _closeM = constants["CLOSE_M"].Number;
            _successRadiusM = constants["SUCCESS_RADIUS_M"].Number;
            _successSpeedMps = constants["SUCCESS_SPEED_MPS"].Number;
            _holdS = constants["HOLD_S"].Number;
            _receive = new Vec3(0.0, 0.0, constants["RECEIVE_ABOVE_M"].Number);
            _commanded = new Ur5eKinematics(Robot);
        }

        public override Figure Figure => _person.Figure;

        public override Posture Posture => _person.Posture;

        public override Vec3 Palm => _person.Hand;

        public override double Side => _person.Side;

        public override Vec3 Tremor(double agoS) => _person.Tremor(agoS);

        /// <summary>A decision takes effect: the object is to move as asked; the person lives on.</summary>
        /// <param name="action">The object's velocity, each entry in [-1, 1].</param>
        /// <param name="jointPosition">As measured, rad.</param>
        /// <param name="draws">Chance.</param>
        public override void Drive(double[] action, double[] jointPosition, IDraws draws)
        {
            var velocity = new Vec3(
                Task.Action[0].Command(action[0]), Task.Action[1].Command(action[1]), Task.Action[2].Command(action[2]));
            FindJointStep(velocity);
            for (int joint = 0; joint < Six; joint++)
            {
                double lead = Command[joint] + _step[joint] - jointPosition[joint];
                Ask(joint, jointPosition[joint] + Math.Clamp(lead, -_maxLeadRad, _maxLeadRad));
            }
            Truth.Update(jointPosition);
            FindPoints(Truth);
            _person.LiveOn(_points, Task.ControlPeriodS, draws);
            Tracker.Tick(Task.ControlPeriodS);
        }

        /// <summary>All signals but those of the action.</summary>
        public void Measure(in HandoverBody body, IDraws draws, double[] signals)
        {
            Posture figure = _person.Posture;
            LookAtPerson(figure);
            Tracker.See(draws);
            signals[_at.Power] = MeasureJoints(body.Arm, draws);
            FindPoints(Truth);
            for (int joint = 0; joint < Six; joint++)
            {
                signals[_at.JointPosition + joint] = SeenPosition[joint];
                signals[_at.JointSpeed + joint] = Math.Abs(body.Arm.Velocity[joint]);
            }
            MeasureSeen(signals);
            MeasureObject(body.Arm, figure, signals);
            MeasureCare(body.Arm, figure, signals);
            signals[_at.Contact] = Number(body.Arm.HasContact);
            signals[_at.ContactPerson] = Number(body.TouchesPerson);
            signals[_at.ContactHand] = Number(body.TouchesHand);
        }

        /// <summary>The arm near its ready position, a person who holds out a hand.</summary>
        protected override void Arrange(IDraws draws)
        {
            for (int joint = 0; joint < Six; joint++)
            {
                double spread = _startSpreadRad[joint];
                StartPosition[joint] = Robot.ReadyPositionRad[joint] + draws.Uniform(-spread, spread);
            }
            Truth.Update(StartPosition);
            FindPoints(Truth);
            _person.SitDown(_seatXM, Difficulty, _points, draws);
            LookAtPerson(_person.Posture);
            _heldS = 0.0;
        }

        private static double Number(bool claim) => claim ? 1.0 : 0.0;

        private void LookAtPerson(in Posture figure)
        {
            figure.Palm.Write(Tracker.Truth, 0);
            figure.Head.Write(Tracker.Truth, 3);
        }

        /// <summary>Of the arm, those points that come near to people: object, flange and wrist.</summary>
        private void FindPoints(Ur5eKinematics arm)
        {
            _points[0] = arm.Point(_objectAlongM);
            _points[1] = arm.Flange;
            _points[2] = arm.Origin(CarriesWrist);
        }

        /// <summary>Resolved rates: joint increments that move the object as asked, tool down.</summary>
        private void FindJointStep(in Vec3 velocity)
        {
            _commanded.Update(Command);
            Vec3 thing = _commanded.Point(_objectAlongM);
            Vec3 move = Task.ControlPeriodS * KeptInside(thing, velocity);
            Vec3 tilt = _commanded.ToolAxis.Cross(new Vec3(0.0, 0.0, -1.0));
            _rates.Solve(_commanded, thing, move, _uprightPerS * Task.ControlPeriodS * tilt, _weights, _step);
            double largest = 1e-9;
            foreach (double step in _step)
            {
                largest = Math.Max(largest, Math.Abs(step));
            }
            // All joints slow down alike, so that the object keeps to its way.
            double slower = Math.Min(1.0, _maxJointStepRad / largest);
            for (int joint = 0; joint < Six; joint++)
            {
                _step[joint] *= slower;
            }
        }

        /// <summary>A velocity without what would lead out of the arm's reach, slower and slower towards its border.</summary>
        private Vec3 KeptInside(in Vec3 thing, in Vec3 velocity)
        {
            Vec3 away = thing - new Vec3(0.0, 0.0, Robot.DhDM[0]);
            double distance = away.Length;
            double outwards = velocity.Dot(away) / distance;
            double allowed = _borderPerS * (_reachM - distance);
            return velocity - Math.Max(outwards - allowed, 0.0) / distance * away;
        }

        /// <summary>What encoders and camera tell.</summary>
        private void MeasureSeen(double[] signals)
        {
            Vec3 thing = Seen.Point(_objectAlongM);
            double[] smooth = Tracker.Smooth;
            Vec3 toHand = new Vec3(smooth[0], smooth[1], smooth[2]) + _receive - thing;
            Vec3 toHead = new Vec3(smooth[3], smooth[4], smooth[5]) - thing;
            var close = new Vec3(
                Math.Clamp(toHand.X, -_closeM, _closeM),
                Math.Clamp(toHand.Y, -_closeM, _closeM),
                Math.Clamp(toHand.Z, -_closeM, _closeM));
            thing.Write(signals, _at.Object);
            Seen.Velocity(thing, SeenVelocity).Write(signals, _at.ObjectVelocity);
            toHand.Write(signals, _at.ToHand);
            close.Write(signals, _at.ToHandClose);
            Array.Copy(Tracker.Velocity, 0, signals, _at.HandVelocity, 3);
            signals[_at.HandAge] = Tracker.AgeS[0];
            toHead.Write(signals, _at.ToHead);
        }

        /// <summary>Where the object truly is, and how long it has been at the hand.</summary>
        private void MeasureObject(in ArmBody arm, in Posture figure, double[] signals)
        {
            Vec3 thing = _points[0], hand = figure.Palm + _receive;
            Vec3 velocity = Truth.Velocity(thing, arm.Velocity);
            double distance = (hand - thing).Length, past = (velocity - _person.HandVelocity).Length;
            bool isThere = distance < _successRadiusM && past < _successSpeedMps;
            _heldS = isThere ? _heldS + Task.ControlPeriodS : 0.0;
            thing.Write(signals, _at.TrueObject);
            hand.Write(signals, _at.Hand);
            figure.Head.Write(signals, _at.Head);
            (0.5 * (figure.Elbow + figure.Wrist)).Write(signals, _at.Forearm);
            signals[_at.Distance] = distance;
            signals[_at.RelativeSpeed] = past;
            signals[_at.ToolSpeed] = velocity.Length;
            signals[_at.Held] = Math.Min(_heldS, _holdS);
            signals[_at.Success] = Number(_heldS >= _holdS - 1e-9);
        }

        /// <summary>How near the arm is to the person, and how fast it is there.</summary>
        private void MeasureCare(in ArmBody arm, in Posture figure, double[] signals)
        {
            double nearest = double.PositiveInfinity, fastest = 0.0;
            for (int index = 0; index < Points; index++)
            {
                double clearance = figure.HeadAndBodyClearance(_points[index]);
                // The last joints don't move the wrist.
                int joints = index == Points - 1 ? CarriesWrist : Six;
                double speed = Truth.Velocity(_points[index], arm.Velocity, joints).Length;
                nearest = Math.Min(nearest, clearance);
                fastest = clearance < _nearPersonM ? Math.Max(fastest, speed) : fastest;
            }
            signals[_at.Clearance] = nearest;
            signals[_at.SpeedNearPerson] = fastest;
            signals[_at.ForearmClearance] = Math.Max(figure.ForearmClearance(_points[0]) - _objectRadiusM, 0.0);
        }

        /// <summary>Where each signal begins.</summary>
        private sealed class Places
        {
            public readonly int JointPosition, Object, ObjectVelocity, ToHand, ToHandClose, HandVelocity, HandAge, ToHead;
            public readonly int Held, TrueObject, Hand, Head, Forearm, Distance, RelativeSpeed, ToolSpeed, Clearance;
            public readonly int ForearmClearance, SpeedNearPerson, JointSpeed, Power, Contact, ContactPerson;
            public readonly int ContactHand, Success;

            public Places(SignalLayout signals)
            {
                JointPosition = signals.Where("joint_position").Start;
                Object = signals.Where("object_position_base").Start;
                ObjectVelocity = signals.Where("object_velocity_base").Start;
                ToHand = signals.Where("object_to_hand_base").Start;
                ToHandClose = signals.Where("object_to_hand_close_base").Start;
                HandVelocity = signals.Where("hand_velocity_base").Start;
                HandAge = signals.Where("hand_age_s").Start;
                ToHead = signals.Where("object_to_head_base").Start;
                Held = signals.Where("held_s").Start;
                TrueObject = signals.Where("true_object_position_base").Start;
                Hand = signals.Where("hand_position_base").Start;
                Head = signals.Where("head_position_base").Start;
                Forearm = signals.Where("forearm_position_base").Start;
                Distance = signals.Where("distance").Start;
                RelativeSpeed = signals.Where("relative_speed").Start;
                ToolSpeed = signals.Where("tool_speed").Start;
                Clearance = signals.Where("clearance").Start;
                ForearmClearance = signals.Where("forearm_clearance").Start;
                SpeedNearPerson = signals.Where("speed_near_person").Start;
                JointSpeed = signals.Where("joint_speed").Start;
                Power = signals.Where("power").Start;
                Contact = signals.Where("contact").Start;
                ContactPerson = signals.Where("contact_person").Start;
                ContactHand = signals.Where("contact_hand").Start;
                Success = signals.Where("success").Start;
            }
        }
    }
}
