using System.Collections.Generic;
using Companion.Core;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>What the agents of the UR5e share: a table, the arm on it, what varies of the arm.</summary>
    public abstract class ArmAgent : TaskAgent
    {
        private const string TableBody = "world";

        private readonly List<BodyBuilder.Hull> _hulls = new List<BodyBuilder.Hull>();
        private readonly double[] _position = new double[Ur5e.Joints];
        private IArmScene _scene;

        public override Viewpoint Viewpoint => Viewpoint.BesideTable;

        /// <summary>The arm's body.</summary>
        protected ArmChain Arm { get; private set; }

        /// <summary>Everything in the area that can be touched.</summary>
        protected IReadOnlyList<BodyBuilder.Hull> Hulls => _hulls;

        protected override ITaskRules BuildScene(CompanionData data, PrimitiveShapes shapes)
        {
            _scene = MakeScene(data);
            TaskData task = _scene.Rules.Task;
            var builder = new BodyBuilder(shapes);
            foreach (BodyData body in task.Bodies)
            {
                if (body.Name == TableBody)
                {
                    builder.AddShapes(body, transform, _hulls);
                }
            }
            var mount = new GameObject("arm");
            mount.transform.SetParent(transform, false);
            Arm = mount.AddComponent<ArmChain>();
            Arm.Build(task.Bodies, data.Ur5e, builder, _hulls);
            BuildOwn(task.Bodies, builder, _hulls);
            return _scene.Rules;
        }

        protected override void StartScene()
        {
            BodyBuilder.IgnoreWhatNeverMeets(_hulls);
            _scene.Start(World, Chance);
            Arm.SetLoad(
                (float)World["link_mass_factor"], (float)World["payload_kg"], (float)World["joint_friction_nm"]);
            Arm.SetServos((float)World["servo_gain_factor"], (float)World["servo_damping_factor"]);
            Arm.Place(_scene.StartPosition);
            ArrangeOwn();
        }

        protected override void DriveScene(double[] action)
        {
            Arm.MeasurePosition(_position);
            _scene.Drive(action, _position, Chance);
            Arm.ClearContact();
            DriveOwn();
        }

        protected override void BeforePhysicsStep() => Arm.Rub();

        /// <summary>The task without its bodies.</summary>
        protected abstract IArmScene MakeScene(CompanionData data);

        /// <summary>Builds the bodies that only this task has.</summary>
        protected abstract void BuildOwn(
            IReadOnlyList<BodyData> bodies, BodyBuilder builder, ICollection<BodyBuilder.Hull> hulls);

        /// <summary>Puts what only this task has where an episode begins.</summary>
        protected abstract void ArrangeOwn();

        /// <summary>What else a decision does, once the scene has its commands.</summary>
        protected abstract void DriveOwn();

        /// <summary>An arm to measure into.</summary>
        protected static ArmBody NewArmBody()
        {
            return new ArmBody
            {
                Position = new double[Ur5e.Joints],
                Velocity = new double[Ur5e.Joints],
                Torque = new double[Ur5e.Joints],
            };
        }
    }
}
