// Bodies that move: rigid ones by their velocities, posed ones by hand, arms by first-order joint drives. Not PhysX:
// no forces are passed on; a body or an arm that reaches into something is put beside it and told. Of two rigid bodies
// the lighter one gives way, as if the other one were a wall that moves. What has a material slides, spins and bounces.
using System;
using System.Collections.Generic;

namespace UnityEngine
{
    public sealed class Collision
    {
        public ArticulationBody articulationBody => collider.attachedArticulationBody;
        public Collider collider { get; internal set; }
        public GameObject gameObject => Bodies.OwnerOf(collider);
        public Rigidbody rigidbody => collider.attachedRigidbody;
    }

    [Flags]
    public enum RigidbodyConstraints
    {
        None = 0,
        FreezePositionX = 2,
        FreezePositionY = 4,
        FreezePositionZ = 8,
        FreezeRotationX = 16,
        FreezeRotationY = 32,
        FreezeRotationZ = 64,
    }

    public enum RigidbodyInterpolation
    {
        None,
        Interpolate,
        Extrapolate,
    }

    public enum CollisionDetectionMode
    {
        Discrete,
        Continuous,
        ContinuousDynamic,
        ContinuousSpeculative,
    }

    /// Installs itself into the engine, and steps all bodies.
    public static class Bodies
    {
        static readonly List<Rigidbody> rigid = new();
        static readonly List<ArticulationBody> arms = new();
        static readonly HashSet<(Collider, Collider)> touching = new(), touchedBefore = new();

        public static void Install()
        {
            Engine.PhysicsStep = Step;
            Engine.PrimitiveMade = AddCollider;
        }

        internal static void Add(Rigidbody one) => rigid.Add(one);
        internal static void Remove(Rigidbody one) => rigid.Remove(one);
        internal static void Add(ArticulationBody one) => arms.Add(one);
        internal static void Remove(ArticulationBody one) => arms.Remove(one);

        static void Step()
        {
            float seconds = Time.fixedDeltaTime;
            foreach (ArticulationBody one in arms) one.Advance(seconds);
            foreach (Rigidbody one in rigid) one.Advance(seconds);
            touchedBefore.Clear();
            touchedBefore.UnionWith(touching);
            touching.Clear();
            // Whoever is told may end an episode, which puts bodies elsewhere; nobody comes or goes.
            foreach (Rigidbody one in rigid) one.Meet();
            foreach (ArticulationBody one in arms) one.Meet();
        }

        internal static void Touch(Collider one, Collider other)
        {
            touching.Add((one, other));
            string message = touchedBefore.Contains((one, other)) ? "OnCollisionStay" : "OnCollisionEnter";
            Tell(one, other, message);
            Tell(other, one, message);
        }

        static void Tell(Collider one, Collider other, string message)
        {
            Collision collision = null;
            foreach (Component part in OwnerOf(one).Components)
            {
                if (part is MonoBehaviour script && Engine.Hears<Collision>(script, message))
                {
                    Engine.Send(script, message, collision ??= new Collision { collider = other });
                }
            }
        }

        /// The object of the body, or of the collider where there is no body: whom Unity tells, and of whom.
        internal static GameObject OwnerOf(Collider one) =>
            ((Component)one.attachedRigidbody ?? (Component)one.attachedArticulationBody ?? one).gameObject;

        /// How fast a point moves that belongs to a shape.
        internal static Vector3 VelocityAt(Collider one, Vector3 point)
        {
            if (one.attachedRigidbody is not null) return one.attachedRigidbody.VelocityAt(point);
            return one.attachedArticulationBody?.VelocityAt(point) ?? Vector3.zero;
        }

        static void AddCollider(GameObject made, PrimitiveType shape)
        {
            made.AddComponent<MeshFilter>().sharedMesh = new Mesh { name = shape.ToString() };
            if (shape == PrimitiveType.Cube) made.AddComponent<BoxCollider>();
            else if (shape == PrimitiveType.Sphere) made.AddComponent<SphereCollider>();
            else if (shape is PrimitiveType.Capsule or PrimitiveType.Cylinder) made.AddComponent<CapsuleCollider>();
        }
    }

