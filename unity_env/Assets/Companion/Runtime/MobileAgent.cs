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

        private FurnishedRoom _room;
        private LidarScanner _scanner;

        /// <summary>The robot's body.</summary>
        protected WheeledBase Robot { get; private set; }

        /// <summary>Who walks about.</summary>
        protected abstract IFigures People { get; }

        protected override void BeforePhysicsStep()
        {
            Robot.Push(Time.fixedDeltaTime);
            _room.Walk(People, DecisionShare);
        }

        protected override void Steer(ActionSegment<float> action)
        {
            // Ahead is at +1, standing where the action rests; turning left is positive.
            action[0] += ManualControl.Ahead * (1f - action[0]);
            action[1] = -ManualControl.Right;
        }

        /// <summary>Builds floor, robot, walls, furniture and people.</summary>
        protected BodyBuilder BuildRoom(
            TaskData task, Room room, WheeledBase.Drive drive, int rays, double scannerHeightM, PrimitiveShapes shapes)
        {
            var builder = new BodyBuilder(shapes);
            var hulls = new List<BodyBuilder.Hull>();
            foreach (BodyData body in task.Bodies)
            {
                if (body.Name == FloorBody)
                {
                    builder.AddShapes(body, transform, hulls);
                }
                else if (body.Name == RobotBody)
                {
                    BuildRobot(body, drive, builder);
                }
            }
            _scanner = Robot.gameObject.AddComponent<LidarScanner>();
            _scanner.Build(rays, scannerHeightM);
            _room = gameObject.AddComponent<FurnishedRoom>();
            _room.Build(task.Bodies, room.Pieces, People.Count, builder, shapes);
            return builder;
        }

        /// <summary>Puts everything where an episode starts.</summary>
        protected void Arrange(Room room, Pose2 start)
        {
            _room.Arrange(room, People);
            Robot.SetLoad(
                (float)World["payload_kg"], (float)World["floor_friction"], (float)World["motor_gain_factor"]);
            Robot.Place(start);
            Physics.SyncTransforms();
        }

        /// <summary>Casts the scanner's rays from where it stands.</summary>
        protected void Scan(Pose2 scanner, double[] rangesM) => _scanner.Scan(scanner, transform, rangesM);

        private void BuildRobot(BodyData body, WheeledBase.Drive drive, BodyBuilder builder)
        {
            var hulls = new List<BodyBuilder.Hull>();
            Transform built = builder.Build(body, transform, hulls);
            foreach (BodyBuilder.Hull hull in hulls)
            {
                hull.Collider.gameObject.layer = IgnoreRaycastLayer;
            }
            Robot = built.gameObject.AddComponent<WheeledBase>();
            Robot.Build(body, drive);
        }
    }
}
