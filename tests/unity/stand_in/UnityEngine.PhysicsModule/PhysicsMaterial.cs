// How surfaces rub and bounce. Unlike in Unity, what has no material is smooth and does not bounce.
using System;

namespace UnityEngine
{
    public enum PhysicsMaterialCombine
    {
        Average = 0,
        Multiply = 1,
        Minimum = 2,
        Maximum = 3,
    }

    public sealed class PhysicsMaterial : Object
    {
        public float bounciness { get; set; }
        public PhysicsMaterialCombine bounceCombine { get; set; }
        public float dynamicFriction { get; set; } = 0.6f;
        public PhysicsMaterialCombine frictionCombine { get; set; }
        public float staticFriction { get; set; } = 0.6f;

        internal static float Friction(Collider one, Collider other)
        {
            PhysicsMaterial mine = one.sharedMaterial, theirs = other.sharedMaterial;
            if (mine is null || theirs is null) return 0f;
            return Combined(mine.dynamicFriction, theirs.dynamicFriction, mine.frictionCombine, theirs.frictionCombine);
        }

        internal static float Bounciness(Collider one, Collider other)
        {
            PhysicsMaterial mine = one.sharedMaterial, theirs = other.sharedMaterial;
            if (mine is null || theirs is null) return 0f;
            return Combined(mine.bounciness, theirs.bounciness, mine.bounceCombine, theirs.bounceCombine);
        }

        /// Of two ways to combine, the first of maximum, multiply, minimum and average counts.
        static float Combined(float a, float b, PhysicsMaterialCombine one, PhysicsMaterialCombine other)
        {
            bool Says(PhysicsMaterialCombine way) => one == way || other == way;
            if (Says(PhysicsMaterialCombine.Maximum)) return MathF.Max(a, b);
            if (Says(PhysicsMaterialCombine.Multiply)) return a * b;
            return Says(PhysicsMaterialCombine.Minimum) ? MathF.Min(a, b) : (a + b) / 2f;
        }
    }
}