    public sealed class Rigidbody : Component
    {
        readonly List<Collider> hull = new();
        Vector3? wantedPlace;
        Quaternion? wantedTurn;
        Vector3 posedVelocity;

        public float angularDamping { get; set; } = 0.05f;
        public Vector3 angularVelocity { get; set; }
        public bool automaticInertiaTensor { get; set; } = true;
        public CollisionDetectionMode collisionDetectionMode { get; set; }
        public RigidbodyConstraints constraints { get; set; }
        public RigidbodyInterpolation interpolation { get; set; }
        public Vector3 inertiaTensor { get; set; } = Vector3.one;
        public Quaternion inertiaTensorRotation { get; set; } = Quaternion.identity;
        public bool isKinematic { get; set; }
        public float linearDamping { get; set; }
        public Vector3 linearVelocity { get; set; }
        public float mass { get; set; } = 1f;
        public float maxAngularVelocity { get; set; } = 7f;
        public float sleepThreshold { get; set; } = 0.005f;
        public bool useGravity { get; set; } = true;

        public Vector3 position
        {
            get => transform.position;
            set => transform.position = value;
        }

        public Quaternion rotation
        {
            get => transform.rotation;
            set => transform.rotation = value;
        }

        public void MovePosition(Vector3 place) => wantedPlace = place;
        public void MoveRotation(Quaternion turn) => wantedTurn = turn;

        public void Move(Vector3 place, Quaternion turn)
        {
            MovePosition(place);
            MoveRotation(turn);
        }

        internal override void OnAdded()
        {
            Bodies.Add(this);
            foreach (Collider one in gameObject.GetComponentsInChildren<Collider>()) one.attachedRigidbody = this;
        }

        internal override void OnRemoved() => Bodies.Remove(this);

        internal void Advance(float seconds)
        {
            if (!gameObject.activeInHierarchy) return;
            if (!isKinematic) Integrate(seconds);
            else if (wantedPlace.HasValue || wantedTurn.HasValue)
            {
                Vector3 before = position;
                transform.SetPositionAndRotation(wantedPlace ?? position, wantedTurn ?? rotation);
                posedVelocity = (position - before) / seconds;
            }
            wantedPlace = null;
            wantedTurn = null;
        }

        internal void Meet()
        {
            if (isKinematic || !gameObject.activeInHierarchy) return;
            if (hull.Count == 0) hull.AddRange(gameObject.GetComponentsInChildren<Collider>());
            foreach (Collider one in hull)
            {
                if (one.IsSolid) World.Touched(one, Bounce);
            }
        }

        internal Vector3 VelocityAt(Vector3 point) => isKinematic
            ? posedVelocity
            : linearVelocity + Vector3.Cross(angularVelocity, point - position);

        void Integrate(float seconds)
        {
            if (useGravity) linearVelocity += Physics.gravity * seconds;
            linearVelocity *= MathF.Max(0f, 1f - linearDamping * seconds);
            angularVelocity *= MathF.Max(0f, 1f - angularDamping * seconds);
            angularVelocity *= MathF.Min(1f, maxAngularVelocity / MathF.Max(angularVelocity.magnitude, 1e-9f));
            linearVelocity = Free(linearVelocity, RigidbodyConstraints.FreezePositionX);
            angularVelocity = Free(angularVelocity, RigidbodyConstraints.FreezeRotationX);
            position += linearVelocity * seconds;
            float angle = angularVelocity.magnitude * seconds * Mathf.Rad2Deg;
            if (angle > 0f) rotation = Quaternion.AngleAxis(angle, angularVelocity) * rotation;
        }

        void Bounce(in Contact met)
        {
            // Two bodies that meet are told of by the lighter one, which gives way.
            if (met.Other.attachedRigidbody is { isKinematic: false } theirs && theirs.mass < mass) return;
            Vector3 outwards = Free(met.Outwards, RigidbodyConstraints.FreezePositionX), arm = met.Point - position;
            Vector3 slip = VelocityAt(met.Point) - Bodies.VelocityAt(met.Other, met.Point);
            float closing = -Vector3.Dot(slip, outwards);
            position += outwards * met.Depth;
            if (closing > 0f)
            {
                float bounciness = closing > Physics.bounceThreshold ? PhysicsMaterial.Bounciness(met.One, met.Other) : 0f;
                float push = (1f + bounciness) * closing;
                linearVelocity += outwards * push;
                Rub(slip + outwards * closing, arm, PhysicsMaterial.Friction(met.One, met.Other) * push);
            }
            Bodies.Touch(met.One, met.Other);
        }

