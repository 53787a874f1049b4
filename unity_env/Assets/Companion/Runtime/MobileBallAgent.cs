using System.Collections.Generic;
using Companion.Core;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>A ROSbot that pushes a rolled ball back to the feet of the person who rolled it.</summary>
    public sealed class MobileBallAgent : MobileAgent
    {
        private const string BallBody = "ball";

        private MobileBallScene _scene;
        private RollingBall _ball;

        protected override IMobileScene MakeScene(CompanionData data) => _scene = new MobileBallScene(data);

        protected override WheeledBase.Drive DriveOf(CompanionData data) => WheeledBase.Drive.OfRosbot(data);

        protected override ITaskRules BuildScene(CompanionData data, PrimitiveShapes shapes)
        {
            ITaskRules rules = base.BuildScene(data, shapes);
            _ball.TakeSurfaces(Hulls);
            return rules;
        }

        protected override void BuildOwn(BodyData body, BodyBuilder builder, ICollection<BodyBuilder.Hull> hulls)
        {
            if (body.Name == BallBody)
            {
                Transform built = builder.Build(body, transform, hulls);
                HideFromScanner(built);
                _ball = built.gameObject.AddComponent<RollingBall>();
                _ball.Build(body);
            }
        }

        protected override void ArrangeOwn()
        {
            BodyBuilder.IgnoreWhatNeverMeets(Hulls);
            _ball.SetRolling((float)_scene.RollingResistanceM, 0f);
            _ball.Roll(_scene.HeldX, _scene.HeldY, 0.0, 0.0);
        }

        protected override void DriveScene(double[] action)
        {
            base.DriveScene(action);
            if (_scene.IsLaid || _scene.IsRolled)
            {
                double share = _scene.IsRolled ? 1.0 : 0.0;
                _ball.Roll(_scene.HeldX, _scene.HeldY, share * _scene.RollX, share * _scene.RollY);
            }
        }

        protected override void BeforePhysicsStep()
        {
            base.BeforePhysicsStep();
            _ball.Resist(Time.fixedDeltaTime);
        }

        protected override void MeasureOwn(double[] signals)
        {
            _ball.Measure(out BallState ball);
            var body = new BallBody
            {
                Robot = Robot.Measure(ContactKinds.Ball),
                BallX = ball.X,
                BallY = ball.Y,
                BallVelocityX = ball.VelocityX,
                BallVelocityY = ball.VelocityY,
                HasTouchedBall = (Robot.Touched & ContactKinds.Ball) != ContactKinds.None,
            };
            _scene.Measure(in body, Chance, signals);
        }
    }
}
