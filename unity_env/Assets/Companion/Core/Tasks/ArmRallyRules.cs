namespace Companion.Core
{
    /// <summary>Enough returns are success; a contact of arm or paddle but with the ball ends the episode.</summary>
    public sealed class ArmRallyRules : ContactRules
    {
        public ArmRallyRules(TaskData task) : base(task, "arm_rally")
        {
        }

        public override bool Succeeded(double[] signals) => HasSuccess(signals) && !HasContact(signals);
    }
}
