// Vectors, rotations and small functions: Unity's conventions (left-handed, y up, degrees), written from its manual.
using System;

namespace UnityEngine
{
    public struct Vector2
    {
        public float x, y;

        public Vector2(float x, float y)
        {
            this.x = x;
            this.y = y;
        }

        public float magnitude => MathF.Sqrt(x * x + y * y);
        public static Vector2 zero => default;
        public static implicit operator Vector2(Vector3 v) => new(v.x, v.y);
        public static implicit operator Vector3(Vector2 v) => new(v.x, v.y, 0f);
    }

    public struct Vector3
    {
        public float x, y, z;

        public Vector3(float x, float y, float z)
        {
            this.x = x;
            this.y = y;
            this.z = z;
        }

        public static Vector3 zero => default;
        public static Vector3 one => new(1f, 1f, 1f);
        public static Vector3 up => new(0f, 1f, 0f);
        public static Vector3 down => new(0f, -1f, 0f);
        public static Vector3 right => new(1f, 0f, 0f);
        public static Vector3 left => new(-1f, 0f, 0f);
        public static Vector3 forward => new(0f, 0f, 1f);
        public static Vector3 back => new(0f, 0f, -1f);
        public float sqrMagnitude => Dot(this, this);
        public float magnitude => MathF.Sqrt(sqrMagnitude);

        public Vector3 normalized
        {
            get
            {
                float length = magnitude;
                return length > 1e-5f ? this / length : zero;
            }
        }

        public static float Dot(Vector3 a, Vector3 b) => a.x * b.x + a.y * b.y + a.z * b.z;
        public static Vector3 Cross(Vector3 a, Vector3 b) =>
            new(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
        public static float Distance(Vector3 a, Vector3 b) => (a - b).magnitude;
        public static Vector3 Lerp(Vector3 a, Vector3 b, float share) => a + (b - a) * Mathf.Clamp01(share);
        public static Vector3 Scale(Vector3 a, Vector3 b) => new(a.x * b.x, a.y * b.y, a.z * b.z);
        public static Vector3 operator +(Vector3 a, Vector3 b) => new(a.x + b.x, a.y + b.y, a.z + b.z);
        public static Vector3 operator -(Vector3 a, Vector3 b) => new(a.x - b.x, a.y - b.y, a.z - b.z);
        public static Vector3 operator -(Vector3 a) => new(-a.x, -a.y, -a.z);
        public static Vector3 operator *(Vector3 a, float factor) => new(a.x * factor, a.y * factor, a.z * factor);
        public static Vector3 operator *(float factor, Vector3 a) => a * factor;
        public static Vector3 operator /(Vector3 a, float divisor) => a * (1f / divisor);
        public static bool operator ==(Vector3 a, Vector3 b) => (a - b).sqrMagnitude < 1e-10f;
        public static bool operator !=(Vector3 a, Vector3 b) => !(a == b);
        public override bool Equals(object other) => other is Vector3 v && x == v.x && y == v.y && z == v.z;
        public override int GetHashCode() => HashCode.Combine(x, y, z);
        public override string ToString() => $"({x:F3}, {y:F3}, {z:F3})";
    }

    public struct Vector4
    {
        public float x, y, z, w;
    }

    public struct Vector3Int
    {
        public Vector3Int(int x, int y, int z)
        {
            this.x = x;
            this.y = y;
            this.z = z;
        }

        public int x { get; }
        public int y { get; }
        public int z { get; }
    }

    public struct Quaternion
    {
        public float x, y, z, w;

        public Quaternion(float x, float y, float z, float w)
        {
            this.x = x;
            this.y = y;
            this.z = z;
            this.w = w;
        }

        public static Quaternion identity => new(0f, 0f, 0f, 1f);
        public static Quaternion Inverse(Quaternion q) => new(-q.x, -q.y, -q.z, q.w);
        public static float Dot(Quaternion a, Quaternion b) => a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;

        public Quaternion normalized
        {
            get
            {
                float factor = 1f / MathF.Sqrt(Dot(this, this));
                return new Quaternion(x * factor, y * factor, z * factor, w * factor);
            }
        }

        public static Quaternion AngleAxis(float angleDegrees, Vector3 axis)
        {
            float half = angleDegrees * Mathf.Deg2Rad / 2f;
            Vector3 v = axis.normalized * MathF.Sin(half);
            return new Quaternion(v.x, v.y, v.z, MathF.Cos(half));
        }

        /// Unity turns about z first, then x, then y.
        public static Quaternion Euler(float x, float y, float z) =>
            AngleAxis(y, Vector3.up) * AngleAxis(x, Vector3.right) * AngleAxis(z, Vector3.forward);

