using System;

namespace Companion.Core
{
    /// <summary>Who is nearest to a place.</summary>
    internal readonly struct NearestPerson
    {
        public readonly int Index;

        /// <summary>To the person's middle, m.</summary>
        public readonly double Distance;

        /// <summary>The unit vector to them.</summary>
        public readonly double DirectionX;
        public readonly double DirectionY;

        private NearestPerson(int index, double x, double y, double distance)
        {
            Index = index;
            Distance = distance;
            DirectionX = x / Math.Max(distance, 1e-9);
            DirectionY = y / Math.Max(distance, 1e-9);
        }

        public static NearestPerson Of(Figures people, double x, double y)
        {
            int nearest = 0;
            double least = double.PositiveInfinity;
            for (int person = 0; person < people.Count; person++)
            {
                double toX = people.X[person] - x, toY = people.Y[person] - y;
                double distance = Math.Sqrt(toX * toX + toY * toY);
                if (distance < least)
                {
                    least = distance;
                    nearest = person;
                }
            }
            return new NearestPerson(nearest, people.X[nearest] - x, people.Y[nearest] - y, least);
        }
    }

    /// <summary>Where a person is as the robot sees it.</summary>
    internal readonly struct Near
    {
        /// <summary>The unit vector from the robot to the person.</summary>
        public readonly double AwayX;
        public readonly double AwayY;

        /// <summary>Between their hulls, m.</summary>
        public readonly double Gap;

        public Near(double offsetX, double offsetY, double radiiM)
        {
            double distance = Math.Max(Math.Sqrt(offsetX * offsetX + offsetY * offsetY), 1e-9);
            AwayX = offsetX / distance;
            AwayY = offsetY / distance;
            Gap = distance - radiiM;
        }
    }

    /// <summary>How people who walk keep out of the way of robots and furniture.</summary>
    internal sealed class Courtesy
    {
        private readonly double _noticeM;
        private readonly double _keepM;

        /// <param name="shared">The constants of Python's <c>_people</c>.</param>
        public Courtesy(JsonValue shared)
        {
            _noticeM = shared["NOTICE_M"].Number;
            _keepM = shared["KEEP_M"].Number;
        }

        /// <summary>Nobody walks into furniture; who stands in it is led out.</summary>
        /// <param name="gap">From a person's body to what is nearest, m, negative inside.</param>
        /// <param name="wayX">The unit vector away from it.</param>
        /// <param name="wayY">Its other entry.</param>
        /// <param name="wantedX">A velocity, whose part that leads nearer fades out.</param>
        /// <param name="wantedY">Its other entry.</param>
        public static void SlideAlong(double gap, double wayX, double wayY, ref double wantedX, ref double wantedY)
        {
            double into = Math.Min(wantedX * wayX + wantedY * wayY, 0.0);
            double fade = Math.Clamp(1.0 - gap / 0.15, 0.0, 1.0);
            double outwards = Math.Clamp(-gap / 0.05, 0.0, 1.0) * 0.3;
            wantedX += (outwards - fade * into) * wayX;
            wantedY += (outwards - fade * into) * wayY;
        }

        /// <summary>Round the robot, for a person who looks and walks at <paramref name="speed"/>.</summary>
        public void MakeWay(in Near robot, double speed, double side, ref double wantedX, ref double wantedY)
        {
            double approach = Math.Max(-(wantedX * robot.AwayX + wantedY * robot.AwayY), 0.0);
            double sideways = approach > 0.0 ? side * speed : 0.0;
            double near = Math.Clamp((_noticeM - robot.Gap) / (_noticeM - _keepM), 0.0, 1.0);
            double back = near * approach + Math.Clamp((_keepM - robot.Gap) / _keepM * 2.0, 0.0, 1.0) * speed;
            wantedX += back * robot.AwayX - near * sideways * robot.AwayY;
            wantedY += back * robot.AwayY + near * sideways * robot.AwayX;
        }
    }
}
