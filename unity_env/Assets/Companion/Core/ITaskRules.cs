using System;
using System.Collections.Generic;

namespace Companion.Core
{
    /// <summary>What a task makes of the signals of a step.</summary>
    public interface ITaskRules
    {
        TaskData Task { get; }

        /// <summary>What the policy sees of these signals.</summary>
        void Observe(double[] signals, float[] observation);

        /// <summary>Whether the episode came to a true end on this step; running out of time is none.</summary>
        bool Ends(double[] signals);

        /// <summary>Whether that end is a success.</summary>
        bool Succeeded(double[] signals);
    }

    /// <summary>Rules of the tasks by their names.</summary>
    public static class TaskRules
    {
        private static readonly Dictionary<string, Func<TaskData, ITaskRules>> Makers =
            new Dictionary<string, Func<TaskData, ITaskRules>>
            {
                ["arm_handover"] = task => new ArmHandoverRules(task),
                ["arm_rally"] = task => new ArmRallyRules(task),
                ["arm_reach"] = task => new ArmReachRules(task),
                ["mobile_ball"] = task => new MobileBallRules(task),
                ["mobile_follow"] = task => new MobileFollowRules(task),
                ["mobile_goto"] = task => new MobileGotoRules(task),
            };

        /// <summary>The rules of a task.</summary>
        /// <exception cref="ArgumentException">If C# has none for it; lists the choices.</exception>
        public static ITaskRules For(TaskData task)
        {
            return Makers.TryGetValue(task.Name, out Func<TaskData, ITaskRules> make)
                ? make(task)
                : throw new ArgumentException($"no rules for task '{task.Name}' in C#; choose from {string.Join(", ", Makers.Keys)}");
        }
    }

    /// <summary>What all tasks have in common so far: a contact that is forbidden ends an episode, and so does success.</summary>
    public abstract class ContactRules : ITaskRules
    {
        private readonly Slice[] _seen;
        private readonly int _contact;
        private readonly int _success;

        protected ContactRules(TaskData task, string name)
        {
            if (task.Name != name)
            {
                throw new ArgumentException($"rules of task '{name}' for task '{task.Name}'");
            }
            Task = task;
            _seen = new Slice[task.Observation.Count];
            for (int index = 0; index < _seen.Length; index++)
            {
                _seen[index] = task.Signals.Where(task.Observation[index].Name);
            }
            _contact = task.Signals.Where("contact").Start;
            _success = task.Signals.Where("success").Start;
        }

        public TaskData Task { get; }

        public void Observe(double[] signals, float[] observation)
        {
            int column = 0;
            foreach (Slice slice in _seen)
            {
                for (int index = slice.Start; index < slice.Start + slice.Size; index++)
                {
                    observation[column++] = (float)signals[index];
                }
            }
        }

        public bool Ends(double[] signals) => HasContact(signals) || signals[_success] > 0.0;

        public abstract bool Succeeded(double[] signals);

        protected bool HasContact(double[] signals) => signals[_contact] > 0.0;

        protected bool HasSuccess(double[] signals) => signals[_success] > 0.0;
    }
}
