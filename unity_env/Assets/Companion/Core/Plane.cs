using System;

namespace Companion.Core
{
    /// <summary>Small sums of plane geometry.</summary>
    internal static class Plane
    {
        public static double Length(double x, double y) => Math.Sqrt(x * x + y * y);

        /// <summary>An angle from -π to below π.</summary>
        public static double Wrapped(double angle)
        {
            double turned = angle + Math.PI;
            return turned - 2.0 * Math.PI * Math.Floor(turned / (2.0 * Math.PI)) - Math.PI;
        }
    }
}
