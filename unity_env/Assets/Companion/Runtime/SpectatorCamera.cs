using System.Collections.Generic;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>Shows one copy from above and aside, with light; Tab goes on to the next copy.</summary>
    [RequireComponent(typeof(Camera))]
    [DisallowMultipleComponent]
    public sealed class SpectatorCamera : MonoBehaviour
    {
        private const float InFrontOfOthers = 10f;

        [SerializeField]
        [Tooltip("From the middle of a room to the camera, in Unity's axes, m.")]
        private Vector3 _overRoomM = new Vector3(3.2f, 4.6f, -3.2f);

        [SerializeField]
        [Tooltip("From an arm's base to the camera, in Unity's axes, m.")]
        private Vector3 _besideTableM = new Vector3(1.1f, 0.9f, 1.6f);

        [SerializeField]
        [Tooltip("From an arm's base to what the camera looks at, in Unity's axes, m.")]
        private Vector3 _workspaceM = new Vector3(0f, 0.2f, 0.35f);

        [SerializeField]
        [Tooltip("The same where a person sits across from the arm, in Unity's axes, m.")]
        private Vector3 _acrossTableM = new Vector3(2.1f, 1.1f, 0.2f);

        [SerializeField]
        [Tooltip("And what is looked at then, in Unity's axes, m.")]
        private Vector3 _middleOfTableM = new Vector3(0f, 0.1f, 0.7f);

        private IReadOnlyList<TaskAgent> _agents;
        private int _shown;
        private bool _wasNextHeld;

        /// <summary>Makes the camera and a light; it shows the first copy.</summary>
        public static SpectatorCamera Build(IReadOnlyList<TaskAgent> agents)
        {
            var sun = new GameObject("Sun").AddComponent<Light>();
            sun.type = LightType.Directional;
            sun.intensity = 1.1f;
            sun.shadows = LightShadows.Soft;
            sun.transform.rotation = Quaternion.Euler(55f, -30f, 0f);
            var camera = new GameObject("Spectator").AddComponent<Camera>();
            camera.nearClipPlane = 0.05f;
            camera.depth = InFrontOfOthers;
            var spectator = camera.gameObject.AddComponent<SpectatorCamera>();
            spectator._agents = agents;
            spectator.Show(0);
            return spectator;
        }

        /// <summary>Goes to a copy.</summary>
        public void Show(int copy)
        {
            _shown = copy;
            Vector3 area = _agents[copy].transform.position;
            View(_agents[copy].Viewpoint, out Vector3 offset, out Vector3 lookedAt);
            transform.position = area + offset;
            transform.LookAt(area + lookedAt);
        }

        private void View(Viewpoint viewpoint, out Vector3 offset, out Vector3 lookedAt)
        {
            switch (viewpoint)
            {
                case Viewpoint.BesideTable:
                    (offset, lookedAt) = (_besideTableM, _workspaceM);
                    break;
                case Viewpoint.AcrossTable:
                    (offset, lookedAt) = (_acrossTableM, _middleOfTableM);
                    break;
                default:
                    (offset, lookedAt) = (_overRoomM, Vector3.zero);
                    break;
            }
        }

        private void Update()
        {
            bool isNextHeld = ManualControl.IsNextHeld;
            if (isNextHeld && !_wasNextHeld)
            {
                Show((_shown + 1) % _agents.Count);
            }
            _wasNextHeld = isNextHeld;
        }
    }
}