        public static Quaternion FromToRotation(Vector3 from, Vector3 to)
        {
            Vector3 a = from.normalized, b = to.normalized;
            float cosine = Vector3.Dot(a, b);
            if (cosine < -0.999999f)
            {
                Vector3 across = Vector3.Cross(a, Vector3.up);
                return AngleAxis(180f, across.sqrMagnitude > 1e-6f ? across : Vector3.Cross(a, Vector3.right));
            }
            Vector3 axis = Vector3.Cross(a, b);
            return new Quaternion(axis.x, axis.y, axis.z, 1f + cosine).normalized;
        }

        public static Quaternion LookRotation(Vector3 forward) => LookRotation(forward, Vector3.up);

        public static Quaternion LookRotation(Vector3 forward, Vector3 upwards)
        {
            Vector3 ahead = forward.normalized;
            float yaw = MathF.Atan2(ahead.x, ahead.z), pitch = MathF.Asin(Mathf.Clamp(-ahead.y, -1f, 1f));
            return Euler(pitch * Mathf.Rad2Deg, yaw * Mathf.Rad2Deg, 0f);
        }

        public Vector3 eulerAngles
        {
            get
            {
                Vector3 ahead = this * Vector3.forward, across = this * Vector3.right, upwards = this * Vector3.up;
                float yaw = MathF.Atan2(ahead.x, ahead.z), pitch = MathF.Asin(Mathf.Clamp(-ahead.y, -1f, 1f));
                float roll = MathF.Atan2(across.y, upwards.y);
                return new Vector3(Positive(pitch), Positive(yaw), Positive(roll));
            }
        }

        public static Quaternion operator *(Quaternion a, Quaternion b) => new(
            a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
            a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x,
            a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w,
            a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z);

        public static Vector3 operator *(Quaternion q, Vector3 v)
        {
            var axis = new Vector3(q.x, q.y, q.z);
            Vector3 turned = Vector3.Cross(axis, v) * 2f;
            return v + turned * q.w + Vector3.Cross(axis, turned);
        }

        static float Positive(float radians) => (radians * Mathf.Rad2Deg + 360f) % 360f;
    }

    public struct Matrix4x4
    {
    }

    public struct Pose
    {
        public Vector3 position;
        public Quaternion rotation;

        public static Pose identity => new() { rotation = Quaternion.identity };
    }

    public struct Rect
    {
        public Rect(float x, float y, float width, float height)
        {
        }
    }

    public struct Color
    {
        public float r, g, b, a;

        public Color(float r, float g, float b)
            : this(r, g, b, 1f)
        {
        }

        public Color(float r, float g, float b, float a)
        {
            this.r = r;
            this.g = g;
            this.b = b;
            this.a = a;
        }

        public static Color black => new(0f, 0f, 0f);
        public static Color blue => new(0f, 0f, 1f);
        public static Color cyan => new(0f, 1f, 1f);
        public static Color gray => new(0.5f, 0.5f, 0.5f);
        public static Color green => new(0f, 1f, 0f);
        public static Color red => new(1f, 0f, 0f);
        public static Color white => new(1f, 1f, 1f);
        public static Color Lerp(Color a, Color b, float share) => share < 0.5f ? a : b;
    }

    public struct Color32
    {
        public byte r, g, b, a;

        public Color32(byte r, byte g, byte b, byte a)
        {
            this.r = r;
            this.g = g;
            this.b = b;
            this.a = a;
        }
    }

    public struct Mathf
    {
        public const float PI = MathF.PI;
        public const float Deg2Rad = MathF.PI / 180f;
        public const float Rad2Deg = 180f / MathF.PI;

        public static float Abs(float value) => MathF.Abs(value);
        public static float Asin(float value) => MathF.Asin(value);
        public static float Atan2(float y, float x) => MathF.Atan2(y, x);
        public static int CeilToInt(float value) => (int)MathF.Ceiling(value);
        public static float Clamp(float value, float low, float high) => value < low ? low : value > high ? high : value;
        public static int Clamp(int value, int low, int high) => value < low ? low : value > high ? high : value;
        public static float Clamp01(float value) => Clamp(value, 0f, 1f);
        public static float Cos(float angle) => MathF.Cos(angle);
        public static float Exp(float power) => MathF.Exp(power);
        public static float InverseLerp(float a, float b, float value) => a == b ? 0f : Clamp01((value - a) / (b - a));
        public static float Lerp(float a, float b, float share) => a + (b - a) * Clamp01(share);
        public static float Max(float a, float b) => a > b ? a : b;
        public static int Max(int a, int b) => a > b ? a : b;
        public static float Min(float a, float b) => a < b ? a : b;
        public static int Min(int a, int b) => a < b ? a : b;
        public static float Pow(float value, float power) => MathF.Pow(value, power);
        public static int RoundToInt(float value) => (int)MathF.Round(value);
        public static float Sign(float value) => value >= 0f ? 1f : -1f;
        public static float Sin(float angle) => MathF.Sin(angle);
        public static float Sqrt(float value) => MathF.Sqrt(value);

        public static int Max(params int[] values)
        {
            int most = values.Length == 0 ? 0 : values[0];
            foreach (int value in values) most = Math.Max(most, value);
            return most;
        }
    }
}
