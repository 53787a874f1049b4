using System;
using System.Collections.Generic;

namespace Companion.Core
{
    /// <summary>One entry of the action, and the physical command that -1 and +1 stand for.</summary>
    public sealed class ActionEntry
    {
        public readonly string Name;
        public readonly string Unit;
        public readonly double Low;
        public readonly double High;

        internal ActionEntry(JsonValue json)
        {
            Name = json["name"].Text;
            Unit = json["unit"].Text;
            Low = json["low"].Number;
            High = json["high"].Number;
        }

        /// <summary>What an action in [-1, 1] stands for, in <see cref="Unit"/>.</summary>
        public double Command(double action) => Low + (action + 1.0) * (High - Low) / 2.0;
    }

    /// <summary>One way in which an episode differs from the nominal world; drawn anew for every episode.</summary>
    public sealed class Perturbation
    {
        public readonly string Name;
        public readonly string Unit;
        public readonly double Nominal;

        /// <summary>Ends of the training range.</summary>
        public readonly double Low;
        public readonly double High;

        /// <summary>Ends of what may be set from outside.</summary>
        public readonly double AllowedLow;
        public readonly double AllowedHigh;

        public readonly bool IsInteger;
        public readonly string Description;

        internal Perturbation(JsonValue json)
        {
            Name = json["name"].Text;
            Unit = json["unit"].Text;
            Nominal = json["nominal"].Number;
            Low = json["low"].Number;
            High = json["high"].Number;
            AllowedLow = json["allowed"][0].Number;
            AllowedHigh = json["allowed"][1].Number;
            IsInteger = json["is_integer"].Truth;
            Description = json["description"].Text;
        }
    }

    /// <summary>How a signal becomes one number per episode.</summary>
    public enum MetricKind
    {
        Last,
        Mean,

        /// <summary>The mean over steps and any number of entries, without their signs.</summary>
        MeanSize,
        Sum,
        Max,
        Min,
    }

    /// <summary>A figure that judges an episode, independent of every reward.</summary>
    public sealed class Metric
    {
        public readonly string Name;
        public readonly string Unit;
        public readonly MetricKind How;

        internal Metric(JsonValue json)
        {
            Name = json["name"].Text;
            Unit = json["unit"].Text;
            How = Words.Find<MetricKind>(json["how"].Text);
        }
    }

    /// <summary>One choice of a policy that picks motions by number.</summary>
    public sealed class Motion
    {
        public readonly string Name;

        /// <summary>The action that it stands for, each entry in [-1, 1].</summary>
        public readonly double[] Action;

        internal Motion(JsonValue json)
        {
            Name = json["name"].Text;
            Action = json["action"].Numbers;
        }
    }

    /// <summary>What a robot has to do, as data; Python's <c>companion.tasks</c> holds the one definition.</summary>
    public sealed class TaskData
    {
        public readonly string Name;
        public readonly string Robot;

        /// <summary>ML-Agents' name of it: <c>mobile_goto</c> is <c>MobileGoto</c>.</summary>
        public readonly string BehaviorName;

        public readonly string Description;
        public readonly string SuccessMeans;

        /// <summary>Time between two decisions.</summary>
        public readonly double ControlPeriodS;

        /// <summary>MuJoCo's time step.</summary>
        public readonly double PhysicsStepS;

        public readonly double MaxEpisodeS;

        /// <summary>Physics steps per decision.</summary>
        public readonly int Substeps;

        /// <summary>Decisions after which an episode is cut off.</summary>
        public readonly int MaxEpisodeSteps;

        /// <summary>All that is measured at each decision.</summary>
        public readonly SignalLayout Signals;

        /// <summary>What the policy sees, in order.</summary>
        public readonly SignalLayout Observation;

        public readonly IReadOnlyList<ActionEntry> Action;

        /// <summary>The action whose command is nearest to 0: what was asked of a robot before its episode began.</summary>
        public readonly double[] RestAction;

        public readonly IReadOnlyList<Perturbation> Perturbations;
        public readonly IReadOnlyList<Metric> Metrics;
        public readonly IReadOnlyList<Motion> Motions;
        public readonly IReadOnlyList<Recipe> Recipes;

        /// <summary>The numbers with UPPER_CASE names of the task's Python module.</summary>
        public readonly JsonValue Constants;

        /// <summary>The whole nominal scene, as MuJoCo compiled it.</summary>
        public readonly IReadOnlyList<BodyData> Bodies;

        public TaskData(JsonValue json)
        {
            Name = json["name"].Text;
            Robot = json["robot"].Text;
            BehaviorName = json["behavior_name"].Text;
            Description = json["description"].Text;
            SuccessMeans = json["success_means"].Text;
            ControlPeriodS = json["control_period_s"].Number;
            PhysicsStepS = json["physics_step_s"].Number;
            MaxEpisodeS = json["max_episode_s"].Number;
            Substeps = json["substeps"].Integer;
            MaxEpisodeSteps = json["max_episode_steps"].Integer;
            SignalData[] signals = Words.List(json["signals"], entry => new SignalData(entry));
            Signals = new SignalLayout(signals);
            Observation = new SignalLayout(
                Words.List(json["observation"], name => Array.Find(signals, one => one.Name == name.Text)));
            Action = Words.List(json["action"], entry => new ActionEntry(entry));
            RestAction = json["rest_action"].Numbers;
            Perturbations = Words.List(json["perturbations"], entry => new Perturbation(entry));
            Metrics = Words.List(json["metrics"], entry => new Metric(entry));
            Motions = Words.List(json["motions"], entry => new Motion(entry));
            Recipes = Words.List(json["recipes"], entry => new Recipe(entry));
            Constants = json["constants"];
            Bodies = Words.List(json["bodies"], entry => new BodyData(entry));
        }

        /// <summary>The recipe of that name.</summary>
        /// <exception cref="ArgumentException">If there is none; lists the choices.</exception>
        public Recipe Recipe(string name)
        {
            var names = new List<string>();
            foreach (Recipe recipe in Recipes)
            {
                if (recipe.Name == name)
                {
                    return recipe;
                }
                names.Add(recipe.Name);
            }
            throw new ArgumentException($"no recipe '{name}' for task '{Name}'; choose from {string.Join(", ", names)}");
        }
    }

    /// <summary>Words of the data as C#'s own.</summary>
    internal static class Words
    {
        /// <summary>Every entry of an array, made into something.</summary>
        public static T[] List<T>(JsonValue array, Func<JsonValue, T> make)
        {
            var made = new T[array.Count];
            for (int index = 0; index < made.Length; index++)
            {
                made[index] = make(array[index]);
            }
            return made;
        }

        /// <summary>The enum's member that a snake_case word names: <c>mean_size</c> is <c>MeanSize</c>.</summary>
        public static T Find<T>(string word) where T : struct
        {
            return Enum.TryParse(word.Replace("_", ""), true, out T found)
                ? found
                : throw new FormatException($"'{word}' is no {typeof(T).Name}; choose from {string.Join(", ", Enum.GetNames(typeof(T)))}");
        }
    }
}
