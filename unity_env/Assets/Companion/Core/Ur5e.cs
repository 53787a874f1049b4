using System;
using System.Collections.Generic;

namespace Companion.Core
{
    /// <summary>Facts of the UR5e; their sources stand in python/companion/robots/ur5e.py. Six-vectors are in ROS 2's joint order.</summary>
    public sealed class Ur5e
    {
        public const int Joints = 6;

        public readonly IReadOnlyList<string> JointNames;
        public readonly double[] DhAM;
        public readonly double[] DhDM;
        public readonly double[] DhAlphaRad;
        public readonly double[] LinkMassKg;

        /// <summary>Plus and minus.</summary>
        public readonly double[] JointLimitRad;

        public readonly double JointSpeedLimitRadps;
        public readonly double[] JointTorqueLimitNm;
        public readonly double[] ServoStiffnessNmPerRad;
        public readonly double[] ServoDampingNmsPerRad;
        public readonly double ArmatureKgm2;

        /// <summary>From the flange to the tool's tip.</summary>
        public readonly double ToolLengthM;

        public readonly double ToolRadiusM;
        public readonly double ToolMassKg;

        /// <summary>Elbow up, tool in front and pointing down.</summary>
        public readonly double[] ReadyPositionRad;

        private readonly double[] _cosAlpha = new double[Joints];
        private readonly double[] _sinAlpha = new double[Joints];

        internal Ur5e(JsonValue json)
        {
            JointNames = Words.List(json["joint_names"], name => name.Text);
            DhAM = json["dh_a_m"].Numbers;
            DhDM = json["dh_d_m"].Numbers;
            DhAlphaRad = json["dh_alpha_rad"].Numbers;
            LinkMassKg = json["link_mass_kg"].Numbers;
            JointLimitRad = json["joint_limit_rad"].Numbers;
            JointSpeedLimitRadps = json["joint_speed_limit_radps"].Number;
            JointTorqueLimitNm = json["joint_torque_limit_nm"].Numbers;
            ServoStiffnessNmPerRad = json["servo_stiffness_nm_per_rad"].Numbers;
            ServoDampingNmsPerRad = json["servo_damping_nms_per_rad"].Numbers;
            ArmatureKgm2 = json["armature_kgm2"].Number;
            ToolLengthM = json["tool_length_m"].Number;
            ToolRadiusM = json["tool_radius_m"].Number;
            ToolMassKg = json["tool_mass_kg"].Number;
            ReadyPositionRad = json["ready_position_rad"].Numbers;
            for (int joint = 0; joint < Joints; joint++)
            {
                _cosAlpha[joint] = Math.Cos(DhAlphaRad[joint]);
                _sinAlpha[joint] = Math.Sin(DhAlphaRad[joint]);
            }
        }

        /// <summary>Where the tool's tip is in the frame base_link, m.</summary>
        /// <param name="jointPosition">Six angles, rad.</param>
        /// <param name="tip">Gets x, y, z. base_link is ROS 2's: x forward at joint 1 = 0, z up.</param>
        public void ToolPosition(double[] jointPosition, double[] tip)
        {
            double x = 0.0, y = 0.0, z = ToolLengthM;
            for (int joint = Joints - 1; joint >= 0; joint--)
            {
                double ca = _cosAlpha[joint], sa = _sinAlpha[joint];
                x += DhAM[joint];
                (y, z) = (ca * y - sa * z, sa * y + ca * z + DhDM[joint]);
                double cos = Math.Cos(jointPosition[joint]), sin = Math.Sin(jointPosition[joint]);
                (x, y) = (cos * x - sin * y, sin * x + cos * y);
            }
            tip[0] = -x;
            tip[1] = -y;
            tip[2] = z;
        }
    }
}
