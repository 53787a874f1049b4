using System;

namespace Companion.Core
{
    /// <summary>What the scenes of the ROSbot share: its room, its base, and a camera that tracks things and people.</summary>
    public abstract class RosbotScene : IMobileScene
    {
        private readonly Rosbot _facts;

        /// <param name="data">What Python says.</param>
        /// <param name="rules">Of the task.</param>
        /// <param name="tracked">How many the camera tracks.</param>
        protected RosbotScene(CompanionData data, ITaskRules rules, int tracked)
        {
            Rules = rules;
            _facts = data.Rosbot;
            Room = new Room(data.Shared("room"), Task.Constants["FURNITURE"].Integer);
            Base = new RosbotBase(data, Task);
            Tracker = new Tracker(Task, data.Shared("tracker"), tracked, 2);
        }

        public TaskData Task => Rules.Task;

        public ITaskRules Rules { get; }

        public Room Room { get; }

        public abstract Figures People { get; }

        public Pose2 StartPose { get; protected set; }

        public int Rays => Base.Rays;

        public double ScannerHeightM => _facts.LidarPositionBaseM[2];

        public double[] TrueRanges => Base.TrueRanges;

        /// <summary>After every decision.</summary>
        public bool IsScanDue => Base.Decisions > 0;

        public double LeftWheelMps => Base.LeftWheelMps;

        public double RightWheelMps => Base.RightWheelMps;

        protected RosbotBase Base { get; }

        protected Tracker Tracker { get; }

        /// <summary>How this episode differs from the nominal world.</summary>
        protected Perturbations World { get; private set; }

        public Pose2 ScannerPose(Pose2 robot) => Base.ScannerPose(robot);

        public void Start(Perturbations perturbations, IDraws draws)
        {
            World = perturbations;
            Arrange(draws);
            Base.Begin(perturbations);
        }

        public void FirstScan(IDraws draws)
        {
            Base.LookFirst(draws);
            LookAtStart();
            Tracker.Begin(World, draws);
        }

        public void Drive(double[] action, Pose2 robot, IDraws draws)
        {
            Base.Drive(action);
            LiveOn(robot, draws);
            Tracker.Tick(Task.ControlPeriodS);
        }

        /// <summary>Furnish the room and put everybody into it.</summary>
        protected abstract void Arrange(IDraws draws);

        /// <summary>Tell the tracker where things are when an episode starts.</summary>
        protected abstract void LookAtStart();

        /// <summary>Let the people do what they do.</summary>
        protected abstract void LiveOn(Pose2 robot, IDraws draws);

        /// <summary>The robot's own signals; tell the tracker before where things are.</summary>
        protected void MeasureRobot(in MobileBody robot, IDraws draws, double[] signals)
        {
            if (IsScanDue)
            {
                Base.Look(draws);
            }
            Tracker.See(draws);
            Base.Measure(robot, Room, People, draws, signals);
        }

        /// <summary>How far, and in which direction from the robot, the tracker saw a thing last.</summary>
        protected void MeasureSeenPlace(int thing, in MobileBody robot, double[] signals, int distanceAt, int directionAt)
        {
            double x = Tracker.Position[2 * thing] - robot.X, y = Tracker.Position[2 * thing + 1] - robot.Y;
            ToRobotFrame(robot, ref x, ref y);
            double distance = Math.Max(Plane.Length(x, y), 1e-6);
            signals[distanceAt] = distance;
            signals[directionAt] = x / distance;
            signals[directionAt + 1] = y / distance;
        }

        /// <summary>How a thing moves, as the tracker tells, ahead and to the left of the robot.</summary>
        protected void MeasureSeenVelocity(int thing, in MobileBody robot, double[] signals, int velocityAt)
        {
            double x = Tracker.Velocity[2 * thing], y = Tracker.Velocity[2 * thing + 1];
            ToRobotFrame(robot, ref x, ref y);
            signals[velocityAt] = x;
            signals[velocityAt + 1] = y;
        }

        private static void ToRobotFrame(in MobileBody robot, ref double x, ref double y)
        {
            double cos = Math.Cos(robot.Yaw), sin = Math.Sin(robot.Yaw);
            (x, y) = (cos * x + sin * y, cos * y - sin * x);
        }
    }
}
