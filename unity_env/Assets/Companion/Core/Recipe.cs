using System.Collections.Generic;

namespace Companion.Core
{
    /// <summary>How a term's value counts.</summary>
    public enum TermKind
    {
        /// <summary>Weight x value x control period on each step: the value is per second.</summary>
        Rate,

        /// <summary>Weight x value on the step on which it happens.</summary>
        Event,

        /// <summary>Weight x value on the step of a true end only.</summary>
        Terminal,

        /// <summary>Weight x (discount x value - the last step's value), 0 for the value at a true end.</summary>
        Potential,
    }

    /// <summary>One term of a recipe, or one of its constraints, whose weight is 0.</summary>
    public sealed class TermData
    {
        public readonly string Name;

        /// <summary>Its function among <see cref="RewardTerms"/>.</summary>
        public readonly string Function;

        public readonly TermKind Kind;
        public readonly double Weight;

        /// <summary>Of a constraint: it happens on single steps and is counted per episode, not averaged over time.</summary>
        public readonly bool IsCounted;

        /// <summary>The names of its settings, in the function's order.</summary>
        public readonly IReadOnlyList<string> SettingNames;

        /// <summary>Their values.</summary>
        public readonly double[] Settings;

        internal TermData(JsonValue json)
        {
            Name = json["name"].Text;
            Function = json["function"].Text;
            Kind = Words.Find<TermKind>(json["kind"].Text);
            Weight = json["weight"].Number;
            IsCounted = json.Has("is_counted") && json["is_counted"].Truth;
            JsonValue settings = json["settings"];
            SettingNames = settings.Keys;
            Settings = new double[settings.Count];
            for (int index = 0; index < Settings.Length; index++)
            {
                Settings[index] = settings[SettingNames[index]].Number;
            }
        }
    }

    /// <summary>A reward, as data.</summary>
    public sealed class Recipe
    {
        public readonly string Name;
        public readonly IReadOnlyList<TermData> Terms;

        /// <summary>What no reward may buy: measured beside it.</summary>
        public readonly IReadOnlyList<TermData> Constraints;

        internal Recipe(JsonValue json)
        {
            Name = json["name"].Text;
            Terms = Words.List(json["terms"], entry => new TermData(entry));
            Constraints = Words.List(json["constraints"], entry => new TermData(entry));
        }
    }
}
