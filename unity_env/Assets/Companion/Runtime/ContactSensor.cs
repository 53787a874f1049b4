using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>Tells whether a body has touched anything since it was last asked.</summary>
    [DisallowMultipleComponent]
    public sealed class ContactSensor : MonoBehaviour
    {
        /// <summary>Whether there was a touch since <see cref="Clear"/>.</summary>
        public bool HasTouched { get; private set; }

        /// <summary>Forget it.</summary>
        public void Clear() => HasTouched = false;

        private void OnCollisionEnter(Collision collision) => HasTouched = true;

        private void OnCollisionStay(Collision collision) => HasTouched = true;
    }
}
