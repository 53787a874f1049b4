// Shapes: how far a point is from one, and where a ray meets it. All are convex, which the searches below rely on.
using System;

namespace UnityEngine
{
    public abstract class Collider : Component
    {
        bool isEnabled = true;

        public Rigidbody attachedRigidbody { get; internal set; }
        public ArticulationBody attachedArticulationBody { get; internal set; }
        public float contactOffset { get; set; } = 0.01f;
        public bool isTrigger { get; set; }
        public PhysicsMaterial sharedMaterial { get; set; }

        public bool enabled
        {
            get => isEnabled;
            set
            {
                isEnabled = value;
                World.Forget(this);
            }
        }

        internal Vector3 Place { get; private set; }
        internal Quaternion Turn { get; private set; }

        /// Of the sphere about the shape's middle that holds it, m.
        internal float BoundingRadius { get; private set; }

        internal bool IsSolid => isEnabled && !isTrigger && gameObject.activeInHierarchy;

        /// The middle of the shape in its object's frame.
        protected abstract Vector3 Middle { get; }

        internal override void OnAdded()
        {
            transform.Moved += OnMoved;
            attachedRigidbody = gameObject.GetComponentInParent<Rigidbody>();
            attachedArticulationBody = gameObject.GetComponentInParent<ArticulationBody>();
            World.Add(this);
        }

        internal override void OnRemoved()
        {
            transform.Moved -= OnMoved;
            World.Remove(this);
        }

        /// Takes the pose from the transform; the world calls it before it asks anything.
        internal void Refresh()
        {
            Place = transform.TransformPoint(Middle);
            Turn = transform.rotation;
            BoundingRadius = Measure();
        }

        /// Signed distance of a point in the world, m, negative inside.
        internal float Distance(Vector3 point) => LocalDistance(Quaternion.Inverse(Turn) * (point - Place));

        /// Where a ray from outside enters, m along it; infinity if it does not, or starts inside.
        internal float Enter(Vector3 origin, Vector3 direction)
        {
            Quaternion back = Quaternion.Inverse(Turn);
            Vector3 start = back * (origin - Place);
            return LocalDistance(start) <= 0f ? float.PositiveInfinity : LocalEnter(start, back * direction);
        }

        /// Recomputes the sizes in the world and gives the bounding radius.
        protected abstract float Measure();

        protected abstract float LocalDistance(Vector3 point);
        protected abstract float LocalEnter(Vector3 origin, Vector3 direction);

        void OnMoved() => World.Forget(this);

        protected Vector3 WorldScale
        {
            get
            {
                Vector3 scale = transform.lossyScale;
                return new Vector3(MathF.Abs(scale.x), MathF.Abs(scale.y), MathF.Abs(scale.z));
            }
        }
    }

    public sealed class BoxCollider : Collider
    {
        Vector3 half;

        public Vector3 center { get; set; }
        public Vector3 size { get; set; } = Vector3.one;

        /// Half the sides, in the world.
        internal Vector3 Half => half;

        protected override Vector3 Middle => center;

        protected override float Measure()
        {
            half = Vector3.Scale(size, WorldScale) * 0.5f;
            return half.magnitude;
        }

        protected override float LocalDistance(Vector3 point)
        {
            float x = MathF.Abs(point.x) - half.x, y = MathF.Abs(point.y) - half.y, z = MathF.Abs(point.z) - half.z;
            var beyond = new Vector3(MathF.Max(x, 0f), MathF.Max(y, 0f), MathF.Max(z, 0f));
            return beyond.magnitude + MathF.Min(MathF.Max(x, MathF.Max(y, z)), 0f);
        }

        protected override float LocalEnter(Vector3 origin, Vector3 direction)
        {
            float enter = 0f, leave = float.PositiveInfinity;
            Shape.Slab(origin.x, direction.x, half.x, ref enter, ref leave);
            Shape.Slab(origin.y, direction.y, half.y, ref enter, ref leave);
            Shape.Slab(origin.z, direction.z, half.z, ref enter, ref leave);
            return enter <= leave ? enter : float.PositiveInfinity;
        }
    }

    /// A shape around a straight line from one end to the other: what moves is made of these.
    public abstract class RoundCollider : Collider
    {
        internal abstract float Radius { get; }

        /// Half the line, in the world.
        internal abstract Vector3 HalfLine { get; }
    }

    public sealed class SphereCollider : RoundCollider
    {
        float worldRadius;

        public Vector3 center { get; set; }
        public float radius { get; set; } = 0.5f;

