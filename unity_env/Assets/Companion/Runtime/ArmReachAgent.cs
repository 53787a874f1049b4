using System.Collections.Generic;
using Companion.Core;
using Unity.MLAgents.Actuators;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>A UR5e on a table that brings its tool to a target in front of it.</summary>
    public sealed class ArmReachAgent : ArmAgent
    {
        private const string TargetBody = "target";
        private const int ShoulderPan = 0;
        private const int ShoulderLift = 1;
        private const int Elbow = 2;
        private const int Wrist1 = 3;

        private ArmReachScene _scene;
        private Transform _target;
        private ArmBody _body = NewArmBody();

        protected override IArmScene MakeScene(CompanionData data) => _scene = new ArmReachScene(data);

        protected override void BuildOwn(
            IReadOnlyList<BodyData> bodies, BodyBuilder builder, ICollection<BodyBuilder.Hull> hulls)
        {
            foreach (BodyData body in bodies)
            {
                if (body.Name == TargetBody)
                {
                    _target = builder.Build(body, transform, hulls);
                }
            }
        }

        protected override void ArrangeOwn() => _target.localPosition = Frames.ToUnity(_scene.Target);

        protected override void DriveOwn() => Arm.SetTargets(_scene.Command);

        protected override void MeasureScene(double[] signals)
        {
            Arm.Measure(ref _body);
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
