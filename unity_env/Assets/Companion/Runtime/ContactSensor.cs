using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>Tells what a body has touched since it was last asked.</summary>
    [DisallowMultipleComponent]
    public sealed class ContactSensor : MonoBehaviour
    {
        /// <summary>All that it has touched since <see cref="Clear"/>.</summary>
        public ContactKinds Touched { get; private set; }

        /// <summary>Forget it.</summary>
        public void Clear() => Touched = ContactKinds.None;

        private void OnCollisionEnter(Collision collision) => Note(collision);

        private void OnCollisionStay(Collision collision) => Note(collision);

        private void Note(Collision collision)
        {
            bool isLabelled = collision.gameObject.TryGetComponent(out ContactLabel label);
            Touched |= isLabelled ? label.Kind : ContactKinds.Thing;
        }
    }
}