        internal override float Radius => worldRadius;
        internal override Vector3 HalfLine => Vector3.zero;
        protected override Vector3 Middle => center;
        protected override float Measure() => worldRadius = radius * Shape.Most(WorldScale);
        protected override float LocalDistance(Vector3 point) => point.magnitude - worldRadius;

        protected override float LocalEnter(Vector3 origin, Vector3 direction) =>
            Shape.EnterSphere(origin, direction, worldRadius);
    }

    public sealed class CapsuleCollider : RoundCollider
    {
        float worldRadius, half;

        public Vector3 center { get; set; }
        public float height { get; set; } = 2f;
        public float radius { get; set; } = 0.5f;

        /// 0 is along x, 1 along y, 2 along z; only y is played here.
        public int direction { get; set; } = 1;

        internal override float Radius => worldRadius;
        internal override Vector3 HalfLine => Turn * (Vector3.up * half);
        protected override Vector3 Middle => center;

        protected override float Measure()
        {
            if (direction != 1) throw new NotSupportedException("a capsule that is not along y");
            Vector3 scale = WorldScale;
            worldRadius = radius * MathF.Max(scale.x, scale.z);
            half = MathF.Max(height * scale.y / 2f - worldRadius, 0f);
            return half + worldRadius;
        }

        protected override float LocalDistance(Vector3 point)
        {
            var nearest = new Vector3(0f, Mathf.Clamp(point.y, -half, half), 0f);
            return (point - nearest).magnitude - worldRadius;
        }

        protected override float LocalEnter(Vector3 origin, Vector3 direction)
        {
            float side = Shape.EnterTube(origin, direction, worldRadius);
            if (MathF.Abs(origin.y + side * direction.y) <= half) return side;
            Vector3 end = Vector3.up * half;
            return MathF.Min(
                Shape.EnterSphere(origin - end, direction, worldRadius),
                Shape.EnterSphere(origin + end, direction, worldRadius));
        }
    }

    /// Convex hulls of meshes are not played; Unity's cylinder, whose hull is a cylinder, is.
    public sealed class MeshCollider : Collider
    {
        float worldRadius, half;

        public bool convex { get; set; }
        public Mesh sharedMesh { get; set; }

        /// Of the box about it, half the sides in the world.
        internal Vector3 Half => new(worldRadius, half, worldRadius);

        protected override Vector3 Middle => Vector3.zero;

        protected override float Measure()
        {
            if (sharedMesh?.name != "Cylinder") throw new NotSupportedException($"a mesh collider of {sharedMesh?.name}");
            Vector3 scale = WorldScale;
            worldRadius = 0.5f * scale.x;
            half = scale.y;
            return MathF.Sqrt(worldRadius * worldRadius + half * half);
        }

        protected override float LocalDistance(Vector3 point)
        {
            float out_ = MathF.Sqrt(point.x * point.x + point.z * point.z) - worldRadius;
            float above = MathF.Abs(point.y) - half;
            float beyondOut = MathF.Max(out_, 0f), beyondAbove = MathF.Max(above, 0f);
            return MathF.Sqrt(beyondOut * beyondOut + beyondAbove * beyondAbove)
                + MathF.Min(MathF.Max(out_, above), 0f);
        }

        protected override float LocalEnter(Vector3 origin, Vector3 direction)
        {
            float side = Shape.EnterTube(origin, direction, worldRadius);
            if (MathF.Abs(origin.y + side * direction.y) <= half) return side;
            float lid = (MathF.CopySign(half, origin.y) - origin.y) / direction.y;
            Vector3 there = origin + direction * lid;
            bool isHit = lid >= 0f && there.x * there.x + there.z * there.z <= worldRadius * worldRadius;
            return isHit ? lid : float.PositiveInfinity;
        }
    }

    static class Shape
    {
        const int SearchSteps = 40;
        const float Golden = 0.618034f;

        public static float Most(Vector3 v) => MathF.Max(v.x, MathF.Max(v.y, v.z));

        public static void Slab(float origin, float direction, float half, ref float enter, ref float leave)
        {
            if (MathF.Abs(direction) < 1e-9f)
            {
                if (MathF.Abs(origin) > half) leave = float.NegativeInfinity;
                return;
            }
            float one = (-half - origin) / direction, other = (half - origin) / direction;
            enter = MathF.Max(enter, MathF.Min(one, other));
            leave = MathF.Min(leave, MathF.Max(one, other));
        }

        public static float EnterSphere(Vector3 origin, Vector3 direction, float radius)
        {
            float along = Vector3.Dot(origin, direction);
            float inside = along * along - (origin.sqrMagnitude - radius * radius);
            return Entered(along, inside, 1f);
        }

