using Companion.Core;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>
    /// The one place where the project's frames (ROS: right-handed, x ahead, y left, z up) meet Unity's (left-handed,
    /// z ahead, x right, y up). Metres and radians on both sides.
    /// </summary>
    /// <remarks>
    /// Ahead stays ahead, left becomes -right, up stays up: a point (x, y, z) is (-y, z, x) in Unity. That mirrors space,
    /// so whatever turns (axes of rotation, angular velocities, quaternions' vectors) changes its sign beside.
    /// </remarks>
    public static class Frames
    {
        /// <summary>A point or a direction.</summary>
        public static Vector3 ToUnity(double x, double y, double z) => new Vector3((float)-y, (float)z, (float)x);

        /// <summary>A point or a direction of three entries.</summary>
        public static Vector3 ToUnity(double[] v) => ToUnity(v[0], v[1], v[2]);

        /// <summary>The same.</summary>
        public static Vector3 ToUnity(in Vec3 v) => ToUnity(v.X, v.Y, v.Z);

        /// <summary>Lengths along x, y and z, such as a box's.</summary>
        public static Vector3 SizeToUnity(double x, double y, double z) => new Vector3((float)y, (float)z, (float)x);

        /// <summary>An axis to turn about, or an angular velocity.</summary>
        public static Vector3 TurnToUnity(double[] axis) => -ToUnity(axis);

        /// <summary>The same.</summary>
        public static Vector3 TurnToUnity(double x, double y, double z) => -ToUnity(x, y, z);

        /// <summary>A rotation given as w, x, y, z.</summary>
        public static Quaternion RotationToUnity(double[] q) =>
            new Quaternion((float)q[2], (float)-q[3], (float)-q[1], (float)q[0]);

        /// <summary>The same.</summary>
        public static Quaternion RotationToUnity(in Turn turn) =>
            new Quaternion((float)turn.Y, (float)-turn.Z, (float)-turn.X, (float)turn.W);

        /// <summary>A turn about the upright axis, counter-clockwise seen from above.</summary>
        public static Quaternion YawToUnity(double yaw) =>
            new Quaternion(0f, (float)-System.Math.Sin(yaw / 2.0), 0f, (float)System.Math.Cos(yaw / 2.0));

        /// <summary>A turning speed about the upright axis, rad/s.</summary>
        public static Vector3 TurningSpeedToUnity(double speed) => new Vector3(0f, (float)-speed, 0f);

        /// <summary>Place and heading of something that stands on the floor.</summary>
        public static Pose2 ToPose(Vector3 position, Quaternion rotation)
        {
            Vector3 ahead = rotation * Vector3.forward;
            return new Pose2(position.z, -position.x, System.Math.Atan2(-ahead.x, ahead.z));
        }

        /// <summary>Of a point or a velocity, what is along the floor.</summary>
        public static void ToFloor(Vector3 v, out double x, out double y)
        {
            x = v.z;
            y = -v.x;
        }

        /// <summary>The turning speed about the upright axis, counter-clockwise, of an angular velocity.</summary>
        public static double ToTurningSpeed(Vector3 angularVelocity) => -angularVelocity.y;
    }
}
