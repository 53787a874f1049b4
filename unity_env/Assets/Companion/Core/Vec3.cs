using System;

namespace Companion.Core
{
    /// <summary>A point or a direction in a right-handed frame with z up.</summary>
    public readonly struct Vec3
    {
        public readonly double X;
        public readonly double Y;
        public readonly double Z;

        public Vec3(double x, double y, double z)
        {
            X = x;
            Y = y;
            Z = z;
        }

        public double Length => Math.Sqrt(Dot(this));

        public static Vec3 operator +(in Vec3 one, in Vec3 other) => new Vec3(one.X + other.X, one.Y + other.Y, one.Z + other.Z);

        public static Vec3 operator -(in Vec3 one, in Vec3 other) => new Vec3(one.X - other.X, one.Y - other.Y, one.Z - other.Z);

        public static Vec3 operator *(double factor, in Vec3 one) => new Vec3(factor * one.X, factor * one.Y, factor * one.Z);

        public double Dot(in Vec3 other) => X * other.X + Y * other.Y + Z * other.Z;

        public Vec3 Cross(in Vec3 other)
        {
            return new Vec3(Y * other.Z - Z * other.Y, Z * other.X - X * other.Z, X * other.Y - Y * other.X);
        }

        /// <summary>The same direction with length 1; what is shorter than <paramref name="least"/> stays shorter.</summary>
        public Vec3 Unit(double least = 1e-6) => 1.0 / Math.Max(Length, least) * this;

        /// <summary>From here to the segment between two points.</summary>
        public double DistanceToSegment(in Vec3 start, in Vec3 end)
        {
            Vec3 way = end - start, offset = this - start;
            double share = Math.Clamp(offset.Dot(way) / Math.Max(way.Dot(way), 1e-12), 0.0, 1.0);
            return (offset - share * way).Length;
        }

        /// <summary>Put it into an array, from a place on.</summary>
        internal void Write(double[] into, int at)
        {
            into[at] = X;
            into[at + 1] = Y;
            into[at + 2] = Z;
        }
    }
}
