using System;

namespace Companion.Core
{
    /// <summary>What the scenes share in which somebody sits at the other side of the arm's table.</summary>
    public abstract class SeatedScene : ISeatedScene
    {
        protected const int Six = Ur5e.Joints;

        private readonly int _difficulty, _encoderNoise;

        /// <param name="data">What Python says.</param>
        /// <param name="rules">Of the task.</param>
        /// <param name="tracker">Of its camera.</param>
        protected SeatedScene(CompanionData data, ITaskRules rules, Tracker tracker)
        {
            Rules = rules;
            Robot = data.Ur5e;
            Tracker = tracker;
            Truth = new Ur5eKinematics(Robot);
            Seen = new Ur5eKinematics(Robot);
            FeedForwardShare = data.Shared("arm_scene")["SERVO_LAG_S"].Number / Task.ControlPeriodS;
            var known = new Perturbations(Task);
            _difficulty = known.IndexOf("difficulty");
            _encoderNoise = known.IndexOf("encoder_noise_rad");
        }

        public TaskData Task => Rules.Task;

        public ITaskRules Rules { get; }

        public double[] StartPosition { get; } = new double[Six];

        public double[] Command { get; } = new double[Six];

        public double[] CommandBefore { get; } = new double[Six];

        public double FeedForwardShare { get; }

        public abstract Figure Figure { get; }

        public abstract Posture Posture { get; }

        public abstract Vec3 Palm { get; }

        public abstract double Side { get; }

        protected Ur5e Robot { get; }

        protected Tracker Tracker { get; }

        /// <summary>The arm as it truly stands, once it was measured or driven.</summary>
        protected Ur5eKinematics Truth { get; }

        /// <summary>The arm as its encoders tell.</summary>
        protected Ur5eKinematics Seen { get; }

        protected double[] SeenPosition { get; } = new double[Six];

        protected double[] SeenVelocity { get; } = new double[Six];

        /// <summary>How hard the person makes it, 0 to 1.</summary>
        protected double Difficulty => World.Value(_difficulty);

        /// <summary>How this episode differs from the nominal world.</summary>
        protected Perturbations World { get; private set; }

        public abstract Vec3 Tremor(double agoS);

        public void Start(Perturbations perturbations, IDraws draws)
        {
            World = perturbations;
            Arrange(draws);
            Array.Copy(StartPosition, Command, Six);
            Array.Copy(StartPosition, CommandBefore, Six);
            Tracker.Begin(World, draws);
        }

        public abstract void Drive(double[] action, double[] jointPosition, IDraws draws);

        /// <summary>Choose where the arm stands, seat the person, and tell the tracker where things are.</summary>
        protected abstract void Arrange(IDraws draws);

        /// <summary>What encoders and servos tell of the arm; gives the servos' power, W.</summary>
        protected double MeasureJoints(in ArmBody arm, IDraws draws)
        {
            double noise = World.Value(_encoderNoise), power = 0.0;
            for (int joint = 0; joint < Six; joint++)
            {
                SeenPosition[joint] = arm.Position[joint] + noise * draws.Normal();
                power += Math.Abs(arm.Torque[joint] * arm.Velocity[joint]);
            }
            for (int joint = 0; joint < Six; joint++)
            {
                SeenVelocity[joint] = arm.Velocity[joint] + 10.0 * noise * draws.Normal();
            }
            Truth.Update(arm.Position);
            Seen.Update(SeenPosition);
            return power;
        }

        /// <summary>A new command for a joint, within its limits.</summary>
        protected void Ask(int joint, double position)
        {
            double limit = Robot.JointLimitRad[joint];
            CommandBefore[joint] = Command[joint];
            Command[joint] = Math.Clamp(position, -limit, limit);
        }
    }
}
