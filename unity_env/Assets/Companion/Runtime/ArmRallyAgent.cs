using System.Collections.Generic;
using Companion.Core;
using Unity.MLAgents.Actuators;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>A UR5e with a paddle that returns a ball which a seated person rolls along the table.</summary>
    public sealed class ArmRallyAgent : SeatedArmAgent
    {
        private const string BallBody = "ball";
        private const int Ahead = 0;
        private const int Left = 1;
        private const int Yaw = 2;

        private ArmRallyScene _scene;
        private RollingBall _ball;
        private RallyBody _body = new RallyBody { Arm = NewArmBody() };

        protected override ISeatedScene MakeSeatedScene(CompanionData data) => _scene = new ArmRallyScene(data);

        protected override void BuildOwn(
            IReadOnlyList<BodyData> bodies, BodyBuilder builder, ICollection<BodyBuilder.Hull> hulls)
        {
            base.BuildOwn(bodies, builder, hulls);
            foreach (BodyData body in bodies)
            {
                if (body.Name == BallBody)
                {
                    _ball = builder.Build(body, transform, hulls).gameObject.AddComponent<RollingBall>();
                    _ball.Build(body);
                }
            }
            _ball.TakeSurfaces(Hulls);
        }

        protected override void ArrangeOwn()
        {
            base.ArrangeOwn();
            _ball.SetRolling(0f, (float)_scene.BallDampingPerS);
            _ball.SetBounciness((float)_scene.Restitution);
            LayBall();
        }

        protected override void DriveOwn()
        {
            base.DriveOwn();
            if (_scene.IsLaid)
            {
                LayBall();
            }
            _ball.ClearContact();
        }

        protected override void MeasureScene(double[] signals)
        {
            Arm.Measure(ref _body.Arm, ContactKinds.Ball);
            const ContactKinds anyPart = ContactKinds.Person | ContactKinds.Hand;
            _body.TouchesPerson = (Arm.Touched & anyPart) != ContactKinds.None;
            _ball.Measure(out BallState ball);
            _body.Ball = new RallyBall
            {
                X = ball.X,
                Y = ball.Y,
                VelocityX = ball.VelocityX,
                VelocityY = ball.VelocityY,
                // Of the arm a ball meets the paddle only.
                MeetsPaddle = (_ball.Touched & ContactKinds.Arm) != ContactKinds.None,
            };
            _scene.Measure(in _body, Chance, signals);
        }

        protected override void Steer(ActionSegment<float> action)
        {
            // The arrows move the paddle; with the space bar down, left and right turn it.
            action[Ahead] = ManualControl.Ahead;
            action[ManualControl.IsHeld ? Yaw : Left] = -ManualControl.Right;
        }

        private void LayBall()
        {
            RallyBall ball = _scene.Ball;
            _ball.Roll(ball.X, ball.Y, ball.VelocityX, ball.VelocityY);
        }
    }
}
