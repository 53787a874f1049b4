using System;
using Companion.Core;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>
    /// The rays of a laser scanner that looks around level. When it scans, and what noise does to it, is the task's affair.
    /// </summary>
    public sealed class LidarScanner : MonoBehaviour
    {
        [SerializeField]
        [Tooltip("What the rays can meet; robots are on Ignore Raycast.")]
        private LayerMask _layers = Physics.DefaultRaycastLayers;

        [SerializeField]
        [Tooltip("How far the rays look, m: beyond the scanner's reach, as noise may bring something nearer.")]
        private float _reachM = 4.5f;

        private double[] _cosine;
        private double[] _sine;
        private float _heightM;

        /// <summary>Sets up so many rays, evenly spread, at this height above the floor in m.</summary>
        public void Build(int rays, double heightM)
        {
            _heightM = (float)heightM;
            _cosine = new double[rays];
            _sine = new double[rays];
            for (int ray = 0; ray < rays; ray++)
            {
                _cosine[ray] = Math.Cos(ray * 2.0 * Math.PI / rays);
                _sine[ray] = Math.Sin(ray * 2.0 * Math.PI / rays);
            }
        }

        /// <summary>Fills in the true range of every ray, m, counter-clockwise; infinity where nothing is met.</summary>
        /// <param name="pose">Where the first ray starts and points, in the area.</param>
        /// <param name="area">The area.</param>
        /// <param name="rangesM">One for each ray.</param>
        public void Scan(Pose2 pose, Transform area, double[] rangesM)
        {
            Vector3 origin = area.TransformPoint(Frames.ToUnity(pose.X, pose.Y, _heightM));
            double cosine = Math.Cos(pose.Yaw), sine = Math.Sin(pose.Yaw);
            for (int ray = 0; ray < rangesM.Length; ray++)
            {
                double x = cosine * _cosine[ray] - sine * _sine[ray], y = sine * _cosine[ray] + cosine * _sine[ray];
                Vector3 direction = area.TransformDirection(Frames.ToUnity(x, y, 0.0));
                bool isMet = Physics.Raycast(origin, direction, out RaycastHit hit, _reachM, _layers);
                rangesM[ray] = isMet ? hit.distance : double.PositiveInfinity;
            }
        }
    }
}
