using System.Collections.Generic;
using Companion.Core;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>A TurtleBot3 that drives to a goal in a furnished room in which people walk about.</summary>
    public sealed class MobileGotoAgent : MobileAgent
    {
        private const string GoalBody = "goal";

        /// <summary>Of two driven tyres and a caster.</summary>
        private const double TyreLoadShare = 0.45;

        private MobileGotoScene _scene;
        private Transform _goal;

        protected override IFigures People => _scene.People;

        protected override ITaskRules BuildScene(CompanionData data, PrimitiveShapes shapes)
        {
            _scene = new MobileGotoScene(data);
            TurtleBot3 facts = data.TurtleBot3;
            var drive = new WheeledBase.Drive(
                facts.WheelSeparationM, facts.MotorStallForceN, facts.WheelServoNsPerM, TyreLoadShare);
            BodyBuilder builder = BuildRoom(
                _scene.Task, _scene.Room, drive, _scene.Rays, facts.LidarPositionBaseM[2], shapes);
            foreach (BodyData body in _scene.Task.Bodies)
            {
                if (body.Name == GoalBody)
                {
                    _goal = builder.Build(body, transform, new List<BodyBuilder.Hull>());
                }
            }
            return _scene.Rules;
        }

        protected override void StartScene()
        {
            _scene.Start(World, Chance);
            _goal.localPosition = Frames.ToUnity(_scene.GoalX, _scene.GoalY, 0.0);
            Arrange(_scene.Room, _scene.StartPose);
            Scan(_scene.ScannerPose(Robot.Pose), _scene.TrueRanges);
            _scene.FirstScan(Chance);
        }

        protected override void DriveScene(double[] action)
        {
            _scene.Drive(action, Robot.Pose, Chance);
            Robot.SetWheelSpeeds(_scene.LeftWheelMps, _scene.RightWheelMps);
            Robot.ClearContact();
        }

        protected override void MeasureScene(double[] signals)
        {
            if (_scene.IsScanDue)
            {
                Scan(_scene.ScannerPose(Robot.Pose), _scene.TrueRanges);
            }
            MobileBody body = Robot.Measure();
            _scene.Measure(in body, Chance, signals);
        }
    }
}
