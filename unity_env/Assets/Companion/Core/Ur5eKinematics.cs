using System;

namespace Companion.Core
{
    /// <summary>Where a UR5e's parts are in base_link, for the joint positions of the last <see cref="Update"/>; m, rad.</summary>
    public sealed class Ur5eKinematics
    {
        private const int Joints = Ur5e.Joints;

        private readonly Ur5e _robot;
        private readonly Vec3[] _origin = new Vec3[Joints];
        private readonly Vec3[] _axis = new Vec3[Joints];

        public Ur5eKinematics(Ur5e robot) => _robot = robot;

        /// <summary>The middle of the tool flange.</summary>
        public Vec3 Flange { get; private set; }

        /// <summary>Out of the tool, of length 1.</summary>
        public Vec3 ToolAxis { get; private set; }

        /// <summary>The tool's other axes.</summary>
        public Vec3 ToolX { get; private set; }

        public Vec3 ToolY { get; private set; }

        /// <summary>A point on each joint's axis.</summary>
        public Vec3 Origin(int joint) => _origin[joint];

        /// <summary>Each joint's axis, of length 1.</summary>
        public Vec3 Axis(int joint) => _axis[joint];

        public void Update(double[] jointPosition)
        {
            Vec3 x = new Vec3(-1.0, 0.0, 0.0), y = new Vec3(0.0, -1.0, 0.0), z = new Vec3(0.0, 0.0, 1.0), place = default;
            for (int joint = 0; joint < Joints; joint++)
            {
                _origin[joint] = place;
                _axis[joint] = z;
                double cos = Math.Cos(jointPosition[joint]), sin = Math.Sin(jointPosition[joint]);
                double cosAlpha = Math.Cos(_robot.DhAlphaRad[joint]), sinAlpha = Math.Sin(_robot.DhAlphaRad[joint]);
                (x, y) = (cos * x + sin * y, cos * y - sin * x);
                place = place + _robot.DhAM[joint] * x + _robot.DhDM[joint] * z;
                (y, z) = (cosAlpha * y + sinAlpha * z, cosAlpha * z - sinAlpha * y);
            }
            Flange = place;
            ToolX = x;
            ToolY = y;
            ToolAxis = z;
        }

        /// <summary>A point on the tool's axis, so far from the flange.</summary>
        public Vec3 Point(double alongTool) => Flange + alongTool * ToolAxis;

        /// <summary>How a point fixed to the tool moves as one joint turns at 1 rad/s.</summary>
        public Vec3 Motion(int joint, in Vec3 point) => _axis[joint].Cross(point - _origin[joint]);

        /// <summary>How fast a point moves that the first so many joints carry.</summary>
        public Vec3 Velocity(in Vec3 point, double[] jointVelocity, int joints = Joints)
        {
            Vec3 sum = default;
            for (int joint = 0; joint < joints; joint++)
            {
                sum = sum + jointVelocity[joint] * Motion(joint, point);
            }
            return sum;
        }
    }
}
