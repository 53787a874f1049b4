namespace Companion.Core
{
    /// <summary>A place on the floor and a direction, in the room: m, rad counter-clockwise from x.</summary>
    public readonly struct Pose2
    {
        public readonly double X;
        public readonly double Y;
        public readonly double Yaw;

        public Pose2(double x, double y, double yaw)
        {
            X = x;
            Y = y;
            Yaw = yaw;
        }
    }
}
