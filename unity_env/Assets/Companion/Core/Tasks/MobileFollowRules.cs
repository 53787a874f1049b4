namespace Companion.Core
{
    /// <summary>Success is told when the time is up; any contact ends the episode.</summary>
    public sealed class MobileFollowRules : ContactRules
    {
        public MobileFollowRules(TaskData task) : base(task, "mobile_follow")
        {
        }

        public override bool Succeeded(double[] signals) => HasSuccess(signals);
    }
}
