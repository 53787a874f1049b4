using System;
using System.Collections.Generic;

namespace Companion.Core
{
    /// <summary>A rotation; w first.</summary>
    public readonly struct Turn
    {
        public readonly double W;
        public readonly double X;
        public readonly double Y;
        public readonly double Z;

        public Turn(double w, double x, double y, double z)
        {
            W = w;
            X = x;
            Y = y;
            Z = z;
        }

        /// <summary>None.</summary>
        public static Turn None => new Turn(1.0, 0.0, 0.0, 0.0);

        /// <summary>About the upright axis.</summary>
        public static Turn Yaw(double angle) => new Turn(Math.Cos(angle / 2.0), 0.0, 0.0, Math.Sin(angle / 2.0));

        /// <summary>Turns z into a direction or its opposite, whichever is less of a turn.</summary>
        public static Turn OfZ(in Vec3 direction)
        {
            Vec3 unit = direction.Unit(1e-9);
            unit = unit.Z < 0.0 ? -1.0 * unit : unit;
            double length = Math.Sqrt((1.0 + unit.Z) * (1.0 + unit.Z) + unit.X * unit.X + unit.Y * unit.Y);
            return new Turn((1.0 + unit.Z) / length, -unit.Y / length, unit.X / length, 0.0);
        }
    }

    /// <summary>
    /// Where the bodies of a seated figure are, by how it sits; base_link, m. The same as python/companion/tasks/_seated.py.
    /// </summary>
    public sealed class FigureParts
    {
        public const int Legs = 0;
        public const int Torso = 1;
        public const int RestArm = 2;
        public const int Head = 3;
        public const int UpperArm = 4;
        public const int Forearm = 5;
        public const int Hand = 6;
        public const int Count = 7;

        /// <summary>What the bodies are called in the task's data.</summary>
        public static readonly IReadOnlyList<string> Names = new[]
        {
            "person_legs", "person_torso", "person_rest_arm", "person_head", "person_upper_arm", "person_forearm", "hand",
        };

        private readonly Figure _figure;
        private readonly Vec3[] _place = new Vec3[Count];
        private readonly Turn[] _turn = new Turn[Count];

        public FigureParts(Figure figure) => _figure = figure;

        public Vec3 PlaceOf(int part) => _place[part];

        public Turn TurnOf(int part) => _turn[part];

        /// <summary>For one who sits so.</summary>
        /// <param name="posture">How.</param>
        /// <param name="palm">Of the hand that is held out; a hand lies flat and points where the forearm does.</param>
        /// <param name="side">Which hand it is: +1 the one towards +y, or -1.</param>
        public void Update(in Posture posture, in Vec3 palm, double side)
        {
            Vec3 trunk = posture.Head - posture.Hip, fore = palm - posture.Elbow;
            var otherShoulder = new Vec3(0.0, 2.0 * _figure.ShoulderAsideM * side, 0.0);
            _place[Legs] = posture.Hip;
            _place[Torso] = posture.Hip + _figure.TrunkM / 2.0 / _figure.HeadM * trunk;
            _place[RestArm] = posture.Shoulder - otherShoulder;
            _place[Head] = posture.Head;
            _place[UpperArm] = 0.5 * (posture.Shoulder + posture.Elbow);
            _place[Forearm] = 0.5 * (posture.Elbow + posture.Wrist);
            _place[Hand] = palm;
            _turn[Legs] = Turn.None;
            _turn[Torso] = _turn[RestArm] = _turn[Head] = Turn.OfZ(trunk);
            _turn[UpperArm] = Turn.OfZ(posture.Elbow - posture.Shoulder);
            _turn[Forearm] = Turn.OfZ(fore);
            _turn[Hand] = Turn.Yaw(Math.Atan2(fore.Y, fore.X));
        }
    }
}
