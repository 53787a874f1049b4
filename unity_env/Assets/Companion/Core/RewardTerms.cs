using System;
using System.Collections.Generic;

namespace Companion.Core
{
    /// <summary>A reward term's formula.</summary>
    /// <param name="signals">All signals of a step.</param>
    /// <param name="at">Where those stand that it looks at, in its order.</param>
    /// <param name="settings">Its settings, in its order.</param>
    public delegate double TermFunction(double[] signals, Slice[] at, double[] settings);

    /// <summary>
    /// The reward terms by name: the formulas of python/companion/rewards/terms. Which signals they look at, and the names
    /// and defaults of their settings, come from there as data, in the order of the Python function's arguments.
    /// </summary>
    public static class RewardTerms
    {
        /// <summary>A margin or limit of 0 stands for this little.</summary>
        private const double Least = 1e-6;

        private static readonly Dictionary<string, TermFunction> Functions = new Dictionary<string, TermFunction>
        {
            ["action_change_squared"] = MeanSquare,
            ["action_squared"] = MeanSquare,
            ["approaching"] = Value,
            ["ball_coming_back"] = Value,
            ["ball_missed"] = Value,
            ["ball_returned"] = Value,
            ["ball_struck"] = Value,
            ["came_back_in_reach"] = Value,
            ["closeness"] = FallingTo,
            ["closeness_by_way"] = FallingTo,
            ["distance_to_goal"] = Value,
            ["facing_goal"] = Value,
            ["facing_person"] = Value,
            ["getting_behind"] = Value,
            ["going_with_hand"] = GoingWithHand,
            ["hard_ball"] = BeyondLimit,
            ["holding"] = Holding,
            ["hurried_near_person"] = BeyondLimit,
            ["jerk_squared"] = Square,
            ["joint_speed_squared"] = MeanSquare,
            ["keeping_band"] = KeepingBand,
            ["moving_near_person"] = Value,
            ["near_band"] = NearBand,
            ["near_forearm"] = FallingTo,
            ["near_goal"] = NearGoal,
            ["near_rail"] = NearRail,
            ["on_collision_course"] = FallingTo,
            ["out_of_line"] = OutOfLine,
            ["paddle_speed_squared"] = Square,
            ["power_used"] = Value,
            ["reached"] = Value,
            ["standing_in_way"] = Value,
            ["time_passing"] = Always,
            ["too_close"] = FallingTo,
            ["tool_speed_squared"] = Square,
            ["touched"] = Value,
            ["touched_person"] = Value,
            ["turning_squared"] = Square,
        };

        /// <summary>The names of all formulas.</summary>
        public static IReadOnlyCollection<string> Names => Functions.Keys;

        /// <summary>The formula of that name.</summary>
        /// <exception cref="ArgumentException">If there is none; lists the choices.</exception>
        public static TermFunction Find(string name)
        {
            return Functions.TryGetValue(name, out TermFunction found)
                ? found
                : throw new ArgumentException($"no reward term '{name}' in C#; choose from {string.Join(", ", Functions.Keys)}");
        }

        /// <summary>
        /// 1 where a value is at most <paramref name="upper"/>, falling to <paramref name="valueAtMargin"/> at
        /// <paramref name="margin"/> beyond as a bell does; a step where the margin is 0.
        /// </summary>
        public static double Tolerance(double value, double upper, double margin, double valueAtMargin = 0.1)
        {
            if (upper < 0.0 || margin < 0.0)
            {
                throw new ArgumentException($"tolerance of upper={upper}, margin={margin}: neither may be negative");
            }
            double beyond = Math.Max(Math.Max(-value, value - upper), 0.0);
            if (margin == 0.0)
            {
                return beyond > 0.0 ? 0.0 : 1.0;
            }
            double share = beyond / margin;
            return Math.Exp(Math.Log(valueAtMargin) * share * share);
        }

        private static double Value(double[] signals, Slice[] at, double[] settings) => signals[at[0].Start];

        private static double Always(double[] signals, Slice[] at, double[] settings) => 1.0;

        private static double Square(double[] signals, Slice[] at, double[] settings)
        {
            double value = signals[at[0].Start];
            return value * value;
        }

        private static double MeanSquare(double[] signals, Slice[] at, double[] settings)
        {
            double sum = 0.0;
            for (int index = at[0].Start; index < at[0].Start + at[0].Size; index++)
            {
                sum += signals[index] * signals[index];
            }
            return sum / at[0].Size;
        }

        /// <summary>1 at 0, linearly down to 0 at the setting.</summary>
        private static double FallingTo(double[] signals, Slice[] at, double[] settings)
        {
            return Math.Clamp(1.0 - signals[at[0].Start] / Math.Max(settings[0], Least), 0.0, 1.0);
        }

        /// <summary>0 up to the setting, rising linearly to 1 at twice of it.</summary>
        private static double BeyondLimit(double[] signals, Slice[] at, double[] settings)
        {
            return Math.Clamp(signals[at[0].Start] / Math.Max(settings[0], Least) - 1.0, 0.0, 1.0);
        }

        private static double Holding(double[] signals, Slice[] at, double[] settings)
        {
            return signals[at[0].Start] > 0.0 ? 1.0 : 0.0;
        }

        private static double NearGoal(double[] signals, Slice[] at, double[] settings)
        {
            return Tolerance(signals[at[0].Start], settings[0], settings[1]);
        }

        private static double NearBand(double[] signals, Slice[] at, double[] settings)
        {
            return Tolerance(Math.Abs(signals[at[0].Start] - settings[0]), 0.0, settings[1]);
        }

        private static double NearRail(double[] signals, Slice[] at, double[] settings)
        {
            double aside = Math.Abs(signals[at[0].Start + 1]);
            return Math.Clamp((aside - settings[0]) / Math.Max(settings[1], Least), 0.0, 1.0);
        }

        private static double KeepingBand(double[] signals, Slice[] at, double[] settings)
        {
            return signals[at[0].Start] * Tolerance(Math.Abs(signals[at[1].Start] - settings[0]), 0.0, settings[1], 0.5);
        }

        private static double GoingWithHand(double[] signals, Slice[] at, double[] settings)
        {
            return Tolerance(signals[at[0].Start], 0.0, settings[0]) * Tolerance(signals[at[1].Start], 0.0, settings[1]);
        }

        private static double OutOfLine(double[] signals, Slice[] at, double[] settings)
        {
            return 1.0 - Tolerance(signals[at[0].Start], 0.0, settings[0]);
        }
    }
}
