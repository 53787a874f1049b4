// The stand-in's own part: who wakes, starts and steps when. Unity's order of events, for what the tests need.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Runtime.ExceptionServices;

namespace UnityEngine
{
    public static class Engine
    {
        static readonly Dictionary<(Type, string), Action<MonoBehaviour>> messages = new();
        static readonly List<MonoBehaviour> stepped = new();
        static bool isListStale = true;

        /// All game objects there are.
        public static readonly List<GameObject> Objects = new();

        /// Puts a collider on a fresh primitive; set by the physics module.
        public static Action<GameObject, PrimitiveType> PrimitiveMade;

        /// Advances bodies by one fixed step; set by the physics module.
        public static Action PhysicsStep;

        /// Runs the methods that scripts marked with RuntimeInitializeOnLoadMethod, in Unity's order.
        public static void RunInitializers(params Assembly[] assemblies)
        {
            const BindingFlags flags =
                BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
            RuntimeInitializeLoadType[] moments =
            {
                RuntimeInitializeLoadType.SubsystemRegistration, RuntimeInitializeLoadType.AfterAssembliesLoaded,
                RuntimeInitializeLoadType.BeforeSplashScreen, RuntimeInitializeLoadType.BeforeSceneLoad,
                RuntimeInitializeLoadType.AfterSceneLoad,
            };
            var marked = assemblies.SelectMany(LoadableTypes).SelectMany(type => type.GetMethods(flags))
                .Select(method => (method, mark: method.GetCustomAttribute<RuntimeInitializeOnLoadMethodAttribute>()))
                .Where(found => found.mark != null).ToArray();
            foreach (RuntimeInitializeLoadType moment in moments)
            {
                foreach ((MethodInfo method, _) in marked.Where(found => found.mark.loadType == moment))
                {
                    Invoke(() => method.Invoke(null, null));
                }
            }
        }

        /// One fixed update: new scripts start, all are stepped in their execution order, then the physics advances.
        public static void FixedStep()
        {
            if (isListStale) ListLiveScripts();
            foreach (MonoBehaviour script in stepped)
            {
                if (script.IsStarted || !script.IsLive) continue;
                script.IsStarted = true;
                Send(script, "Start");
            }
            foreach (MonoBehaviour script in stepped)
            {
                if (!script.IsDestroyed && script.IsLive) Send(script, "FixedUpdate");
            }
            PhysicsStep?.Invoke();
            Time.time += Time.fixedDeltaTime;
            Time.frameCount++;
        }

        /// Calls a script's method of that name, public or not, if it has one.
        public static void Send(MonoBehaviour script, string message)
        {
            (Type, string) key = (script.GetType(), message);
            if (!messages.TryGetValue(key, out Action<MonoBehaviour> call))
            {
                MethodInfo method = MethodOf(key.Item1, message, Type.EmptyTypes);
                call = method == null ? null : one => Invoke(() => method.Invoke(one, null));
                messages[key] = call;
            }
            call?.Invoke(script);
        }

        /// The same with an argument, to a script that hears it.
        public static void Send<T>(MonoBehaviour script, string message, T argument) =>
            Told<T>.Methods[(script.GetType(), message)](script, argument);

        /// Whether a script has a method of that name that takes such an argument.
        public static bool Hears<T>(MonoBehaviour script, string message)
        {
            (Type, string) key = (script.GetType(), message);
            if (!Told<T>.Methods.TryGetValue(key, out Action<MonoBehaviour, T> call))
            {
                MethodInfo method = MethodOf(key.Item1, message, new[] { typeof(T) });
                call = method == null ? null : (one, argument) => Invoke(() => method.Invoke(one, new object[] { argument }));
                Told<T>.Methods[key] = call;
            }
            return call != null;
        }

        /// Ends a session as Unity does.
        public static void Quit() => Application.RaiseQuitting();

        internal static void UpdateActivity(GameObject one)
        {
            isListStale = true;
            bool isActive = one.activeInHierarchy;
            foreach (MonoBehaviour script in one.GetComponents<MonoBehaviour>().OrderBy(ExecutionOrder))
            {
                SetLive(script, isActive);
            }
            foreach (Transform child in one.transform.Children.ToArray()) UpdateActivity(child.gameObject);
        }

        internal static void Destroy(Object one)
        {
            isListStale = true;
            if (one is GameObject whole) DestroyWhole(whole);
            else if (one is Component part) DestroyPart(part);
            one.IsDestroyed = true;
        }

        static void DestroyWhole(GameObject whole)
        {
            foreach (Transform child in whole.transform.Children.ToArray()) Destroy(child.gameObject);
            foreach (Component part in whole.Components.ToArray()) DestroyPart(part);
            if (whole.transform.parent is not null) whole.transform.SetParent(null);
            Objects.Remove(whole);
        }

        static void DestroyPart(Component part)
        {
            if (part.IsDestroyed) return;
            if (part is MonoBehaviour script)
            {
                SetLive(script, false);
                Send(script, "OnDestroy");
            }
            part.OnRemoved();
            if (part is not Transform) part.gameObject.Remove(part);
            part.IsDestroyed = true;
        }

        static void SetLive(MonoBehaviour script, bool isActive)
        {
            if (isActive && !script.IsAwake)
            {
                script.IsAwake = true;
                Send(script, "Awake");
            }
            bool isLive = isActive && script.enabled;
            if (isLive == script.IsLive) return;
            script.IsLive = isLive;
            Send(script, isLive ? "OnEnable" : "OnDisable");
        }

        static void ListLiveScripts()
        {
            isListStale = false;
            stepped.Clear();
            stepped.AddRange(
                Objects.SelectMany(one => one.GetComponents<MonoBehaviour>()).Where(script => script.IsLive)
                    .OrderBy(ExecutionOrder));
        }

        static int ExecutionOrder(MonoBehaviour script) =>
            script.GetType().GetCustomAttribute<DefaultExecutionOrder>(true)?.order ?? 0;

        static MethodInfo MethodOf(Type type, string name, Type[] arguments)
        {
            const BindingFlags flags =
                BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
            for (; type != null && type != typeof(MonoBehaviour); type = type.BaseType)
            {
                MethodInfo found = type.GetMethod(name, flags, null, arguments, null);
                if (found != null) return found;
            }
            return null;
        }

        static IEnumerable<Type> LoadableTypes(Assembly assembly)
        {
            try
            {
                return assembly.GetTypes();
            }
            catch (ReflectionTypeLoadException some)
            {
                return some.Types.Where(type => type != null);
            }
        }

        static class Told<T>
        {
            public static readonly Dictionary<(Type, string), Action<MonoBehaviour, T>> Methods = new();
        }

        static void Invoke(Action call)
        {
            try
            {
                call();
            }
            catch (TargetInvocationException wrapped)
            {
                ExceptionDispatchInfo.Capture(wrapped.InnerException).Throw();
            }
        }
    }
}
