using Companion.Core;

namespace Companion.Runtime
{
    /// <summary>A ROSbot that walks with a person through a furnished room.</summary>
    public sealed class MobileFollowAgent : MobileAgent
    {
        private MobileFollowScene _scene;

        protected override IFigures People => _scene.People;

        protected override ITaskRules BuildScene(CompanionData data, PrimitiveShapes shapes)
        {
            _scene = new MobileFollowScene(data);
            Rosbot facts = data.Rosbot;
            double loadShare = data.Shared("rosbot_base")["CARRIED_SHARE"].Number;
            var drive = new WheeledBase.Drive(
                facts.WheelSeparationM, facts.MotorStallForceN, facts.WheelServoNsPerM, loadShare);
            BuildRoom(_scene.Task, _scene.Room, drive, _scene.Base.Rays, facts.LidarPositionBaseM[2], shapes);
            return _scene.Rules;
        }

        protected override void StartScene()
        {
            _scene.Start(World, Chance);
            Arrange(_scene.Room, _scene.StartPose);
            Scan(_scene.Base.ScannerPose(Robot.Pose), _scene.TrueRanges);
            _scene.FirstScan(Chance);
        }

        protected override void DriveScene(double[] action)
        {
            _scene.Drive(action, Robot.Pose, Chance);
            Robot.SetWheelSpeeds(_scene.Base.LeftWheelMps, _scene.Base.RightWheelMps);
            Robot.ClearContact();
        }

        protected override void MeasureScene(double[] signals)
        {
            if (_scene.IsScanDue)
            {
                Scan(_scene.Base.ScannerPose(Robot.Pose), _scene.TrueRanges);
            }
            MobileBody body = Robot.Measure();
            _scene.Measure(in body, Chance, signals);
        }
    }
}
