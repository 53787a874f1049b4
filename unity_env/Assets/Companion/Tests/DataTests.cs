using System.IO;
using Companion.Core;
using NUnit.Framework;
using UnityEngine;

namespace Companion.Tests
{
    /// <summary>
    /// The project's data can be read in the Editor. That the numbers are Python's is tested without one, where Python is:
    /// tests/unity of the repository.
    /// </summary>
    public sealed class DataTests
    {
        private CompanionData _data;

        [SetUp]
        public void ReadData()
        {
            _data = CompanionData.FromFolder(Path.Combine(Application.streamingAssetsPath, "companion"));
        }

        [Test]
        public void EveryTaskHasRulesAndRecipes()
        {
            Assert.That(_data.TaskNames, Is.Not.Empty);
            foreach (string name in _data.TaskNames)
            {
                TaskData task = _data.Task(name);
                ITaskRules rules = TaskRules.For(task);
                var observation = new float[task.Observation.Size];
                rules.Observe(new double[task.Signals.Size], observation);
                Assert.That(task.Recipe("full").Terms, Is.Not.Empty, name);
            }
        }

        [Test]
        public void ADrawnRoomHoldsRobotAndGoalApart()
        {
            var scene = new MobileGotoScene(_data);
            var perturbations = new Perturbations(scene.Task);
            var draws = new Draws(7);
            for (int episode = 0; episode < 100; episode++)
            {
                perturbations.Draw(draws);
                scene.Start(perturbations, draws);
                Pose2 robot = scene.StartPose;
                Assert.That(scene.Room.Clearance(robot.X, robot.Y), Is.GreaterThan(_data.TurtleBot3.RadiusM));
                Assert.That(scene.Room.Clearance(scene.GoalX, scene.GoalY), Is.GreaterThan(_data.TurtleBot3.RadiusM));
            }
        }
    }
}
