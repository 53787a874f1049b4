using System.Collections.Generic;
using Companion.Core;
using Unity.MLAgents.Actuators;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>A UR5e on a table that brings its tool to a target in front of it.</summary>
    public sealed class ArmReachAgent : TaskAgent
    {
        private const string TableBody = "world";
        private const string TargetBody = "target";
        private const int ShoulderPan = 0;
        private const int ShoulderLift = 1;
        private const int Elbow = 2;
        private const int Wrist1 = 3;

        private readonly List<BodyBuilder.Hull> _hulls = new List<BodyBuilder.Hull>();
        private ArmReachScene _scene;
        private ArmChain _arm;
        private Transform _target;
        private ArmBody _body;
        private double[] _position;

        protected override ITaskRules BuildScene(CompanionData data, PrimitiveShapes shapes)
        {
            _scene = new ArmReachScene(data);
            _body = new ArmBody
            {
                Position = new double[Ur5e.Joints],
                Velocity = new double[Ur5e.Joints],
                Torque = new double[Ur5e.Joints],
            };
            _position = _body.Position;
            var builder = new BodyBuilder(shapes);
            foreach (BodyData body in _scene.Task.Bodies)
            {
                if (body.Name == TableBody)
                {
                    builder.AddShapes(body, transform, _hulls);
                }
                else if (body.Name == TargetBody)
                {
                    _target = builder.Build(body, transform, _hulls);
                }
            }
            var mount = new GameObject("arm");
            mount.transform.SetParent(transform, false);
            _arm = mount.AddComponent<ArmChain>();
            _arm.Build(_scene.Task.Bodies, data.Ur5e, builder, _hulls);
            return _scene.Rules;
        }

        protected override void StartScene()
        {
            // Here and not where they are built: PhysX forgets it of colliders that are not awake.
            BodyBuilder.IgnoreWhatNeverMeets(_hulls);
            _scene.Start(World, Chance);
            _arm.SetLoad(
                (float)World["link_mass_factor"], (float)World["payload_kg"], (float)World["joint_friction_nm"]);
            _arm.SetServos((float)World["servo_gain_factor"], (float)World["servo_damping_factor"]);
            _arm.Place(_scene.StartPosition);
            _target.localPosition = Frames.ToUnity(_scene.Target);
        }

        protected override void DriveScene(double[] action)
        {
            _arm.Measure(ref _body);
            _scene.Drive(action, _position);
            _arm.SetTargets(_scene.Command);
            _arm.ClearContact();
        }

        protected override void BeforePhysicsStep() => _arm.Rub();

        protected override void MeasureScene(double[] signals)
        {
            _arm.Measure(ref _body);
            _scene.Measure(in _body, Chance, signals);
        }

        protected override void Steer(ActionSegment<float> action)
        {
            // The arrows move the shoulder; with the space bar down, elbow and first wrist.
            bool isFarther = ManualControl.IsHeld;
            action[isFarther ? Wrist1 : ShoulderPan] = -ManualControl.Right;
            action[isFarther ? Elbow : ShoulderLift] = ManualControl.Ahead;
        }
    }
}
