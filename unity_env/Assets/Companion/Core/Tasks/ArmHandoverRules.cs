namespace Companion.Core
{
    /// <summary>Having held the object in the hand is success; a contact but the hand's ends the episode.</summary>
    public sealed class ArmHandoverRules : ContactRules
    {
        public ArmHandoverRules(TaskData task) : base(task, "arm_handover")
        {
        }

        public override bool Succeeded(double[] signals) => HasSuccess(signals) && !HasContact(signals);
    }
}
