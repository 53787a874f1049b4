namespace Companion.Core
{
    /// <summary>Having held the target is success; a contact on the way is none.</summary>
    public sealed class ArmReachRules : ContactRules
    {
        public ArmReachRules(TaskData task) : base(task, "arm_reach")
        {
        }

        public override bool Succeeded(double[] signals) => HasSuccess(signals) && !HasContact(signals);
    }
}
