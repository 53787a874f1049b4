namespace Companion.Core
{
    /// <summary>The last of several returns in a row is success; any contact but the ball's ends the episode.</summary>
    public sealed class MobileBallRules : ContactRules
    {
        public MobileBallRules(TaskData task) : base(task, "mobile_ball")
        {
        }

        public override bool Succeeded(double[] signals) => HasSuccess(signals);
    }
}
