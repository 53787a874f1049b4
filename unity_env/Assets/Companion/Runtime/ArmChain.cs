using System.Collections.Generic;
using Companion.Core;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>A UR5e as a chain of articulation bodies with a position drive in each joint.</summary>
    /// <remarks>
    /// As the UR controller does, the drives don't feel the weight of the links (they have no gravity), but feel that of
    /// what the tool carries.
    /// </remarks>
    [DisallowMultipleComponent]
    public sealed class ArmChain : MonoBehaviour
    {
        private const string PayloadBody = "payload";

        [SerializeField]
        [Tooltip("Iterations of PhysX' solver for this chain; stiff drives need more than its default of 6.")]
        private int _solverIterations = 32;

        [SerializeField]
        [Tooltip("Below this joint speed dry friction fades out, rad/s, so that a joint can rest.")]
        private float _stictionSpeedRadps = 0.01f;

        private readonly List<ArticulationBody> _joints = new List<ArticulationBody>();
        private readonly List<ArticulationBody> _links = new List<ArticulationBody>();
        private readonly List<float> _linkMassKg = new List<float>();
        private readonly List<ContactSensor> _contacts = new List<ContactSensor>();
        private Ur5e _facts;
        private ArticulationBody _payload;
        private float _payloadMassKg;
        private float _frictionNm;
        private float _frictionNmsPerRad;

        /// <summary>What any link has touched since <see cref="ClearContact"/>.</summary>
        public ContactKinds Touched
        {
            get
            {
                ContactKinds touched = ContactKinds.None;
                foreach (ContactSensor contact in _contacts)
                {
                    touched |= contact.Touched;
                }
                return touched;
            }
        }

        /// <summary>Builds the bodies from `base_link` on; the hulls of the whole arm are added to a list.</summary>
        public void Build(
            IReadOnlyList<BodyData> bodies, Ur5e facts, BodyBuilder builder, ICollection<BodyBuilder.Hull> hulls)
        {
            _facts = facts;
            var built = new Dictionary<string, Transform>();
            foreach (BodyData body in bodies)
            {
                bool isRoot = body.Name == "base_link";
                if (!isRoot && !built.ContainsKey(body.Parent))
                {
                    continue;
                }
                Transform link = builder.Build(body, isRoot ? transform : built[body.Parent], hulls);
                built[body.Name] = link;
                AddLink(body, link.gameObject, isRoot);
            }
            SetServos(1f, 1f);
        }

        /// <summary>What the links and the tool weigh, and how the joints rub.</summary>
        public void SetLoad(float linkMassFactor, float payloadKg, float jointFrictionNm)
        {
            for (int link = 0; link < _links.Count; link++)
            {
                _links[link].mass = _linkMassKg[link] * linkMassFactor;
            }
            _payload.mass = _payloadMassKg + payloadKg;
            _frictionNm = jointFrictionNm;
        }

        /// <summary>How stiff and how damped the drives are, as factors on the robot's own.</summary>
        public void SetServos(float stiffnessFactor, float dampingFactor)
        {
            float weakest = float.PositiveInfinity;
            for (int joint = 0; joint < _joints.Count; joint++)
            {
                ArticulationDrive drive = _joints[joint].xDrive;
                drive.stiffness = (float)_facts.ServoStiffnessNmPerRad[joint] * stiffnessFactor;
                drive.damping = (float)_facts.ServoDampingNmsPerRad[joint] * dampingFactor;
                _joints[joint].xDrive = drive;
                weakest = Mathf.Min(weakest, drive.damping);
            }
            // Friction that is explicit in the speed must stay weaker than the damping.
            _frictionNmsPerRad = weakest / 2f;
        }

        /// <summary>Puts the joints there, at rest, and asks them to stay, rad.</summary>
        public void Place(double[] position)
        {
            for (int joint = 0; joint < _joints.Count; joint++)
            {
                ArticulationBody body = _joints[joint];
                body.jointPosition = new ArticulationReducedSpace((float)position[joint]);
                body.jointVelocity = new ArticulationReducedSpace(0f);
                body.jointForce = new ArticulationReducedSpace(0f);
            }
            SetTargets(position);
            ClearContact();
        }

        /// <summary>What is asked of the drives, rad.</summary>
        public void SetTargets(double[] position)
        {
            for (int joint = 0; joint < _joints.Count; joint++)
            {
                _joints[joint].SetDriveTarget(ArticulationDriveAxis.X, (float)position[joint] * Mathf.Rad2Deg);
            }
        }

        /// <summary>The same, at a share of the way from one posture to another; it may go beyond.</summary>
        public void SetTargets(double[] from, double[] to, double share)
        {
            for (int joint = 0; joint < _joints.Count; joint++)
            {
                var target = (float)(from[joint] + share * (to[joint] - from[joint]));
                _joints[joint].SetDriveTarget(ArticulationDriveAxis.X, target * Mathf.Rad2Deg);
            }
        }

        /// <summary>Forget past touches.</summary>
        public void ClearContact()
        {
            foreach (ContactSensor contact in _contacts)
            {
                contact.Clear();
            }
        }

        /// <summary>Lets the joints rub for one physics step; before the physics.</summary>
        public void Rub()
        {
            if (_frictionNm <= 0f)
            {
                return;
            }
            float slope = Mathf.Min(_frictionNm / _stictionSpeedRadps, _frictionNmsPerRad);
            foreach (ArticulationBody joint in _joints)
            {
                float friction = Mathf.Clamp(slope * joint.jointVelocity[0], -_frictionNm, _frictionNm);
                joint.jointForce = new ArticulationReducedSpace(-friction);
            }
        }

        /// <summary>Writes where the physics has the joints, rad.</summary>
        public void MeasurePosition(double[] position)
        {
            for (int joint = 0; joint < _joints.Count; joint++)
            {
                position[joint] = _joints[joint].jointPosition[0];
            }
        }

        /// <summary>Writes what the physics has made of it into a body: joint positions, speeds and torques.</summary>
        /// <param name="body">Is written.</param>
        /// <param name="expected">To touch these is no contact.</param>
        public void Measure(ref ArmBody body, ContactKinds expected = ContactKinds.None)
        {
            MeasurePosition(body.Position);
            for (int joint = 0; joint < _joints.Count; joint++)
            {
                body.Velocity[joint] = _joints[joint].jointVelocity[0];
                body.Torque[joint] = _joints[joint].driveForce[0];
            }
            body.HasContact = (Touched & ~expected) != ContactKinds.None;
        }

        private void AddLink(BodyData body, GameObject owner, bool isRoot)
        {
            var link = owner.AddComponent<ArticulationBody>();
            bool isPayload = body.Name == PayloadBody;
            link.useGravity = isPayload;
            link.solverIterations = _solverIterations;
            link.linearDamping = link.angularDamping = link.jointFriction = 0f;
            _contacts.Add(owner.AddComponent<ContactSensor>());
            ContactLabel.Put(owner, ContactKinds.Arm);
            if (isRoot)
            {
                link.immovable = true;
                return;
            }
            if (body.MassKg > 0.0)
            {
                SetMass(link, body);
            }
            if (isPayload)
            {
                _payload = link;
                _payloadMassKg = (float)body.MassKg;
            }
            if (body.Joints.Count == 0)
            {
                link.jointType = ArticulationJointType.FixedJoint;
                return;
            }
            _links.Add(link);
            _linkMassKg.Add(link.mass);
            MakeRevolute(link, body.Joints[0], _joints.Count);
            _joints.Add(link);
        }

        private static void SetMass(ArticulationBody link, BodyData body)
        {
            link.mass = (float)body.MassKg;
            link.automaticCenterOfMass = false;
            link.automaticInertiaTensor = false;
            link.centerOfMass = Frames.ToUnity(body.Centre);
            double[] inertia = body.Inertia;
            link.inertiaTensor = Frames.SizeToUnity(inertia[0], inertia[1], inertia[2]);
            link.inertiaTensorRotation = Frames.RotationToUnity(body.InertiaRotation);
        }

        private void MakeRevolute(ArticulationBody link, JointData joint, int index)
        {
            link.jointType = ArticulationJointType.RevoluteJoint;
            link.matchAnchors = true;
            link.anchorPosition = Frames.ToUnity(joint.Position);
            // A revolute joint turns about its anchor's x axis.
            link.anchorRotation = Quaternion.FromToRotation(Vector3.right, Frames.TurnToUnity(joint.Axis));
            link.twistLock = ArticulationDofLock.LimitedMotion;
            link.maxJointVelocity = (float)_facts.JointSpeedLimitRadps;
            ArticulationDrive drive = link.xDrive;
            drive.driveType = ArticulationDriveType.Force;
            drive.lowerLimit = -(float)_facts.JointLimitRad[index] * Mathf.Rad2Deg;
            drive.upperLimit = (float)_facts.JointLimitRad[index] * Mathf.Rad2Deg;
            drive.forceLimit = (float)_facts.JointTorqueLimitNm[index];
            link.xDrive = drive;
        }
    }
}
