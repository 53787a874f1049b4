namespace Companion.Core
{
    /// <summary>The robot's middle comes near the goal; any contact ends the episode.</summary>
    public sealed class MobileGotoRules : ContactRules
    {
        public MobileGotoRules(TaskData task) : base(task, "mobile_goto")
        {
        }

        public override bool Succeeded(double[] signals) => HasSuccess(signals);
    }
}