        /// Friction: at most so much of a change of speed against the way a ball's surface slides.
        void Rub(Vector3 slip, Vector3 arm, float most)
        {
            float speed = slip.magnitude, lever = mass / inertiaTensor.x;
            if (most <= 0f || speed <= 0f) return;
            Vector3 change = slip * (-MathF.Min(most, speed / (1f + lever * arm.sqrMagnitude)) / speed);
            linearVelocity += change;
            angularVelocity += Vector3.Cross(arm, change) * lever;
        }

        /// Without what is frozen; `first` is the x flag, those of y and z follow it.
        Vector3 Free(Vector3 v, RigidbodyConstraints first)
        {
            int x = (int)first, frozen = (int)constraints;
            return new Vector3(
                (frozen & x) == 0 ? v.x : 0f, (frozen & (x << 1)) == 0 ? v.y : 0f, (frozen & (x << 2)) == 0 ? v.z : 0f);
        }
    }

    public enum ArticulationJointType
    {
        FixedJoint,
        PrismaticJoint,
        RevoluteJoint,
        SphericalJoint,
    }

    public enum ArticulationDofLock
    {
        LockedMotion,
        LimitedMotion,
        FreeMotion,
    }

    public enum ArticulationDriveType
    {
        Force,
        Acceleration,
        Target,
        Velocity,
    }

    public enum ArticulationDriveAxis
    {
        X,
        Y,
        Z,
    }

    public struct ArticulationDrive
    {
        public float lowerLimit, upperLimit, stiffness, damping, forceLimit, target, targetVelocity;
        public ArticulationDriveType driveType;
    }

    public struct ArticulationReducedSpace
    {
        float first;

        public ArticulationReducedSpace(float a)
        {
            first = a;
            dofCount = 1;
        }

        public int dofCount { get; }

        public float this[int index]
        {
            get => first;
            set => first = value;
        }
    }

    /// A link. A revolute one turns about its anchor's x axis at the speed at which its drive's spring meets its damper.
    public sealed class ArticulationBody : Behaviour
    {
        readonly List<Collider> hull = new();
        ArticulationBody above;
        Quaternion restTurn;
        ArticulationDrive drive;
        float jointAngle, jointSpeed, appliedTorque, driveTorque;

        public Vector3 anchorPosition { get; set; }
        public Quaternion anchorRotation { get; set; } = Quaternion.identity;
        public float angularDamping { get; set; }
        public bool automaticCenterOfMass { get; set; } = true;
        public bool automaticInertiaTensor { get; set; } = true;
        public Vector3 centerOfMass { get; set; }
        public bool immovable { get; set; }
        public Vector3 inertiaTensor { get; set; }
        public Quaternion inertiaTensorRotation { get; set; } = Quaternion.identity;
        public float jointFriction { get; set; }
        public ArticulationJointType jointType { get; set; }
        public float linearDamping { get; set; }
        public float mass { get; set; } = 1f;
        public bool matchAnchors { get; set; } = true;
        public float maxJointVelocity { get; set; } = 100f;
        public int solverIterations { get; set; }
        public int solverVelocityIterations { get; set; }
        public ArticulationDofLock twistLock { get; set; }
        public bool useGravity { get; set; } = true;

        public ArticulationReducedSpace driveForce => new(driveTorque);

        public ArticulationReducedSpace jointForce
        {
            get => new(appliedTorque);
            set => appliedTorque = value[0];
        }

        public ArticulationReducedSpace jointPosition
        {
            get => new(jointAngle);
            set
            {
                jointAngle = value[0];
                Pose();
            }
        }

        public ArticulationReducedSpace jointVelocity
        {
            get => new(jointSpeed);
            set => jointSpeed = value[0];
        }

        public ArticulationDrive xDrive
        {
            get => drive;
            set => drive = value;
        }

