using System.Collections.Generic;
using Companion.Core;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>A TurtleBot3 that drives to a goal in a furnished room in which people walk about.</summary>
    public sealed class MobileGotoAgent : MobileAgent
    {
        private const string GoalBody = "goal";

        private MobileGotoScene _scene;
        private Transform _goal;

        protected override IMobileScene MakeScene(CompanionData data) => _scene = new MobileGotoScene(data);

        protected override WheeledBase.Drive DriveOf(CompanionData data) => WheeledBase.Drive.OfTurtleBot3(data);

        protected override void BuildOwn(BodyData body, BodyBuilder builder, ICollection<BodyBuilder.Hull> hulls)
        {
            if (body.Name == GoalBody)
            {
                _goal = builder.Build(body, transform, hulls);
            }
        }

        protected override void ArrangeOwn() => _goal.localPosition = Frames.ToUnity(_scene.GoalX, _scene.GoalY, 0.0);

        protected override void MeasureOwn(double[] signals)
        {
            MobileBody body = Robot.Measure();
            _scene.Measure(in body, Chance, signals);
        }
    }
}
