using System;
using System.Collections.Generic;

namespace Companion.Core
{
    /// <summary>The shapes that a scene is built of, with MuJoCo's meaning of their sizes.</summary>
    public enum GeomKind
    {
        /// <summary>Endless; drawn with half length and half width.</summary>
        Plane,

        /// <summary>Radius.</summary>
        Sphere,

        /// <summary>Radius, half length of the straight part; along z.</summary>
        Capsule,

        /// <summary>Three half axes.</summary>
        Ellipsoid,

        /// <summary>Radius, half length; along z.</summary>
        Cylinder,

        /// <summary>Three half lengths.</summary>
        Box,
    }

    /// <summary>One shape of a body.</summary>
    public sealed class GeomData
    {
        public readonly string Name;
        public readonly GeomKind Kind;

        /// <summary>As <see cref="GeomKind"/> says, m.</summary>
        public readonly double[] Size;

        /// <summary>In the body, m.</summary>
        public readonly double[] Position;

        /// <summary>In the body: w, x, y, z.</summary>
        public readonly double[] Rotation;

        /// <summary>Red, green, blue, opacity.</summary>
        public readonly double[] Colour;

        /// <summary>MuJoCo's contype; two geoms touch where one's has a bit of the other's <see cref="CollidesWith"/>.</summary>
        public readonly int CollidesAs;

        /// <summary>MuJoCo's conaffinity.</summary>
        public readonly int CollidesWith;

        /// <summary>MuJoCo's: of two that touch, the one with the higher priority says how they rub and bounce.</summary>
        public readonly int Priority;

        /// <summary>Coefficient of sliding friction.</summary>
        public readonly double Friction;

        /// <summary>Share of its speed with which something bounces off it.</summary>
        public readonly double Bounciness;

        /// <summary>Whether a person shall see it; what is not visual is a hull.</summary>
        public readonly bool IsDrawn;

        internal GeomData(JsonValue json)
        {
            Name = json["name"].Text;
            Kind = Words.Find<GeomKind>(json["kind"].Text);
            Size = json["size"].Numbers;
            Position = json["position"].Numbers;
            Rotation = json["rotation"].Numbers;
            Colour = json["colour"].Numbers;
            CollidesAs = json["collides_as"].Integer;
            CollidesWith = json["collides_with"].Integer;
            Priority = json["priority"].Integer;
            Friction = json["friction"].Number;
            Bounciness = json["bounciness"].Number;
            IsDrawn = json["is_drawn"].Truth;
        }

        /// <summary>Whether it touches nothing.</summary>
        public bool IsVisual => CollidesAs == 0 && CollidesWith == 0;

        /// <summary>Whether the two may touch at all.</summary>
        public bool Meets(GeomData other) =>
            (CollidesAs & other.CollidesWith) != 0 || (other.CollidesAs & CollidesWith) != 0;

        /// <summary>The coefficient of friction between the two; the rougher one's where none has priority.</summary>
        public double FrictionWith(GeomData other) =>
            Priority == other.Priority ? Math.Max(Friction, other.Friction) : Ruling(other).Friction;

        /// <summary>The share of its speed that is left where the two bounce off each other.</summary>
        public double BouncinessWith(GeomData other) =>
            Priority == other.Priority ? (Bounciness + other.Bounciness) / 2.0 : Ruling(other).Bounciness;

        private GeomData Ruling(GeomData other) => Priority > other.Priority ? this : other;
    }

    /// <summary>How a joint moves.</summary>
    public enum JointKind
    {
        Free,
        Ball,
        Slide,
        Hinge,
    }

    /// <summary>One joint between a body and its parent.</summary>
    public sealed class JointData
    {
        public readonly string Name;
        public readonly JointKind Kind;
        public readonly double[] Axis;

        /// <summary>In the body, m.</summary>
        public readonly double[] Position;

        public readonly bool IsLimited;

        /// <summary>Limits in rad or m, where it is limited.</summary>
        public readonly double Low;
        public readonly double High;

        /// <summary>Inertia of the motor, seen at the joint, kg m² or kg.</summary>
        public readonly double Armature;

        internal JointData(JsonValue json)
        {
            Name = json["name"].Text;
            Kind = Words.Find<JointKind>(json["kind"].Text);
            Axis = json["axis"].Numbers;
            Position = json["position"].Numbers;
            IsLimited = json["is_limited"].Truth;
            Low = json["low"].Number;
            High = json["high"].Number;
            Armature = json["armature"].Number;
        }
    }

    /// <summary>A rigid body of a scene; ROS's axes, m, kg.</summary>
    public sealed class BodyData
    {
        public readonly string Name;

        /// <summary>The body that it hangs on, "world" at the root.</summary>
        public readonly string Parent;

        /// <summary>In the parent, m.</summary>
        public readonly double[] Position;

        /// <summary>In the parent: w, x, y, z.</summary>
        public readonly double[] Rotation;

        /// <summary>Whether the task puts it somewhere (MuJoCo's mocap): goals, people, furniture.</summary>
        public readonly bool IsPosed;

        public readonly double MassKg;

        /// <summary>Centre of mass in the body, m.</summary>
        public readonly double[] Centre;

        /// <summary>Principal moments, kg m².</summary>
        public readonly double[] Inertia;

        /// <summary>Of the principal axes in the body: w, x, y, z.</summary>
        public readonly double[] InertiaRotation;

        public readonly IReadOnlyList<JointData> Joints;
        public readonly IReadOnlyList<GeomData> Geoms;

        internal BodyData(JsonValue json)
        {
            Name = json["name"].Text;
            Parent = json["parent"].Text;
            Position = json["position"].Numbers;
            Rotation = json["rotation"].Numbers;
            IsPosed = json["is_posed"].Truth;
            MassKg = json["mass_kg"].Number;
            Centre = json["centre"].Numbers;
            Inertia = json["inertia"].Numbers;
            InertiaRotation = json["inertia_rotation"].Numbers;
            Joints = Words.List(json["joints"], entry => new JointData(entry));
            Geoms = Words.List(json["geoms"], entry => new GeomData(entry));
        }
    }
}
