using System;

namespace Companion.Runtime
{
    /// <summary>What a body may touch.</summary>
    [Flags]
    public enum ContactKinds
    {
        None = 0,

        /// <summary>Anything without a <see cref="ContactLabel"/>: floor, furniture, tables, people who walk about.</summary>
        Thing = 1,

        /// <summary>Somebody who sits at the table, the hand left out.</summary>
        Person = 2,

        /// <summary>The hand that is held out, or plays.</summary>
        Hand = 4,

        Ball = 8,

        /// <summary>A link of an arm, or what it holds.</summary>
        Arm = 16,
    }
}
