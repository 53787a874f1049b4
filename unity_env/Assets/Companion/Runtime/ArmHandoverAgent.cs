using Companion.Core;
using Unity.MLAgents.Actuators;

namespace Companion.Runtime
{
    /// <summary>A UR5e that hands what it holds to a seated person whose hand moves and trembles.</summary>
    public sealed class ArmHandoverAgent : SeatedArmAgent
    {
        private const int Ahead = 0;
        private const int Left = 1;
        private const int Up = 2;

        private ArmHandoverScene _scene;
        private HandoverBody _body = new HandoverBody { Arm = NewArmBody() };

        protected override ISeatedScene MakeSeatedScene(CompanionData data) => _scene = new ArmHandoverScene(data);

        protected override void MeasureScene(double[] signals)
        {
            Arm.Measure(ref _body.Arm, ContactKinds.Hand);
            ContactKinds touched = Arm.Touched;
            _body.TouchesPerson = (touched & ContactKinds.Person) != ContactKinds.None;
            _body.TouchesHand = (touched & ContactKinds.Hand) != ContactKinds.None;
            _scene.Measure(in _body, Chance, signals);
        }

        protected override void Steer(ActionSegment<float> action)
        {
            // The arrows move the object over the table; with the space bar down, up and down.
            action[Left] = -ManualControl.Right;
            action[ManualControl.IsHeld ? Up : Ahead] = ManualControl.Ahead;
        }
    }
}
