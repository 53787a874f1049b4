namespace Companion.Core
{
    /// <summary>What the scenes of wheeled robots have in common; they measure what their physics tells, each its own.</summary>
    public interface IMobileScene
    {
        ITaskRules Rules { get; }

        Room Room { get; }

        /// <summary>Who walks or stands about.</summary>
        Figures People { get; }

        /// <summary>Where the robot stands when an episode starts.</summary>
        Pose2 StartPose { get; }

        /// <summary>Rays of a scan.</summary>
        int Rays { get; }

        /// <summary>Of the laser scanner over the floor.</summary>
        double ScannerHeightM { get; }

        /// <summary>
        /// To be filled with what each ray meets, m, before <see cref="FirstScan"/>, and before each measurement where
        /// <see cref="IsScanDue"/>; anything larger than the scanner's reach where there is nothing.
        /// </summary>
        double[] TrueRanges { get; }

        /// <summary>Whether the coming measurement takes a new scan.</summary>
        bool IsScanDue { get; }

        /// <summary>The ground speed to ask of each side's wheels in this decision, m/s.</summary>
        double LeftWheelMps { get; }

        double RightWheelMps { get; }

        /// <summary>Where a scan's first ray starts and points to in the room; the others follow evenly, counter-clockwise.</summary>
        Pose2 ScannerPose(Pose2 robot);

        /// <summary>An episode starts: furnish the room and put everybody into it.</summary>
        /// <param name="perturbations">Of this episode; kept.</param>
        /// <param name="draws">Chance.</param>
        void Start(Perturbations perturbations, IDraws draws);

        /// <summary>The rest of an episode's start, once everything stands in its place and the rays were cast.</summary>
        void FirstScan(IDraws draws);

        /// <summary>A decision takes effect: the robot drives on, and the people do what they do.</summary>
        /// <param name="action">Forward and turning speed, each in [-1, 1].</param>
        /// <param name="robot">Where it stands.</param>
        /// <param name="draws">Chance.</param>
        void Drive(double[] action, Pose2 robot, IDraws draws);
    }
}
