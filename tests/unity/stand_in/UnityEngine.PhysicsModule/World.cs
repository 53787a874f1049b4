// All shapes in one space, sorted into tall square cells; rays, and who touches whom.
using System;
using System.Collections.Generic;

namespace UnityEngine
{
    /// One shape that reaches into another.
    struct Contact
    {
        public Collider One, Other;

        /// How deep, m, and the way out.
        public float Depth;
        public Vector3 Outwards, Point;
    }

    delegate void ContactFound(in Contact met);

    static class World
    {
        const float CellM = 4f;
        static readonly Dictionary<(int, int), List<Collider>> cells = new();
        static readonly Dictionary<Collider, (int west, int south, int east, int north)> places = new();
        static readonly HashSet<Collider> stale = new();
        static readonly List<Collider> refreshing = new();
        static readonly HashSet<(int, int)> ignored = new();
        static readonly List<Collider> near = new();

        public static void Add(Collider one) => stale.Add(one);

        public static void Forget(Collider one) => stale.Add(one);

        public static void Remove(Collider one)
        {
            stale.Remove(one);
            TakeOut(one);
        }

        public static void Ignore(Collider a, Collider b, bool isIgnored)
        {
            if (isIgnored) ignored.Add(Pair(a, b));
            else ignored.Remove(Pair(a, b));
        }

        /// Takes over the poses of everything that has moved.
        public static void Refresh()
        {
            if (stale.Count == 0) return;
            refreshing.Clear();
            refreshing.AddRange(stale);
            stale.Clear();
            foreach (Collider one in refreshing)
            {
                one.Refresh();
                TakeOut(one);
                if (one.IsSolid) PutIn(one);
            }
        }

        public static Collider Cast(Vector3 origin, Vector3 direction, float reach, int layers, out float distance)
        {
            Refresh();
            Vector3 end = origin + direction * reach;
            Gather((origin + end) / 2f, reach / 2f);
            Collider first = null;
            distance = reach;
            foreach (Collider one in near)
            {
                if ((layers & (1 << one.gameObject.layer)) == 0 || IsBeside(one, origin, direction)) continue;
                float enter = one.Enter(origin, direction);
                if (enter > distance) continue;
                distance = enter;
                first = one;
            }
            return first;
        }

        /// Calls back for each shape that one reaches into.
        public static void Touched(Collider one, ContactFound found)
        {
            Refresh();
            Gather(one.Place, one.BoundingRadius);
            // The callback may move things, which gathers anew.
            foreach (Collider other in near.ToArray())
            {
                if (!MayTouch(one, other)) continue;
                Refresh();
                if (Shape.Reaches(one, other, out Contact met)) found(met);
            }
        }

        static bool MayTouch(Collider one, Collider other)
        {
            if (ReferenceEquals(one, other)) return false;
            float reach = one.BoundingRadius + other.BoundingRadius;
            if ((one.Place - other.Place).sqrMagnitude > reach * reach) return false;
            if (ignored.Contains(Pair(one, other)) || other.Distance(one.Place) > one.BoundingRadius) return false;
            ArticulationBody mine = one.attachedArticulationBody, theirs = other.attachedArticulationBody;
            if (mine is not null || theirs is not null) return !ArticulationBody.AreNeighbours(mine, theirs);
            return one.attachedRigidbody is null || !ReferenceEquals(one.attachedRigidbody, other.attachedRigidbody);
        }

        static bool IsBeside(Collider one, Vector3 origin, Vector3 direction)
        {
            Vector3 offset = one.Place - origin;
            float along = MathF.Max(Vector3.Dot(offset, direction), 0f);
            return (offset - direction * along).sqrMagnitude > one.BoundingRadius * one.BoundingRadius;
        }

        static void Gather(Vector3 centre, float radius)
        {
            near.Clear();
            (int west, int south, int east, int north) = CellsOf(centre, radius);
            for (int x = west; x <= east; x++)
            {
                for (int z = south; z <= north; z++)
                {
                    if (!cells.TryGetValue((x, z), out List<Collider> there)) continue;
                    foreach (Collider one in there)
                    {
                        // What lies in several cells is taken from the first of them that is asked.
                        (int firstX, int firstZ, _, _) = places[one];
                        if (x == Math.Max(firstX, west) && z == Math.Max(firstZ, south)) near.Add(one);
                    }
                }
            }
        }

        static void PutIn(Collider one)
        {
            (int west, int south, int east, int north) place = CellsOf(one.Place, one.BoundingRadius);
            places[one] = place;
            for (int x = place.west; x <= place.east; x++)
            {
                for (int z = place.south; z <= place.north; z++)
                {
                    if (!cells.TryGetValue((x, z), out List<Collider> there)) cells[(x, z)] = there = new List<Collider>();
                    there.Add(one);
                }
            }
        }

        static void TakeOut(Collider one)
        {
            if (!places.Remove(one, out (int west, int south, int east, int north) place)) return;
            for (int x = place.west; x <= place.east; x++)
            {
                for (int z = place.south; z <= place.north; z++) cells[(x, z)].Remove(one);
            }
        }

        static (int, int, int, int) CellsOf(Vector3 centre, float radius) =>
            (Cell(centre.x - radius), Cell(centre.z - radius), Cell(centre.x + radius), Cell(centre.z + radius));

        static int Cell(float place) => (int)MathF.Floor(place / CellM);

        static (int, int) Pair(Collider a, Collider b)
        {
            int one = a.GetInstanceID(), other = b.GetInstanceID();
            return one < other ? (one, other) : (other, one);
        }
    }

    public struct RaycastHit
    {
        public Collider collider { get; internal set; }
        public float distance { get; internal set; }
        public Vector3 point { get; internal set; }
    }

    public static class Physics
    {
        public const int AllLayers = -1;
        public const int DefaultRaycastLayers = -5;
        public const int IgnoreRaycastLayer = 4;

        public static int defaultSolverIterations { get; set; } = 6;
        public static int defaultSolverVelocityIterations { get; set; } = 1;
        public static float bounceThreshold { get; set; } = 2f;
        public static bool reuseCollisionCallbacks { get; set; }
        public static Vector3 gravity { get; set; } = new(0f, -9.81f, 0f);

        public static void IgnoreCollision(Collider a, Collider b) => World.Ignore(a, b, true);

        public static void IgnoreCollision(Collider a, Collider b, bool ignore) => World.Ignore(a, b, ignore);

        public static bool Raycast(Vector3 origin, Vector3 direction, out RaycastHit hit, float reach, int layers)
        {
            Vector3 ahead = direction.normalized;
            Collider met = World.Cast(origin, ahead, reach, layers, out float distance);
            hit = new RaycastHit { collider = met, distance = distance, point = origin + ahead * distance };
            return met is not null;
        }

        public static bool SphereCast(
            Vector3 origin, float radius, Vector3 direction, out RaycastHit hit, float reach, int layers) =>
            throw new NotSupportedException("sphere casts");

        /// Poses are taken over whenever something is asked.
        public static void SyncTransforms()
        {
        }
    }
}
