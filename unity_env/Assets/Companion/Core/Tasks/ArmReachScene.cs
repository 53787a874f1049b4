using System;

namespace Companion.Core
{
    /// <summary>What is true of an arm at the end of a decision; six entries each, in ROS 2's joint order.</summary>
    public struct ArmBody
    {
        /// <summary>rad.</summary>
        public double[] Position;

        /// <summary>rad/s.</summary>
        public double[] Velocity;

        /// <summary>Of the servos, N m.</summary>
        public double[] Torque;

        /// <summary>Whether the arm touched itself or the table during the decision.</summary>
        public bool HasContact;
    }

    /// <summary>
    /// The part of arm_reach that is neither physics nor reward, for one copy: it starts episodes, drives and measures.
    /// The same draws and the same physics give the same signals as python/companion/tasks/arm_reach.py.
    /// </summary>
    public sealed class ArmReachScene : IArmScene
    {
        private const int Six = Ur5e.Joints;

        private readonly Ur5e _robot;
        private readonly double[] _startSpreadRad;
        private readonly double _azimuthRad;
        private readonly double[] _targetDistanceM;
        private readonly double[] _targetHeightM;
        private readonly double _shoulderClearanceM;
        private readonly double _shoulderReachM;
        private readonly double _successRadiusM;
        private readonly double _holdS;
        private readonly double _closeM;
        private readonly double _maxLeadRad;
        private readonly double _momentS;
        private readonly Places _at;
        private readonly int _targetNoise, _targetOffset, _mountYaw, _encoderNoise;

        private readonly double[] _seenPosition = new double[Six];
        private readonly double[] _soon = new double[Six];
        private readonly double[] _tool = new double[3];
        private readonly double[] _seenTool = new double[3];
        private readonly double[] _toolSoon = new double[3];
        private readonly double[] _targetError = new double[3];
        private Perturbations _perturbations;
        private double _heldS;

        public ArmReachScene(CompanionData data)
        {
            Task = data.Task("arm_reach");
            Rules = new ArmReachRules(Task);
            JsonValue constants = Task.Constants;
            _robot = data.Ur5e;
            _startSpreadRad = constants["START_SPREAD_RAD"].Numbers;
            _azimuthRad = constants["TARGET_AZIMUTH_RAD"].Number;
            _targetDistanceM = constants["TARGET_DISTANCE_M"].Numbers;
            _targetHeightM = constants["TARGET_HEIGHT_M"].Numbers;
            _shoulderClearanceM = constants["SHOULDER_CLEARANCE_M"].Number;
            _shoulderReachM = constants["SHOULDER_REACH_M"].Number;
            _successRadiusM = constants["SUCCESS_RADIUS_M"].Number;
            _holdS = constants["HOLD_S"].Number;
            _closeM = constants["CLOSE_M"].Number;
            _maxLeadRad = constants["MAX_LEAD_RAD"].Number;
            _momentS = constants["MOMENT_S"].Number;
            _at = new Places(Task.Signals);
            var known = new Perturbations(Task);
            _targetNoise = known.IndexOf("target_noise_m");
            _targetOffset = known.IndexOf("target_offset_m");
            _mountYaw = known.IndexOf("mount_yaw_rad");
            _encoderNoise = known.IndexOf("encoder_noise_rad");
        }

        public TaskData Task { get; }

        public ITaskRules Rules { get; }

        public double[] StartPosition { get; } = new double[Six];

        public double[] Command { get; } = new double[Six];

        /// <summary>In base_link, m.</summary>
        public double[] Target { get; } = new double[3];

        /// <summary>An episode starts: the arm near its ready position, the target somewhere in front.</summary>
        /// <param name="perturbations">Of this episode; kept.</param>
        /// <param name="draws">Chance.</param>
        public void Start(Perturbations perturbations, IDraws draws)
        {
            _perturbations = perturbations;
            for (int joint = 0; joint < Six; joint++)
            {
                double spread = _startSpreadRad[joint];
                StartPosition[joint] = _robot.ReadyPositionRad[joint] + draws.Uniform(-spread, spread);
                Command[joint] = StartPosition[joint];
            }
            DrawTarget(draws);
            DrawSeenError(draws);
            _heldS = 0.0;
        }

        /// <summary>A decision takes effect: the servos' commands move on, never far ahead of the arm.</summary>
        /// <param name="action">A joint step each, in [-1, 1].</param>
        /// <param name="jointPosition">As measured, rad.</param>
        /// <param name="draws">Nobody is there who would need chance.</param>
        public void Drive(double[] action, double[] jointPosition, IDraws draws)
        {
            for (int joint = 0; joint < Six; joint++)
            {
                double limit = _robot.JointLimitRad[joint];
                double lead = Command[joint] + Task.Action[joint].Command(action[joint]) - jointPosition[joint];
                lead = Math.Clamp(lead, -_maxLeadRad, _maxLeadRad);
                Command[joint] = Math.Clamp(jointPosition[joint] + lead, -limit, limit);
            }
        }

