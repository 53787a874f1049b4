using System.Collections.Generic;
using Companion.Core;
using Unity.MLAgents.Actuators;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>What the agents of wheeled robots share: a furnished room, a base with a laser scanner, people.</summary>
    public abstract class MobileAgent : TaskAgent
    {
        private const string RobotBody = "robot";
        private const string FloorBody = "world";
        private const int IgnoreRaycastLayer = 2;

        private readonly List<BodyBuilder.Hull> _hulls = new List<BodyBuilder.Hull>();
        private IMobileScene _scene;
        private FurnishedRoom _room;
        private LidarScanner _scanner;

        public sealed override Viewpoint Viewpoint => Viewpoint.OverRoom;

        /// <summary>The robot's body.</summary>
        protected WheeledBase Robot { get; private set; }

        /// <summary>Everything in the area that can be touched.</summary>
        protected IReadOnlyList<BodyBuilder.Hull> Hulls => _hulls;

        protected override ITaskRules BuildScene(CompanionData data, PrimitiveShapes shapes)
        {
            _scene = MakeScene(data);
            TaskData task = _scene.Rules.Task;
            var builder = new BodyBuilder(shapes);
            foreach (BodyData body in task.Bodies)
            {
                if (body.Name == FloorBody)
                {
                    builder.AddShapes(body, transform, _hulls);
                }
                else if (body.Name == RobotBody)
                {
                    BuildRobot(body, DriveOf(data), builder);
                }
                else if (body.Parent == RobotBody)
                {
                    HideFromScanner(builder.Build(body, Robot.transform, _hulls));
                }
                else
                {
                    BuildOwn(body, builder, _hulls);
                }
            }
            _scanner = Robot.gameObject.AddComponent<LidarScanner>();
            _scanner.Build(_scene.Rays, _scene.ScannerHeightM);
            _room = gameObject.AddComponent<FurnishedRoom>();
            _room.Build(task.Bodies, _scene.Room.Pieces, _scene.People.Count, builder, _hulls);
            return _scene.Rules;
        }

        protected override void StartScene()
        {
            _scene.Start(World, Chance);
            _room.Arrange(_scene.Room, _scene.People);
            Robot.SetLoad(
                (float)World["payload_kg"], (float)World["floor_friction"], (float)World["motor_gain_factor"]);
            Robot.Place(_scene.StartPose);
            ArrangeOwn();
            Physics.SyncTransforms();
            Scan();
            _scene.FirstScan(Chance);
        }

        protected override void DriveScene(double[] action)
        {
            _scene.Drive(action, Robot.Pose, Chance);
            Robot.SetWheelSpeeds(_scene.LeftWheelMps, _scene.RightWheelMps);
            Robot.ClearContact();
        }

        protected override void BeforePhysicsStep()
        {
            Robot.Push(Time.fixedDeltaTime);
            _room.Walk(_scene.People, DecisionShare);
        }

        protected override void MeasureScene(double[] signals)
        {
            if (_scene.IsScanDue)
            {
                Scan();
            }
            MeasureOwn(signals);
        }

        protected override void Steer(ActionSegment<float> action)
        {
            // Ahead is at +1, standing where the action rests; turning left is positive.
            action[0] += ManualControl.Ahead * (1f - action[0]);
            action[1] = -ManualControl.Right;
        }

        /// <summary>The task without its bodies.</summary>
        protected abstract IMobileScene MakeScene(CompanionData data);

        /// <summary>What drives the robot.</summary>
        protected abstract WheeledBase.Drive DriveOf(CompanionData data);

        /// <summary>Builds a body if it is one that only this task has.</summary>
        protected virtual void BuildOwn(BodyData body, BodyBuilder builder, ICollection<BodyBuilder.Hull> hulls)
        {
        }

        /// <summary>Puts what only this task has where an episode begins.</summary>
        protected virtual void ArrangeOwn()
        {
        }

        /// <summary>Hands what physics says on to the scene, which fills in the signals.</summary>
        protected abstract void MeasureOwn(double[] signals);

        /// <summary>Lets the scanner's rays go through a body.</summary>
        protected static void HideFromScanner(Transform body)
        {
            foreach (Collider hull in body.GetComponentsInChildren<Collider>(true))
            {
                hull.gameObject.layer = IgnoreRaycastLayer;
            }
        }

        private void Scan() => _scanner.Scan(_scene.ScannerPose(Robot.Pose), transform, _scene.TrueRanges);

        private void BuildRobot(BodyData body, WheeledBase.Drive drive, BodyBuilder builder)
        {
            Transform built = builder.Build(body, transform, _hulls);
            HideFromScanner(built);
            Robot = built.gameObject.AddComponent<WheeledBase>();
            Robot.Build(body, drive);
        }
    }
}
