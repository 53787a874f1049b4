using System;
using System.Collections.Generic;
using Companion.Core;
using Unity.MLAgents;

namespace Companion.Runtime
{
    /// <summary>Which recipe is played: one of the task's by its name, or a trainer's own.</summary>
    /// <remarks>
    /// `companion train` hands a player its recipe as a YAML file, and all of its weights and settings as environment
    /// parameters. The parameters are enough here: the recipe of the task that has the same terms is played with them.
    /// </remarks>
    public static class RecipeChoice
    {
        private const string WeightPrefix = "reward/";
        private const string WeightSuffix = "/weight";

        /// <summary>Whether a recipe is given as a file.</summary>
        public static bool IsFile(string recipe) =>
            recipe.EndsWith(".yaml", StringComparison.Ordinal) || recipe.EndsWith(".yml", StringComparison.Ordinal);

        /// <summary>The recipe of that name or, for a file, the one with the most like terms.</summary>
        /// <exception cref="ArgumentException">If the task has none of that name; lists the choices.</exception>
        public static Recipe Of(TaskData task, string recipe, EnvironmentParameters told)
        {
            if (!IsFile(recipe))
            {
                return task.Recipe(recipe);
            }
            HashSet<string> terms = TermsOf(told);
            Recipe nearest = null;
            int leastDifference = int.MaxValue;
            foreach (Recipe one in task.Recipes)
            {
                var different = new HashSet<string>(terms);
                different.SymmetricExceptWith(NamesOf(one));
                if (different.Count < leastDifference)
                {
                    leastDifference = different.Count;
                    nearest = one;
                }
            }
            return nearest;
        }

        /// <summary>Takes away the weight of terms of which a trainer's own recipe says nothing.</summary>
        public static void SilenceOthers(RewardEngine engine, EnvironmentParameters told)
        {
            HashSet<string> terms = TermsOf(told);
            foreach (string term in engine.Names)
            {
                if (!terms.Contains(term))
                {
                    engine.SetParameter(WeightPrefix + term + WeightSuffix, 0.0);
                }
            }
        }

        private static HashSet<string> TermsOf(EnvironmentParameters told)
        {
            var terms = new HashSet<string>();
            foreach (string name in told.Keys())
            {
                bool isWeight = name.StartsWith(WeightPrefix, StringComparison.Ordinal)
                    && name.EndsWith(WeightSuffix, StringComparison.Ordinal);
                if (isWeight)
                {
                    int length = name.Length - WeightPrefix.Length - WeightSuffix.Length;
                    terms.Add(name.Substring(WeightPrefix.Length, length));
                }
            }
            return terms;
        }

        private static IEnumerable<string> NamesOf(Recipe recipe)
        {
            foreach (TermData term in recipe.Terms)
            {
                yield return term.Name;
            }
        }
    }
}
