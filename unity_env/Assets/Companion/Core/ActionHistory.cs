using System;

namespace Companion.Core
{
    /// <summary>The last actions of one copy: they may take effect late, and the policy sees what it did.</summary>
    public sealed class ActionHistory
    {
        private readonly TaskData _task;
        private readonly double[][] _actions;
        private readonly Slice _previousAction;
        private readonly Slice _actionChange;
        private int _newest;

        public ActionHistory(TaskData task)
        {
            _task = task;
            int depth = 2;
            foreach (Perturbation one in task.Perturbations)
            {
                if (one.Name == "action_delay_steps")
                {
                    depth = Math.Max(depth, (int)one.AllowedHigh + 1);
                }
            }
            _actions = new double[depth][];
            for (int index = 0; index < depth; index++)
            {
                _actions[index] = new double[task.Action.Count];
            }
            _previousAction = task.Signals.Where("previous_action");
            _actionChange = task.Signals.Where("action_change");
            Clear();
        }

        /// <summary>An episode starts: nothing was asked of the robot before.</summary>
        public void Clear()
        {
            foreach (double[] action in _actions)
            {
                Array.Copy(_task.RestAction, action, action.Length);
            }
        }

        /// <summary>A decision is taken; every entry is brought into [-1, 1].</summary>
        public void Take(float[] action)
        {
            _newest = (_newest + 1) % _actions.Length;
            double[] taken = _actions[_newest];
            for (int index = 0; index < taken.Length; index++)
            {
                taken[index] = Math.Clamp(action[index], -1.0, 1.0);
            }
        }

        /// <summary>The action of so many decisions ago, 0 being the newest; not a copy.</summary>
        public double[] Delayed(int steps) => _actions[(_newest - steps + _actions.Length) % _actions.Length];

        /// <summary>Put <c>previous_action</c> and <c>action_change</c> among the signals.</summary>
        public void Write(double[] signals)
        {
            double[] now = Delayed(0), before = Delayed(1);
            for (int index = 0; index < now.Length; index++)
            {
                signals[_previousAction.Start + index] = now[index];
                signals[_actionChange.Start + index] = now[index] - before[index];
            }
        }
    }
}
