// What surrounds a game: clock, random numbers, log, window, application. Nothing is drawn.
using System;
using System.IO;

namespace UnityEngine
{
    public static class Application
    {
        public static event Action quitting;

        /// The stand-in's own: whether somebody asked the player to end.
        public static bool IsQuitRequested { get; private set; }

        public static bool isBatchMode => true;
        public static bool isEditor => false;
        public static bool isPlaying => true;
        public static bool runInBackground { get; set; }
        public static int targetFrameRate { get; set; }
        public static string dataPath => AppContext.BaseDirectory;
        public static string unityVersion => "6000.0.30f1";

        public static string streamingAssetsPath =>
            Environment.GetEnvironmentVariable("STAND_IN_STREAMING_ASSETS") ?? Path.Combine(dataPath, "StreamingAssets");

        public static void Quit() => IsQuitRequested = true;

        public static void Quit(int exitCode)
        {
            Environment.ExitCode = exitCode;
            Quit();
        }

        internal static void RaiseQuitting() => quitting?.Invoke();
    }

    public static class Time
    {
        public static int captureFramerate { get; set; }
        public static float deltaTime => fixedDeltaTime;
        public static float fixedDeltaTime { get; set; } = 0.02f;
        public static float fixedTime => time;
        public static int frameCount { get; internal set; }
        public static float maximumDeltaTime { get; set; } = 1f / 3f;
        public static float time { get; internal set; }
        public static float timeScale { get; set; } = 1f;
    }

    public static class Random
    {
        static System.Random generator = new(0);

        public static float value => (float)generator.NextDouble();
        public static void InitState(int seed) => generator = new System.Random(seed);
        public static float Range(float low, float high) => low + (high - low) * value;
        public static int Range(int low, int high) => generator.Next(low, high);
    }

    public static class Debug
    {
        public static void Assert(bool claim) => Assert(claim, "an assertion failed");

        public static void Assert(bool claim, string message)
        {
            if (!claim) LogError(message);
        }

        public static void AssertFormat(bool claim, string format, params object[] values) =>
            Assert(claim, string.Format(format, values));

        public static void DrawLine(Vector3 from, Vector3 to, Color color)
        {
        }

        public static void Log(object message) => Console.WriteLine($"[log] {message}");
        public static void LogError(object message) => Console.WriteLine($"[error] {message}");
        public static void LogErrorFormat(string format, params object[] values) => LogError(string.Format(format, values));
        public static void LogException(Exception exception) => LogError(exception);
        public static void LogWarning(object message) => Console.WriteLine($"[warning] {message}");
        public static void LogWarningFormat(string format, params object[] values) =>
            LogWarning(string.Format(format, values));
    }

    public static class Screen
    {
        public static void SetResolution(int width, int height, bool fullscreen)
        {
        }
    }

    public static class QualitySettings
    {
        public static int vSyncCount { get; set; }

        public static void SetQualityLevel(int index, bool applyExpensiveChanges)
        {
        }
    }

    public static class SystemInfo
    {
        public static Rendering.GraphicsDeviceType graphicsDeviceType => Rendering.GraphicsDeviceType.Null;
    }

    public static class Gizmos
    {
        public static Color color { get; set; }
    }

    public enum KeyCode
    {
        None = 0,
        Tab = 9,
        Space = 32,
        UpArrow = 273,
        DownArrow = 274,
        RightArrow = 275,
        LeftArrow = 276,
    }

    public struct LayerMask
    {
        int bits;

        public static implicit operator int(LayerMask mask) => mask.bits;
        public static implicit operator LayerMask(int bits) => new() { bits = bits };
    }

    public struct Hash128
    {
        ulong hash;

        public static Hash128 Compute(string text) => new() { hash = (ulong)text.GetHashCode() };

        public void Append<T>(T[] values, int start, int count)
            where T : unmanaged
        {
        }
    }

    public static class HashUtilities
    {
        public static void AppendHash(ref Hash128 one, ref Hash128 other)
        {
        }
    }
}

namespace UnityEngine.SceneManagement
{
    public struct Scene
    {
        public string name => "Companion";
    }

    public static class SceneManager
    {
        public static Scene GetActiveScene() => default;
    }
}

namespace UnityEngine.Profiling
{
    public static class Profiler
    {
        public static void BeginSample(string name)
        {
        }

        public static void EndSample()
        {
        }
    }

    public sealed class CustomSampler
    {
        public static CustomSampler Create(string name, bool collectGpuData = false) => new();

        public void Begin()
        {
        }

        public void End()
        {
        }
    }
}

namespace Unity.Collections
{
    public enum Allocator
    {
        Invalid,
        None,
        Temp,
        TempJob,
        Persistent,
    }

    public enum NativeArrayOptions
    {
        UninitializedMemory,
        ClearMemory,
    }

    public struct NativeArray<T> : IDisposable
        where T : struct
    {
        T[] items;

        public NativeArray(int length, Allocator allocator, NativeArrayOptions options = NativeArrayOptions.ClearMemory) =>
            items = new T[length];

        public bool IsCreated => items != null;
        public int Length => items?.Length ?? 0;

        public T this[int index]
        {
            get => items[index];
            set => items[index] = value;
        }

        public void Dispose() => items = null;
    }
}

namespace Unity.Jobs
{
    public struct JobHandle
    {
        public void Complete()
        {
        }
    }
}
