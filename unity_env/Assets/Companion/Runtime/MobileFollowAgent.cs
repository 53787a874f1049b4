using Companion.Core;

namespace Companion.Runtime
{
    /// <summary>A ROSbot that walks with a person through a furnished room.</summary>
    public sealed class MobileFollowAgent : MobileAgent
    {
        private MobileFollowScene _scene;

        protected override IMobileScene MakeScene(CompanionData data) => _scene = new MobileFollowScene(data);

        protected override WheeledBase.Drive DriveOf(CompanionData data) => WheeledBase.Drive.OfRosbot(data);

        protected override void MeasureOwn(double[] signals)
        {
            MobileBody body = Robot.Measure();
            _scene.Measure(in body, Chance, signals);
        }
    }
}
