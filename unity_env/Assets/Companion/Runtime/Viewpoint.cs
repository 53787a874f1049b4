namespace Companion.Runtime
{
    /// <summary>From where a task is best watched.</summary>
    public enum Viewpoint
    {
        /// <summary>From above a room.</summary>
        OverRoom,

        /// <summary>From ahead and aside of an arm.</summary>
        BesideTable,

        /// <summary>From the side, so that the arm and the person who sits across from it are seen.</summary>
        AcrossTable,
    }
}