        /// An endless tube along y.
        public static float EnterTube(Vector3 origin, Vector3 direction, float radius)
        {
            float slope = direction.x * direction.x + direction.z * direction.z;
            float along = origin.x * direction.x + origin.z * direction.z;
            float gap = origin.x * origin.x + origin.z * origin.z - radius * radius;
            return slope < 1e-12f ? float.PositiveInfinity : Entered(along, along * along - slope * gap, slope);
        }

        /// The point on a round collider's line that is nearest to another shape, found by golden section.
        public static Vector3 NearestOnLine(RoundCollider round, Collider other)
        {
            Vector3 half = round.HalfLine;
            if (half.sqrMagnitude == 0f) return round.Place;
            float low = -1f, high = 1f;
            float left = high - Golden * (high - low), right = low + Golden * (high - low);
            float atLeft = other.Distance(round.Place + half * left), atRight = other.Distance(round.Place + half * right);
            for (int step = 0; step < SearchSteps; step++)
            {
                if (atLeft < atRight)
                {
                    (high, right, atRight) = (right, left, atLeft);
                    left = high - Golden * (high - low);
                    atLeft = other.Distance(round.Place + half * left);
                }
                else
                {
                    (low, left, atLeft) = (left, right, atRight);
                    right = low + Golden * (high - low);
                    atRight = other.Distance(round.Place + half * right);
                }
            }
            return round.Place + half * ((low + high) / 2f);
        }

        /// Whether one shape reaches into another, and where.
        public static bool Reaches(Collider one, Collider other, out Contact met)
        {
            met = new Contact { One = one, Other = other, Point = one.Place };
            if (one is RoundCollider round)
            {
                Vector3 nearest = NearestOnLine(round, other);
                met.Depth = round.Radius - other.Distance(nearest);
                if (met.Depth <= 0f) return false;
                met.Outwards = Outwards(other, nearest);
                met.Point = nearest - met.Outwards * round.Radius;
                return true;
            }
            if (other is RoundCollider)
            {
                bool isMet = Reaches(other, one, out Contact turned);
                met = new Contact
                {
                    One = one, Other = other, Depth = turned.Depth, Outwards = -turned.Outwards, Point = turned.Point,
                };
                return isMet;
            }
            met.Depth = BoxDepth(one, other, out met.Outwards);
            return met.Depth > 0f;
        }

        /// Of boxes, by the axis along which they overlap least; a cylinder is taken for the box about it.
        static float BoxDepth(Collider one, Collider other, out Vector3 outwards)
        {
            Vector3 way = one.Place - other.Place;
            float least = float.PositiveInfinity;
            outwards = default;
            for (int axis = 0; axis < 15 && least > 0f; axis++)
            {
                Vector3 along = axis < 3 ? Side(one, axis)
                    : axis < 6 ? Side(other, axis - 3)
                    : Vector3.Cross(Side(one, (axis - 6) / 3), Side(other, (axis - 6) % 3));
                float length = along.magnitude;
                if (length < 1e-4f) continue;
                along /= length;
                float apart = Vector3.Dot(way, along);
                float overlap = Reach(one, along) + Reach(other, along) - MathF.Abs(apart);
                if (overlap >= least) continue;
                least = overlap;
                outwards = apart < 0f ? -along : along;
            }
            return least;
        }

        static Vector3 Side(Collider one, int axis) =>
            one.Turn * (axis == 0 ? Vector3.right : axis == 1 ? Vector3.up : Vector3.forward);

        static float Reach(Collider one, Vector3 along)
        {
            Vector3 local = Quaternion.Inverse(one.Turn) * along, half = HalfOf(one);
            return MathF.Abs(local.x) * half.x + MathF.Abs(local.y) * half.y + MathF.Abs(local.z) * half.z;
        }

        static Vector3 HalfOf(Collider one) => one is BoxCollider box ? box.Half : ((MeshCollider)one).Half;

        /// The direction in which the distance to a shape grows.
        public static Vector3 Outwards(Collider shape, Vector3 point)
        {
            const float step = 1e-3f;
            float Slope(Vector3 axis) => shape.Distance(point + axis * step) - shape.Distance(point - axis * step);
            return new Vector3(Slope(Vector3.right), Slope(Vector3.up), Slope(Vector3.forward)).normalized;
        }

        static float Entered(float along, float inside, float slope)
        {
            if (inside < 0f) return float.PositiveInfinity;
            float enter = (-along - MathF.Sqrt(inside)) / slope;
            return enter >= 0f ? enter : float.PositiveInfinity;
        }
    }
}
