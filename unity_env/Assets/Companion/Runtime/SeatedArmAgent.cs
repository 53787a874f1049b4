using System.Collections.Generic;
using Companion.Core;

namespace Companion.Runtime
{
    /// <summary>What the agents share that play with somebody at the other side of the table.</summary>
    public abstract class SeatedArmAgent : ArmAgent
    {
        private ISeatedScene _scene;
        private SeatedFigure _person;

        public override Viewpoint Viewpoint => Viewpoint.AcrossTable;

        protected sealed override IArmScene MakeScene(CompanionData data) => _scene = MakeSeatedScene(data);

        protected override void BuildOwn(
            IReadOnlyList<BodyData> bodies, BodyBuilder builder, ICollection<BodyBuilder.Hull> hulls)
        {
            _person = gameObject.AddComponent<SeatedFigure>();
            _person.Build(bodies, _scene.Figure, builder, hulls);
        }

        protected override void ArrangeOwn() => _person.Sit(_scene);

        protected override void DriveOwn() => _person.Aim(_scene);

        protected override void BeforePhysicsStep()
        {
            base.BeforePhysicsStep();
            double share = DecisionShare;
            Arm.SetTargets(_scene.CommandBefore, _scene.Command, share + _scene.FeedForwardShare);
            _person.Move(share, _scene.Tremor((1.0 - share) * Task.ControlPeriodS));
        }

        /// <summary>The task without its bodies.</summary>
        protected abstract ISeatedScene MakeSeatedScene(CompanionData data);
    }
}
