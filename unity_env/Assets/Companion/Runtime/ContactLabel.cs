using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>Tells whoever touches a body what it is.</summary>
    [DisallowMultipleComponent]
    public sealed class ContactLabel : MonoBehaviour
    {
        [SerializeField]
        [Tooltip("What this body is to those who touch it.")]
        private ContactKinds _kind = ContactKinds.Thing;

        public ContactKinds Kind => _kind;

        /// <summary>Labels a body.</summary>
        public static void Put(GameObject body, ContactKinds kind) => body.AddComponent<ContactLabel>()._kind = kind;
    }
}