        public void SetDriveTarget(ArticulationDriveAxis axis, float value) => drive.target = value;
        public void SetDriveTargetVelocity(ArticulationDriveAxis axis, float value) => drive.targetVelocity = value;

        internal override void OnAdded()
        {
            restTurn = transform.localRotation;
            Bodies.Add(this);
            above = transform.parent?.GetComponentInParent<ArticulationBody>();
            foreach (Collider one in gameObject.GetComponentsInChildren<Collider>())
            {
                if (ReferenceEquals(one.gameObject.GetComponentInParent<ArticulationBody>(), this))
                {
                    one.attachedArticulationBody = this;
                }
            }
        }

        internal override void OnRemoved() => Bodies.Remove(this);

        /// Links that hang together don't touch, nor does a link itself.
        internal static bool AreNeighbours(ArticulationBody one, ArticulationBody other) =>
            one is not null && other is not null
            && (ReferenceEquals(one, other) || ReferenceEquals(one.above, other) || ReferenceEquals(other.above, one));

        internal void Advance(float seconds)
        {
            if (jointType != ArticulationJointType.RevoluteJoint || !isActiveAndEnabled) return;
            float wanted = drive.target * Mathf.Deg2Rad;
            float wantedSpeed = drive.targetVelocity * Mathf.Deg2Rad, spring = drive.stiffness * (wanted - jointAngle);
            jointSpeed = Mathf.Clamp(
                wantedSpeed + (spring + appliedTorque) / MathF.Max(drive.damping, 1e-6f),
                -maxJointVelocity, maxJointVelocity);
            driveTorque = spring - drive.damping * (jointSpeed - wantedSpeed);
            jointAngle += jointSpeed * seconds;
            if (twistLock == ArticulationDofLock.LimitedMotion)
            {
                jointAngle = Mathf.Clamp(
                    jointAngle, drive.lowerLimit * Mathf.Deg2Rad, drive.upperLimit * Mathf.Deg2Rad);
            }
            Pose();
        }

        internal void Meet()
        {
            if (!isActiveAndEnabled) return;
            if (hull.Count == 0)
            {
                foreach (Collider one in gameObject.GetComponentsInChildren<Collider>())
                {
                    if (ReferenceEquals(one.attachedArticulationBody, this)) hull.Add(one);
                }
            }
            foreach (Collider one in hull)
            {
                if (one.IsSolid) World.Touched(one, GiveWay);
            }
        }

        /// Its own joint's turning, and that of those below which it hangs.
        internal Vector3 VelocityAt(Vector3 point)
        {
            Vector3 carried = above?.VelocityAt(point) ?? Vector3.zero;
            return jointType == ArticulationJointType.RevoluteJoint ? carried + Lever(point) * jointSpeed : carried;
        }

        /// The way of a point for each radian that the joint turns.
        Vector3 Lever(Vector3 point)
        {
            Vector3 axis = transform.rotation * (anchorRotation * Vector3.right);
            return Vector3.Cross(axis, point - transform.TransformPoint(anchorPosition));
        }

        /// Turns the joints, as little as it takes, so that the point that reaches into something comes out. What is
        /// lighter gives way itself.
        void GiveWay(in Contact met)
        {
            if (met.Other.attachedRigidbody is not { isKinematic: false })
            {
                float sum = 1e-6f;
                for (ArticulationBody one = this; one is not null; one = one.above) sum += one.Turned(met) * one.Turned(met);
                Turn(met, met.Depth / sum);
            }
            Bodies.Touch(met.One, met.Other);
        }

        /// From the foot of the arm on: whoever turns moves those that hang on it.
        void Turn(in Contact met, float share)
        {
            float angle = share * Turned(met);
            above?.Turn(met, share);
            if (angle == 0f) return;
            jointAngle += angle;
            jointSpeed += angle / Time.fixedDeltaTime;
            Pose();
        }

        float Turned(in Contact met) => jointType == ArticulationJointType.RevoluteJoint
            ? Vector3.Dot(Lever(met.Point), met.Outwards)
            : 0f;

        void Pose() =>
            transform.localRotation = restTurn * anchorRotation
                * Quaternion.AngleAxis(jointAngle * Mathf.Rad2Deg, Vector3.right) * Quaternion.Inverse(anchorRotation);
    }
}
