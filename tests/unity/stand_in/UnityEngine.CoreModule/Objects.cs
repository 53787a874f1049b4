// Objects, components and the tree of transforms. A destroyed object compares equal to null, as in Unity.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;

namespace UnityEngine
{
    [Flags]
    public enum HideFlags
    {
        None = 0,
        HideInHierarchy = 1,
        DontSave = 52,
        HideAndDontSave = 61,
    }

    public enum PrimitiveType
    {
        Sphere,
        Capsule,
        Cylinder,
        Cube,
        Plane,
        Quad,
    }

    public class Object
    {
        static int instances;
        readonly int id = ++instances;

        public virtual string name { get; set; }
        public HideFlags hideFlags { get; set; }
        internal bool IsDestroyed { get; set; }

        public int GetInstanceID() => id;
        public override int GetHashCode() => id;
        public override bool Equals(object other) => other is Object that ? this == that : other is null && IsDestroyed;
        public static bool operator ==(Object a, Object b) => IsGone(a) ? IsGone(b) : ReferenceEquals(a, b);
        public static bool operator !=(Object a, Object b) => !(a == b);
        public static implicit operator bool(Object one) => !IsGone(one);

        public static void Destroy(Object one)
        {
            if (!IsGone(one)) Engine.Destroy(one);
        }

        public static void DestroyImmediate(Object one) => Destroy(one);

        public static void DontDestroyOnLoad(Object one)
        {
        }

        static bool IsGone(Object one) => one is null || one.IsDestroyed;
    }

    public class ScriptableObject : Object
    {
        public static T CreateInstance<T>()
            where T : ScriptableObject => (T)Activator.CreateInstance(typeof(T), true);
    }

    /// Nothing is imported here, so nothing can be loaded.
    public static class Resources
    {
        public static T[] FindObjectsOfTypeAll<T>() => Array.Empty<T>();

        public static T Load<T>(string path)
            where T : Object => null;
    }

    public class Component : Object
    {
        public GameObject gameObject { get; internal set; }
        public string tag => gameObject.tag;
        public Transform transform => gameObject.transform;

        public override string name
        {
            get => gameObject.name;
            set => gameObject.name = value;
        }

        public bool CompareTag(string tag) => gameObject.tag == tag;
        public T GetComponent<T>() => gameObject.GetComponent<T>();
        public T GetComponentInParent<T>() => gameObject.GetComponentInParent<T>();
        public T[] GetComponents<T>() => gameObject.GetComponents<T>();
        public void GetComponents<T>(List<T> results) => gameObject.GetComponents(results);
        public T[] GetComponentsInChildren<T>() => gameObject.GetComponentsInChildren<T>();
        public T[] GetComponentsInChildren<T>(bool includeInactive) => gameObject.GetComponentsInChildren<T>();
        public bool TryGetComponent<T>(out T component) => gameObject.TryGetComponent(out component);

        /// The stand-in's own: the component has its object now.
        internal virtual void OnAdded()
        {
        }

        /// The stand-in's own: the component is about to go.
        internal virtual void OnRemoved()
        {
        }
    }

    public class Behaviour : Component
    {
        bool isEnabled = true;

        public bool enabled
        {
            get => isEnabled;
            set
            {
                isEnabled = value;
                Engine.UpdateActivity(gameObject);
            }
        }

        public bool isActiveAndEnabled => isEnabled && gameObject.activeInHierarchy;
    }

    public class MonoBehaviour : Behaviour
    {
        internal bool IsAwake, IsLive, IsStarted;
    }

    public class Transform : Component
    {
        readonly List<Transform> children = new();
        Vector3 localPlace, worldPlace, scale = Vector3.one;
        Quaternion localTurn = Quaternion.identity, worldTurn = Quaternion.identity;
        bool isStale;

        /// The stand-in's own: told whenever this transform or one above it has moved.
        internal event Action Moved;

        public Transform parent { get; private set; }
        public int childCount => children.Count;
        internal IReadOnlyList<Transform> Children => children;

        public Vector3 localPosition
        {
            get => localPlace;
            set
            {
                localPlace = value;
                Invalidate();
            }
        }

        public Quaternion localRotation
        {
            get => localTurn;
            set
            {
                localTurn = value.normalized;
                Invalidate();
            }
        }

        public Vector3 localScale
        {
            get => scale;
            set
            {
                scale = value;
                Invalidate();
            }
        }

        /// Without shear, which nothing here needs.
        public Vector3 lossyScale => parent is null ? scale : Vector3.Scale(parent.lossyScale, scale);

        public Vector3 position
        {
            get
            {
                Refresh();
                return worldPlace;
            }
            set => localPosition = parent is null ? value : parent.InverseTransformPoint(value);
        }

        public Quaternion rotation
        {
            get
            {
                Refresh();
                return worldTurn;
            }
            set => localRotation = parent is null ? value : Quaternion.Inverse(parent.rotation) * value;
        }

