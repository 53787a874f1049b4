// Nobody is told how often what is trained.
namespace UnityEngine.Analytics
{
    public enum AnalyticsResult
    {
        Ok,
        NotInitialized,
        AnalyticsDisabled,
    }

    public interface IAnalytic
    {
        public interface IData
        {
        }
    }
}
