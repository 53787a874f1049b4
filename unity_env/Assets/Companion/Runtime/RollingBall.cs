using System.Collections.Generic;
using Companion.Core;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>Where a ball is in its area, and how it moves in the plane; m, m/s.</summary>
    public struct BallState
    {
        public double X;
        public double Y;
        public double VelocityX;
        public double VelocityY;
    }

    /// <summary>
    /// A ball that rolls, is pushed and bounces: a rigid body on the physics engine's own friction, with the rolling
    /// resistance that PhysX does not have.
    /// </summary>
    [RequireComponent(typeof(Rigidbody), typeof(ContactSensor))]
    [DisallowMultipleComponent]
    public sealed class RollingBall : MonoBehaviour
    {
        [SerializeField]
        [Tooltip("How fast it can turn, rad/s; PhysX' default of 7 would hold a rolling ball back.")]
        private float _maxTurningRadps = 200f;

        private readonly List<PhysicsMaterial> _bouncy = new List<PhysicsMaterial>();
        private Rigidbody _body;
        private ContactSensor _contact;
        private GeomData _geom;
        private float _radiusM;
        private float _inertiaKgM2;
        private float _resistanceRadps2;

        /// <summary>What it has touched since <see cref="ClearContact"/>.</summary>
        public ContactKinds Touched => _contact.Touched;

        /// <summary>Sets up the body, whose one shape is a sphere.</summary>
        public void Build(BodyData body)
        {
            _geom = body.Geoms[0];
            _radiusM = (float)_geom.Size[0];
            _inertiaKgM2 = (float)body.Inertia[0];
            _contact = GetComponent<ContactSensor>();
            ContactLabel.Put(gameObject, ContactKinds.Ball);
            _body = GetComponent<Rigidbody>();
            _body.mass = (float)body.MassKg;
            _body.automaticInertiaTensor = false;
            _body.inertiaTensor = _inertiaKgM2 * Vector3.one;
            _body.inertiaTensorRotation = Quaternion.identity;
            _body.maxAngularVelocity = _maxTurningRadps;
            _body.angularDamping = 0f;
            // A ball that rolls out slowly would be put to sleep.
            _body.sleepThreshold = 0f;
        }

        /// <summary>Takes over how it slides on and bounces off everything that it meets; once all of it is built.</summary>
        /// <remarks>Of two materials the one that says Minimum chooses, so the surfaces decide and the ball does not.</remarks>
        public void TakeSurfaces(IReadOnlyList<BodyBuilder.Hull> hulls)
        {
            foreach (BodyBuilder.Hull hull in hulls)
            {
                if (hull.Geom == _geom)
                {
                    hull.Collider.sharedMaterial = Surface(1f, 1f, PhysicsMaterialCombine.Average);
                }
                else if (hull.Geom.Meets(_geom))
                {
                    var friction = (float)hull.Geom.FrictionWith(_geom);
                    var bounciness = (float)hull.Geom.BouncinessWith(_geom);
                    PhysicsMaterial surface = Surface(friction, bounciness, PhysicsMaterialCombine.Minimum);
                    hull.Collider.sharedMaterial = surface;
                    if (bounciness > 0f)
                    {
                        _bouncy.Add(surface);
                    }
                }
            }
        }

        /// <summary>What slows it down as it rolls.</summary>
        /// <param name="resistanceM">A torque against its turning, for each newton of its weight, m.</param>
        /// <param name="dampingPerS">A force against its motion, for each m/s and kg.</param>
        public void SetRolling(float resistanceM, float dampingPerS)
        {
            _resistanceRadps2 = resistanceM * _body.mass * Physics.gravity.magnitude / _inertiaKgM2;
            _body.linearDamping = dampingPerS;
        }

        /// <summary>With which share of its speed it bounces off whatever it bounces off at all.</summary>
        public void SetBounciness(float bounciness)
        {
            foreach (PhysicsMaterial surface in _bouncy)
            {
                surface.bounciness = bounciness;
            }
        }

        /// <summary>Puts it on the floor or table there, rolling at this velocity without slipping; m, m/s.</summary>
        public void Roll(double x, double y, double velocityX, double velocityY)
        {
            transform.SetLocalPositionAndRotation(Frames.ToUnity(x, y, _radiusM), Quaternion.identity);
            _body.position = transform.position;
            _body.rotation = transform.rotation;
            _body.linearVelocity = Frames.ToUnity(velocityX, velocityY, 0.0);
            _body.angularVelocity = Frames.TurnToUnity(-velocityY / _radiusM, velocityX / _radiusM, 0.0);
        }

        /// <summary>Forget past touches.</summary>
        public void ClearContact() => _contact.Clear();

        /// <summary>Lets the floor resist its rolling for one physics step; before the physics.</summary>
        public void Resist(float seconds)
        {
            Vector3 turning = _body.angularVelocity;
            float speed = turning.magnitude, loss = _resistanceRadps2 * seconds;
            if (loss > 0f && speed > 0f)
            {
                _body.angularVelocity = Mathf.Max(0f, 1f - loss / speed) * turning;
            }
        }

        /// <summary>What the physics has made of it.</summary>
        public void Measure(out BallState state)
        {
            Frames.ToFloor(transform.localPosition, out state.X, out state.Y);
            Frames.ToFloor(_body.linearVelocity, out state.VelocityX, out state.VelocityY);
        }

        private static PhysicsMaterial Surface(float friction, float bounciness, PhysicsMaterialCombine combine)
        {
            return new PhysicsMaterial
            {
                dynamicFriction = friction,
                staticFriction = friction,
                bounciness = bounciness,
                frictionCombine = combine,
                bounceCombine = combine,
            };
        }
    }
}
