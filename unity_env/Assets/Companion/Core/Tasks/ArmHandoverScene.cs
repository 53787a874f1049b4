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
    public sealed class ArmHandoverScene
    {
        private const int Six = Ur5e.Joints;
        private const int Points = 3;
        private const int CarriesWrist = 4;

        private readonly Ur5e _robot;
        private readonly Tracker _tracker;
        private readonly ResolvedRates _rates = new ResolvedRates();
        private readonly RateWeights _weights;
        private readonly Places _at;
        private readonly double[] _startSpreadRad;
        private readonly double _seatXM, _objectAlongM, _objectRadiusM, _reachM, _borderPerS, _uprightPerS;
        private readonly double _maxLeadRad, _maxJointStepRad, _nearPersonM, _closeM;
        private readonly double _successRadiusM, _successSpeedMps, _holdS;
        private readonly Vec3 _receive;
        private readonly int _difficulty, _encoderNoise;

        private readonly Ur5eKinematics _truth;
        private readonly Ur5eKinematics _seen;
        private readonly Ur5eKinematics _commanded;
        private readonly Vec3[] _points = new Vec3[Points];
        private readonly double[] _seenPosition = new double[Six];
        private readonly double[] _seenVelocity = new double[Six];
        private readonly double[] _step = new double[Six];
        private Perturbations _perturbations;
        private double _heldS;

        public ArmHandoverScene(CompanionData data)
        {
            Task = data.Task("arm_handover");
            Rules = new ArmHandoverRules(Task);
            JsonValue constants = Task.Constants;
            _robot = data.Ur5e;
            Person = new SeatedPerson(data.Shared("seated"), constants["OFFER"]);
            _tracker = new Tracker(Task, data.Shared("tracker"), 2, 3);
            _weights = new RateWeights(constants["UPRIGHT_SHARE"].Number, constants["DAMPING_M2"].Number);
            _at = new Places(Task.Signals);
            _startSpreadRad = constants["START_SPREAD_RAD"].Numbers;
            _seatXM = constants["SEAT_X_M"].Number;
            _objectAlongM = _robot.ToolLengthM + constants["OBJECT_BEYOND_TIP_M"].Number;
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
            _truth = new Ur5eKinematics(_robot);
            _seen = new Ur5eKinematics(_robot);
            _commanded = new Ur5eKinematics(_robot);
            FeedForwardShare = data.Shared("arm_scene")["SERVO_LAG_S"].Number / Task.ControlPeriodS;
            var known = new Perturbations(Task);
            _difficulty = known.IndexOf("difficulty");
            _encoderNoise = known.IndexOf("encoder_noise_rad");
        }

        public TaskData Task { get; }

        public ArmHandoverRules Rules { get; }

        public SeatedPerson Person { get; }

        /// <summary>Where the joints stand when an episode starts, rad.</summary>
        public double[] StartPosition { get; } = new double[Six];

        /// <summary>Where the servos are to take the joints by the end of this decision, rad.</summary>
        public double[] Command { get; } = new double[Six];

        /// <summary>The same of the decision before.</summary>
        public double[] CommandBefore { get; } = new double[Six];

        /// <summary>
        /// As the UR controller does, the velocity is fed forward: at a share s of the decision ask the servos for
        /// <see cref="CommandBefore"/> + (s + this) x the way from there to <see cref="Command"/>.
        /// </summary>
        public double FeedForwardShare { get; }

        /// <summary>An episode starts: the arm near its ready position, a person who holds out a hand.</summary>
        /// <param name="perturbations">Of this episode; kept.</param>
        /// <param name="draws">Chance.</param>
        public void Start(Perturbations perturbations, IDraws draws)
        {
            _perturbations = perturbations;
            for (int joint = 0; joint < Six; joint++)
            {
                double spread = _startSpreadRad[joint];
                StartPosition[joint] = _robot.ReadyPositionRad[joint] + draws.Uniform(-spread, spread);
                Command[joint] = CommandBefore[joint] = StartPosition[joint];
            }
            _truth.Update(StartPosition);
            FindPoints(_truth);
            Person.SitDown(_seatXM, perturbations.Value(_difficulty), _points, draws);
            LookAtPerson(Person.Posture);
            _tracker.Begin(perturbations, draws);
            _heldS = 0.0;
        }

        /// <summary>A decision takes effect: the object is to move as asked; the person lives on.</summary>
        /// <param name="action">The object's velocity, each entry in [-1, 1].</param>
        /// <param name="jointPosition">As measured, rad.</param>
        /// <param name="draws">Chance.</param>
        public void Drive(double[] action, double[] jointPosition, IDraws draws)
        {
            var velocity = new Vec3(
                Task.Action[0].Command(action[0]), Task.Action[1].Command(action[1]), Task.Action[2].Command(action[2]));
            FindJointStep(velocity);
            for (int joint = 0; joint < Six; joint++)
            {
                double limit = _robot.JointLimitRad[joint];
                double lead = Command[joint] + _step[joint] - jointPosition[joint];
                lead = Math.Clamp(lead, -_maxLeadRad, _maxLeadRad);
                CommandBefore[joint] = Command[joint];
                Command[joint] = Math.Clamp(jointPosition[joint] + lead, -limit, limit);
            }
            _truth.Update(jointPosition);
            FindPoints(_truth);
            Person.LiveOn(_points, Task.ControlPeriodS, draws);
            _tracker.Tick(Task.ControlPeriodS);
        }

        /// <summary>All signals but those of the action.</summary>
        public void Measure(in HandoverBody body, IDraws draws, double[] signals)
        {
            Posture figure = Person.Posture;
            LookAtPerson(figure);
            _tracker.See(draws);
            MeasureJoints(body.Arm, draws, signals);
            _truth.Update(body.Arm.Position);
            _seen.Update(_seenPosition);
            FindPoints(_truth);
            MeasureSeen(signals);
            MeasureObject(body.Arm, figure, signals);
            MeasureCare(body.Arm, figure, signals);
            signals[_at.Contact] = Number(body.Arm.HasContact);
            signals[_at.ContactPerson] = Number(body.TouchesPerson);
            signals[_at.ContactHand] = Number(body.TouchesHand);
        }

        private static double Number(bool claim) => claim ? 1.0 : 0.0;

        private void LookAtPerson(in Posture figure)
        {
            figure.Palm.Write(_tracker.Truth, 0);
            figure.Head.Write(_tracker.Truth, 3);
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
            Vec3 away = thing - new Vec3(0.0, 0.0, _robot.DhDM[0]);
            double distance = away.Length;
            double outwards = velocity.Dot(away) / distance;
            double allowed = _borderPerS * (_reachM - distance);
            return velocity - Math.Max(outwards - allowed, 0.0) / distance * away;
        }

        private void MeasureJoints(in ArmBody arm, IDraws draws, double[] signals)
        {
            double noise = _perturbations.Value(_encoderNoise), power = 0.0;
            for (int joint = 0; joint < Six; joint++)
            {
                _seenPosition[joint] = arm.Position[joint] + noise * draws.Normal();
                signals[_at.JointPosition + joint] = _seenPosition[joint];
                signals[_at.JointSpeed + joint] = Math.Abs(arm.Velocity[joint]);
                power += Math.Abs(arm.Torque[joint] * arm.Velocity[joint]);
            }
            for (int joint = 0; joint < Six; joint++)
            {
                _seenVelocity[joint] = arm.Velocity[joint] + 10.0 * noise * draws.Normal();
            }
            signals[_at.Power] = power;
        }

        /// <summary>What encoders and camera tell.</summary>
        private void MeasureSeen(double[] signals)
        {
            Vec3 thing = _seen.Point(_objectAlongM);
            double[] smooth = _tracker.Smooth;
            Vec3 toHand = new Vec3(smooth[0], smooth[1], smooth[2]) + _receive - thing;
            Vec3 toHead = new Vec3(smooth[3], smooth[4], smooth[5]) - thing;
            var close = new Vec3(
                Math.Clamp(toHand.X, -_closeM, _closeM),
                Math.Clamp(toHand.Y, -_closeM, _closeM),
                Math.Clamp(toHand.Z, -_closeM, _closeM));
            thing.Write(signals, _at.Object);
            _seen.Velocity(thing, _seenVelocity).Write(signals, _at.ObjectVelocity);
            toHand.Write(signals, _at.ToHand);
            close.Write(signals, _at.ToHandClose);
            Array.Copy(_tracker.Velocity, 0, signals, _at.HandVelocity, 3);
            signals[_at.HandAge] = _tracker.AgeS[0];
            toHead.Write(signals, _at.ToHead);
        }

        /// <summary>Where the object truly is, and how long it has been at the hand.</summary>
        private void MeasureObject(in ArmBody arm, in Posture figure, double[] signals)
        {
            Vec3 thing = _points[0], hand = figure.Palm + _receive;
            Vec3 velocity = _truth.Velocity(thing, arm.Velocity);
            double distance = (hand - thing).Length, past = (velocity - Person.HandVelocity).Length;
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
                double speed = _truth.Velocity(_points[index], arm.Velocity, joints).Length;
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
