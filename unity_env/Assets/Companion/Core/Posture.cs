using System;

namespace Companion.Core
{
    /// <summary>How a seated figure is built; m. The proportions of python/companion/tasks/_seated.py.</summary>
    public sealed class Figure
    {
        public readonly double TrunkM;
        public readonly double HeadM;
        public readonly double ShoulderAsideM;
        public readonly double UpperArmM;
        public readonly double ForearmM;
        public readonly double PalmM;
        public readonly double TorsoHalfM;
        public readonly double HeadRadiusM;
        public readonly double TorsoRadiusM;
        public readonly double UpperArmRadiusM;
        public readonly double ForearmRadiusM;

        internal Figure(JsonValue shared)
        {
            TrunkM = shared["TRUNK_M"].Number;
            HeadM = shared["HEAD_M"].Number;
            ShoulderAsideM = shared["SHOULDER_ASIDE_M"].Number;
            UpperArmM = shared["UPPER_ARM_M"].Number;
            ForearmM = shared["FOREARM_M"].Number;
            PalmM = shared["PALM_M"].Number;
            TorsoHalfM = shared["TORSO_HALF_M"].Number;
            HeadRadiusM = shared["HEAD_RADIUS_M"].Number;
            TorsoRadiusM = shared["TORSO_RADIUS_M"].Number;
            UpperArmRadiusM = shared["UPPER_ARM_RADIUS_M"].Number;
            ForearmRadiusM = shared["FOREARM_RADIUS_M"].Number;
        }

        /// <summary>The middle of the head of one who sits at <paramref name="hip"/> and leans forward by so much.</summary>
        public Vec3 Head(in Vec3 hip, double lean) => hip + HeadM * Up(lean);

        internal static Vec3 Up(double lean) => new Vec3(-Math.Sin(lean), 0.0, Math.Cos(lean));
    }

    /// <summary>Where a seated figure's joints are, m in base_link.</summary>
    public readonly struct Posture
    {
        public readonly Vec3 Hip;
        public readonly Vec3 Head;
        public readonly Vec3 Shoulder;
        public readonly Vec3 Elbow;
        public readonly Vec3 Wrist;
        public readonly Vec3 Palm;

        private readonly Figure _figure;

        /// <summary>One who sits, leans forward and has the palm of the hand on this side somewhere; the elbow hangs outwards.</summary>
        public Posture(Figure figure, in Vec3 hip, double lean, double side, in Vec3 palm)
        {
            _figure = figure;
            Vec3 up = Figure.Up(lean);
            Hip = hip;
            Palm = palm;
            Head = hip + figure.HeadM * up;
            Shoulder = hip + figure.TrunkM * up + new Vec3(0.0, side * figure.ShoulderAsideM, 0.0);
            Vec3 way = palm - Shoulder;
            double upper = figure.UpperArmM, lower = figure.ForearmM + figure.PalmM;
            double distance = Math.Clamp(way.Length, Math.Abs(upper - lower) + 0.01, upper + lower - 1e-3);
            Vec3 along = way.Unit();
            double share = (upper * upper - lower * lower + distance * distance) / (2.0 * distance);
            var outwards = new Vec3(0.3, 0.7 * side, -1.0);
            outwards = (outwards - outwards.Dot(along) * along).Unit();
            double bent = Math.Sqrt(Math.Max(upper * upper - share * share, 0.0));
            Elbow = Shoulder + share * along + bent * outwards;
            Wrist = Elbow + figure.ForearmM * (palm - Elbow).Unit();
        }

        /// <summary>From a point to the nearest of head, torso and upper arm, m; 0 inside.</summary>
        public double HeadAndBodyClearance(in Vec3 point)
        {
            Vec3 along = 1.0 / _figure.HeadM * (Head - Hip);
            Vec3 middle = Hip + _figure.TrunkM / 2.0 * along, half = _figure.TorsoHalfM * along;
            double head = (point - Head).Length - _figure.HeadRadiusM;
            double torso = point.DistanceToSegment(middle - half, middle + half) - _figure.TorsoRadiusM;
            double arm = point.DistanceToSegment(Shoulder, Elbow) - _figure.UpperArmRadiusM;
            return Math.Max(Math.Min(Math.Min(head, torso), arm), 0.0);
        }

        /// <summary>From a point to the forearm that holds the hand out, m; 0 inside.</summary>
        public double ForearmClearance(in Vec3 point)
        {
            return Math.Max(point.DistanceToSegment(Elbow, Wrist) - _figure.ForearmRadiusM, 0.0);
        }
    }
}