        public Vector3 eulerAngles => rotation.eulerAngles;
        public Vector3 forward => rotation * Vector3.forward;
        public Vector3 right => rotation * Vector3.right;
        public Vector3 up => rotation * Vector3.up;

        public Transform GetChild(int index) => children[index];
        public Vector3 TransformPoint(Vector3 point) => position + rotation * Vector3.Scale(point, lossyScale);
        public Vector3 TransformDirection(Vector3 direction) => rotation * direction;
        public Vector3 InverseTransformDirection(Vector3 direction) => Quaternion.Inverse(rotation) * direction;

        public Vector3 InverseTransformPoint(Vector3 point)
        {
            Vector3 turned = Quaternion.Inverse(rotation) * (point - position), size = lossyScale;
            return new Vector3(turned.x / size.x, turned.y / size.y, turned.z / size.z);
        }

        public void LookAt(Vector3 target) => rotation = Quaternion.LookRotation(target - position);

        public void SetParent(Transform newParent) => SetParent(newParent, true);

        public void SetParent(Transform newParent, bool worldPositionStays)
        {
            Vector3 place = position;
            Quaternion turn = rotation;
            parent?.children.Remove(this);
            parent = newParent;
            newParent?.children.Add(this);
            if (worldPositionStays)
            {
                position = place;
                rotation = turn;
            }
            Invalidate();
            Engine.UpdateActivity(gameObject);
        }

        public void SetLocalPositionAndRotation(Vector3 place, Quaternion turn)
        {
            localPlace = place;
            localRotation = turn;
        }

        public void SetPositionAndRotation(Vector3 place, Quaternion turn)
        {
            position = place;
            rotation = turn;
        }

        void Refresh()
        {
            if (!isStale) return;
            isStale = false;
            worldPlace = parent is null ? localPlace : parent.TransformPoint(localPlace);
            worldTurn = parent is null ? localTurn : parent.rotation * localTurn;
        }

        void Invalidate()
        {
            isStale = true;
            Moved?.Invoke();
            foreach (Transform child in children) child.Invalidate();
        }
    }

    public sealed class GameObject : Object
    {
        readonly List<Component> components = new();

        public GameObject()
            : this("GameObject")
        {
        }

        public GameObject(string name)
        {
            this.name = name;
            transform = new Transform { gameObject = this };
            components.Add(transform);
            Engine.Objects.Add(this);
        }

        public bool activeInHierarchy =>
            activeSelf && (transform.parent is null || transform.parent.gameObject.activeInHierarchy);
        public bool activeSelf { get; private set; } = true;
        public int layer { get; set; }
        public string tag { get; set; } = "Untagged";
        public Transform transform { get; }
        internal IReadOnlyList<Component> Components => components;

        /// The shape that is drawn, and the collider that Unity puts on it.
        public static GameObject CreatePrimitive(PrimitiveType shape)
        {
            var made = new GameObject(shape.ToString());
            made.AddComponent<MeshRenderer>();
            Engine.PrimitiveMade?.Invoke(made, shape);
            return made;
        }

        public T AddComponent<T>()
            where T : Component => (T)AddComponent(typeof(T));

        public Component AddComponent(Type type)
        {
            var required = type.GetCustomAttributes<RequireComponent>(true)
                .SelectMany(one => new[] { one.m_Type0, one.m_Type1, one.m_Type2 }).Where(one => one != null);
            foreach (Type needed in required)
            {
                if (!components.Any(needed.IsInstanceOfType)) AddComponent(needed);
            }
            var added = (Component)Activator.CreateInstance(type, true);
            added.gameObject = this;
            components.Add(added);
            added.OnAdded();
            (added as ISerializationCallbackReceiver)?.OnBeforeSerialize();
            Engine.UpdateActivity(this);
            return added;
        }

        public bool CompareTag(string other) => tag == other;

        public T GetComponent<T>()
        {
            foreach (Component component in components)
            {
                if (component is T found) return found;
            }
            return default;
        }

        public T GetComponentInParent<T>()
        {
            for (Transform place = transform; place is not null; place = place.parent)
            {
                if (place.gameObject.TryGetComponent(out T found)) return found;
            }
            return default;
        }

        public T[] GetComponents<T>() => components.OfType<T>().ToArray();

        public void GetComponents<T>(List<T> results)
        {
            results.Clear();
            results.AddRange(components.OfType<T>());
        }

        public T[] GetComponentsInChildren<T>() =>
            GetComponents<T>().Concat(transform.Children.SelectMany(Below<T>)).ToArray();

        public void SetActive(bool isActive)
        {
            activeSelf = isActive;
            Engine.UpdateActivity(this);
        }

        public bool TryGetComponent<T>(out T component)
        {
            component = GetComponent<T>();
            return component is not null;
        }

        internal void Remove(Component component) => components.Remove(component);

        static IEnumerable<T> Below<T>(Transform child) => child.gameObject.GetComponentsInChildren<T>();
    }
}
