using Companion.Core;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>
    /// A robot that is driven at its two sides: a rigid body that slides on the floor and turns, with a velocity servo at
    /// each side's tyres that is limited by motor and traction, as in the MuJoCo model.
    /// </summary>
    [RequireComponent(typeof(Rigidbody), typeof(ContactSensor))]
    [DisallowMultipleComponent]
    public sealed class WheeledBase : MonoBehaviour
    {
        private const float GravityMps2 = 9.81f;

        /// <summary>Of the weight, on one side's tyre of two, where a caster carries the rest.</summary>
        private const double TyresAndCasterShare = 0.45;

        private Rigidbody _body;
        private ContactSensor _contact;
        private Drive _drive;
        private float _ownMassKg;
        private float _yawInertiaKgM2;
        private float _servoNsPerM;
        private float _tractionN;
        private float _leftTargetMps;
        private float _rightTargetMps;
        private float _forwardMps;
        private float _turningRadps;

        /// <summary>Push of the left wheel on the floor in the last physics step, N.</summary>
        public float LeftForceN { get; private set; }

        /// <summary>Push of the right wheel.</summary>
        public float RightForceN { get; private set; }

        /// <summary>What it has touched since <see cref="ClearContact"/>.</summary>
        public ContactKinds Touched => _contact.Touched;

        /// <summary>Where it stands in its area.</summary>
        public Pose2 Pose => Frames.ToPose(transform.localPosition, transform.localRotation);

        /// <summary>What drives it.</summary>
        public readonly struct Drive
        {
            public readonly float SeparationM;
            public readonly float StallForceN;
            public readonly float ServoNsPerM;
            public readonly float LoadShare;

            /// <param name="separationM">From the left tyres to the right ones.</param>
            /// <param name="stallForceN">What the motors of one side push at most.</param>
            /// <param name="servoNsPerM">How hard a side pushes for each m/s that it is slower than asked.</param>
            /// <param name="loadShare">Share of the weight on one side's tyres; a caster carries the rest.</param>
            public Drive(double separationM, double stallForceN, double servoNsPerM, double loadShare)
            {
                SeparationM = (float)separationM;
                StallForceN = (float)stallForceN;
                ServoNsPerM = (float)servoNsPerM;
                LoadShare = (float)loadShare;
            }

            /// <summary>That of a ROSbot.</summary>
            public static Drive OfRosbot(CompanionData data)
            {
                Rosbot facts = data.Rosbot;
                double loadShare = data.Shared("rosbot_base")["CARRIED_SHARE"].Number;
                return new Drive(facts.WheelSeparationM, facts.MotorStallForceN, facts.WheelServoNsPerM, loadShare);
            }

            /// <summary>That of a TurtleBot3 Burger.</summary>
            public static Drive OfTurtleBot3(CompanionData data)
            {
                TurtleBot3 facts = data.TurtleBot3;
                return new Drive(
                    facts.WheelSeparationM, facts.MotorStallForceN, facts.WheelServoNsPerM, TyresAndCasterShare);
            }
        }

        /// <summary>Sets up the body.</summary>
        public void Build(BodyData body, Drive drive)
        {
            _drive = drive;
            _ownMassKg = (float)body.MassKg;
            _yawInertiaKgM2 = (float)MomentAboutUpright(body);
            _contact = GetComponent<ContactSensor>();
            _body = GetComponent<Rigidbody>();
            _body.useGravity = false;
            _body.constraints = RigidbodyConstraints.FreezePositionY | RigidbodyConstraints.FreezeRotationX
                | RigidbodyConstraints.FreezeRotationZ;
            _body.collisionDetectionMode = CollisionDetectionMode.ContinuousDynamic;
            SetLoad(0f, 1f, 1f);
        }

        /// <summary>What it carries, on which floor, and how strong its motors are.</summary>
        /// <param name="payloadKg">Carried beside itself.</param>
        /// <param name="floorFriction">Coefficient between tyres and floor.</param>
        /// <param name="motorGainFactor">Factor on the servos' gain.</param>
        public void SetLoad(float payloadKg, float floorFriction, float motorGainFactor)
        {
            _body.mass = _ownMassKg + payloadKg;
            _servoNsPerM = _drive.ServoNsPerM * motorGainFactor;
            _tractionN = Mathf.Min(_drive.StallForceN, _drive.LoadShare * GravityMps2 * floorFriction * _body.mass);
        }

        /// <summary>Puts it somewhere, at rest.</summary>
        public void Place(Pose2 pose)
        {
            transform.SetLocalPositionAndRotation(Frames.ToUnity(pose.X, pose.Y, 0.0), Frames.YawToUnity(pose.Yaw));
            _body.position = transform.position;
            _body.rotation = transform.rotation;
            _body.linearVelocity = Vector3.zero;
            _body.angularVelocity = Vector3.zero;
            LeftForceN = RightForceN = 0f;
            SetWheelSpeeds(0.0, 0.0);
            ClearContact();
        }

        /// <summary>What is asked of the wheels: their ground speeds, m/s.</summary>
        public void SetWheelSpeeds(double leftMps, double rightMps)
        {
            _leftTargetMps = (float)leftMps;
            _rightTargetMps = (float)rightMps;
        }

        /// <summary>Forget past touches.</summary>
        public void ClearContact() => _contact.Clear();

        /// <summary>Lets the servos push for one physics step; before the physics.</summary>
        public void Push(float seconds)
        {
            float halfTrack = _drive.SeparationM / 2f;
            Vector3 ahead = _body.rotation * Vector3.forward;
            _forwardMps = Vector3.Dot(_body.linearVelocity, ahead);
            _turningRadps = (float)Frames.ToTurningSpeed(_body.angularVelocity);
            // Implicit in the speeds, so that stiff servos stay stable at any gain.
            float wantedForward = (_leftTargetMps + _rightTargetMps) / 2f;
            float wantedTurning = (_rightTargetMps - _leftTargetMps) / (2f * halfTrack);
            float both = 2f * _servoNsPerM * (wantedForward - _forwardMps)
                / (1f + 2f * _servoNsPerM * seconds / _body.mass);
            float lever = 2f * _servoNsPerM * halfTrack * halfTrack;
            float torque = lever * (wantedTurning - _turningRadps) / (1f + lever * seconds / _yawInertiaKgM2);
            float apart = torque / halfTrack;
            LeftForceN = Mathf.Clamp((both - apart) / 2f, -_tractionN, _tractionN);
            RightForceN = Mathf.Clamp((both + apart) / 2f, -_tractionN, _tractionN);
            _forwardMps += (LeftForceN + RightForceN) / _body.mass * seconds;
            _turningRadps += (RightForceN - LeftForceN) * halfTrack / _yawInertiaKgM2 * seconds;
            // The axle holds: no speed sideways.
            _body.linearVelocity = _forwardMps * ahead;
            _body.angularVelocity = Frames.TurningSpeedToUnity(_turningRadps);
        }

        /// <summary>What the physics has made of it, for the scene.</summary>
        /// <param name="expected">To touch these is no contact.</param>
        public MobileBody Measure(ContactKinds expected = ContactKinds.None)
        {
            Pose2 pose = Pose;
            Frames.ToFloor(_body.linearVelocity, out double velocityX, out double velocityY);
            return new MobileBody
            {
                X = pose.X,
                Y = pose.Y,
                Yaw = pose.Yaw,
                VelocityX = velocityX,
                VelocityY = velocityY,
                TurningSpeed = Frames.ToTurningSpeed(_body.angularVelocity),
                LeftForceN = LeftForceN,
                RightForceN = RightForceN,
                HasContact = (Touched & ~expected) != ContactKinds.None,
            };
        }

        /// <summary>Moment of inertia about the upright axis, kg m², from the principal ones.</summary>
        private static double MomentAboutUpright(BodyData body)
        {
            double[] q = body.InertiaRotation;
            double w = q[0], x = q[1], y = q[2], z = q[3];
            double alongX = 2.0 * (x * z - w * y), alongY = 2.0 * (y * z + w * x), alongZ = 1.0 - 2.0 * (x * x + y * y);
            return body.Inertia[0] * alongX * alongX + body.Inertia[1] * alongY * alongY
                + body.Inertia[2] * alongZ * alongZ;
        }
    }
}
