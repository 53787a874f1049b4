// Attributes that the stand-in's scripts carry; only three of them mean something here (see Engine.cs).
using System;

namespace UnityEngine
{
    public sealed class AddComponentMenu : Attribute
    {
        public AddComponentMenu(string menu)
        {
        }

        public AddComponentMenu(string menu, int order)
        {
        }
    }

    public sealed class DefaultExecutionOrder : Attribute
    {
        public DefaultExecutionOrder(int order) => this.order = order;

        public int order { get; }
    }

    public sealed class DisallowMultipleComponent : Attribute
    {
    }

    public sealed class HeaderAttribute : Attribute
    {
        public HeaderAttribute(string text)
        {
        }
    }

    public sealed class HelpURLAttribute : Attribute
    {
        public HelpURLAttribute(string address)
        {
        }
    }

    public sealed class HideInInspector : Attribute
    {
    }

    public sealed class MinAttribute : Attribute
    {
        public MinAttribute(float least)
        {
        }
    }

    public sealed class RangeAttribute : Attribute
    {
        public RangeAttribute(float least, float most)
        {
        }
    }

    [AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
    public sealed class RequireComponent : Attribute
    {
        public Type m_Type0, m_Type1, m_Type2;

        public RequireComponent(Type one)
            : this(one, null, null)
        {
        }

        public RequireComponent(Type one, Type another)
            : this(one, another, null)
        {
        }

        public RequireComponent(Type one, Type another, Type third)
        {
            m_Type0 = one;
            m_Type1 = another;
            m_Type2 = third;
        }
    }

    public sealed class SerializeField : Attribute
    {
    }

    public sealed class TooltipAttribute : Attribute
    {
        public TooltipAttribute(string text)
        {
        }
    }

    public enum RuntimeInitializeLoadType
    {
        AfterSceneLoad,
        BeforeSceneLoad,
        AfterAssembliesLoaded,
        BeforeSplashScreen,
        SubsystemRegistration,
    }

    [AttributeUsage(AttributeTargets.Method)]
    public class RuntimeInitializeOnLoadMethodAttribute : Attribute
    {
        public RuntimeInitializeOnLoadMethodAttribute()
        {
        }

        public RuntimeInitializeOnLoadMethodAttribute(RuntimeInitializeLoadType moment) => loadType = moment;

        public RuntimeInitializeLoadType loadType { get; }
    }

    public interface ISerializationCallbackReceiver
    {
        void OnBeforeSerialize();
        void OnAfterDeserialize();
    }
}

namespace UnityEngine.Serialization
{
    public sealed class FormerlySerializedAsAttribute : Attribute
    {
        public FormerlySerializedAsAttribute(string name)
        {
        }
    }
}

namespace UnityEngine.Scripting.APIUpdating
{
    public sealed class MovedFromAttribute : Attribute
    {
        public MovedFromAttribute(string name)
        {
        }

        public MovedFromAttribute(bool updates, string space = null, string assembly = null, string name = null)
        {
        }
    }
}