        /// <summary>All signals but those of the action.</summary>
        public void Measure(in ArmBody body, IDraws draws, double[] signals)
        {
            MeasureJointPositions(body, draws, signals);
            _robot.ToolPosition(body.Position, _tool);
            _robot.ToolPosition(_seenPosition, _seenTool);
            _robot.ToolPosition(_soon, _toolSoon);
            MeasureTarget(draws, signals);
            MeasureJointSpeeds(body, draws, signals);
            double distance = Distance(Target, _tool);
            _heldS = distance < _successRadiusM ? _heldS + Task.ControlPeriodS : 0.0;
            signals[_at.Distance] = distance;
            signals[_at.Held] = Math.Min(_heldS, _holdS);
            signals[_at.Success] = _heldS >= _holdS - 1e-9 ? 1.0 : 0.0;
            signals[_at.Contact] = body.HasContact ? 1.0 : 0.0;
            signals[_at.ToolSpeed] = Distance(_toolSoon, _tool) / _momentS;
        }

        private static double Distance(double[] from, double[] to)
        {
            double x = from[0] - to[0], y = from[1] - to[1], z = from[2] - to[2];
            return Math.Sqrt(x * x + y * y + z * z);
        }

        /// <summary>Uniform in the region in front that the task's constants describe.</summary>
        private void DrawTarget(IDraws draws)
        {
            double away;
            do
            {
                double azimuth = draws.Uniform(-_azimuthRad, _azimuthRad);
                // Uniform over an annulus: the radius' square is uniform.
                double least = _targetDistanceM[0] * _targetDistanceM[0], most = _targetDistanceM[1] * _targetDistanceM[1];
                double radius = Math.Sqrt(draws.Uniform(least, most));
                Target[0] = radius * Math.Cos(azimuth);
                Target[1] = radius * Math.Sin(azimuth);
                Target[2] = draws.Uniform(_targetHeightM[0], _targetHeightM[1]);
                double up = Target[2] - _robot.DhDM[0];
                away = Math.Sqrt(Target[0] * Target[0] + Target[1] * Target[1] + up * up);
            }
            while (away < _shoulderClearanceM || away > _shoulderReachM);
        }

        /// <summary>Camera calibration moves the seen target one way; a base mounted askew turns it about the base's axis.</summary>
        private void DrawSeenError(IDraws draws)
        {
            double x = draws.Normal(), y = draws.Normal(), z = draws.Normal();
            double offset = _perturbations.Value(_targetOffset) / Math.Sqrt(x * x + y * y + z * z);
            double yaw = _perturbations.Value(_mountYaw);
            _targetError[0] = x * offset - yaw * Target[1];
            _targetError[1] = y * offset + yaw * Target[0];
            _targetError[2] = z * offset;
        }

        private void MeasureJointPositions(in ArmBody body, IDraws draws, double[] signals)
        {
            double noise = _perturbations.Value(_encoderNoise);
            for (int joint = 0; joint < Six; joint++)
            {
                double seen = body.Position[joint] + noise * draws.Normal();
                _seenPosition[joint] = seen;
                _soon[joint] = body.Position[joint] + _momentS * body.Velocity[joint];
                signals[_at.JointPosition + joint] = seen;
                signals[_at.JointLead + joint] = Command[joint] - seen;
            }
        }

        private void MeasureTarget(IDraws draws, double[] signals)
        {
            double noise = _perturbations.Value(_targetNoise);
            for (int axis = 0; axis < 3; axis++)
            {
                double toTarget = Target[axis] + _targetError[axis] + noise * draws.Normal() - _seenTool[axis];
                signals[_at.Tool + axis] = _seenTool[axis];
                signals[_at.ToTarget + axis] = toTarget;
                signals[_at.ToTargetClose + axis] = Math.Clamp(toTarget, -_closeM, _closeM);
                signals[_at.TrueTool + axis] = _tool[axis];
                signals[_at.Target + axis] = Target[axis];
            }
        }

        private void MeasureJointSpeeds(in ArmBody body, IDraws draws, double[] signals)
        {
            double noise = 10.0 * _perturbations.Value(_encoderNoise), power = 0.0;
            for (int joint = 0; joint < Six; joint++)
            {
                double velocity = body.Velocity[joint];
                signals[_at.JointVelocity + joint] = velocity + noise * draws.Normal();
                signals[_at.JointSpeed + joint] = Math.Abs(velocity);
                power += Math.Abs(body.Torque[joint] * velocity);
            }
            signals[_at.Power] = power;
        }

        /// <summary>Where each signal begins.</summary>
        private sealed class Places
        {
            public readonly int JointPosition, JointVelocity, JointLead, Tool, ToTarget, ToTargetClose, Held, TrueTool;
            public readonly int Target, Distance, ToolSpeed, JointSpeed, Power, Contact, Success;

            public Places(SignalLayout signals)
            {
                JointPosition = signals.Where("joint_position").Start;
                JointVelocity = signals.Where("joint_velocity").Start;
                JointLead = signals.Where("joint_lead").Start;
                Tool = signals.Where("tool_position_base").Start;
                ToTarget = signals.Where("tool_to_target_base").Start;
                ToTargetClose = signals.Where("tool_to_target_close_base").Start;
                Held = signals.Where("held_s").Start;
                TrueTool = signals.Where("true_tool_position_base").Start;
                Target = signals.Where("target_position_base").Start;
                Distance = signals.Where("distance").Start;
                ToolSpeed = signals.Where("tool_speed").Start;
                JointSpeed = signals.Where("joint_speed").Start;
                Power = signals.Where("power").Start;
                Contact = signals.Where("contact").Start;
                Success = signals.Where("success").Start;
            }
        }
    }
}
