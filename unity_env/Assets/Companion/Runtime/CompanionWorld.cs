using System;
using System.Collections.Generic;
using System.IO;
using Companion.Core;
using Unity.MLAgents;
using UnityEngine;
using Random = UnityEngine.Random;

namespace Companion.Runtime
{
    /// <summary>Builds the whole world by code when the game starts: copies of a task side by side, and who watches.</summary>
    [DisallowMultipleComponent]
    public sealed class CompanionWorld : MonoBehaviour
    {
        private const string DataFolder = "companion";
        private const int BadInput = 2;
        private const float GravityMps2 = 9.81f;

        [SerializeField]
        private PlaySettings _settings = new PlaySettings();

        [SerializeField]
        [Min(0.1f)]
        [Tooltip("From the middle of one mobile robot's room to that of the next, m; rooms are up to 8 m wide.")]
        private float _roomSpacingM = 10f;

        [SerializeField]
        [Min(0.1f)]
        [Tooltip("From one table to the next, m.")]
        private float _tableSpacingM = 3f;

        private readonly List<TaskAgent> _agents = new List<TaskAgent>();
        private readonly HashSet<string> _unknownParameters = new HashSet<string>();

        /// <summary>Whether there is a world already.</summary>
        public static bool IsPresent { get; private set; }

        /// <summary>The agents, one for each copy.</summary>
        public IReadOnlyList<TaskAgent> Agents => _agents;

        private void Awake()
        {
            IsPresent = true;
            try
            {
                _settings.Override(Environment.GetCommandLineArgs());
                BuildWorld(CompanionData.FromFolder(Path.Combine(Application.streamingAssetsPath, DataFolder)));
            }
            catch (Exception error) when (error is ArgumentException || error is IOException || error is FormatException)
            {
                Debug.LogError($"companion: {error.Message}");
                enabled = false;
                Application.Quit(BadInput);
            }
        }

        private void OnDestroy()
        {
            IsPresent = false;
            if (Academy.IsInitialized)
            {
                Academy.Instance.OnEnvironmentReset -= WarnOfUnknownParameters;
            }
        }

        private void BuildWorld(CompanionData data)
        {
            TaskData task = data.Task(_settings.Task);
            CheckSettings(task);
            SetUpPhysics(task);
            // The first look at the Academy dials the trainer, whose seed is then UnityEngine.Random's.
            Academy academy = Academy.Instance;
            academy.OnEnvironmentReset += WarnOfUnknownParameters;
            if (_settings.Seed.HasValue)
            {
                Random.InitState(_settings.Seed.Value);
            }
            var shapes = new PrimitiveShapes();
            int copies = _settings.Copies * Math.Max(1, academy.NumAreas);
            bool isOnFloor = task.Robot != "ur5e";
            float spacing = isOnFloor ? _roomSpacingM : _tableSpacingM;
            int columns = Mathf.CeilToInt(Mathf.Sqrt(copies));
            for (int copy = 0; copy < copies; copy++)
            {
                var place = new Vector3(copy % columns, 0f, copy / columns) * spacing;
                _agents.Add(BuildArea($"{task.Name} {copy}", place, task.Name, data, shapes));
            }
            if (!Application.isBatchMode)
            {
                SpectatorCamera.Build(_agents);
            }
            foreach (TaskAgent agent in _agents)
            {
                agent.gameObject.SetActive(true);
            }
        }

        private TaskAgent BuildArea(
            string areaName, Vector3 place, string task, CompanionData data, PrimitiveShapes shapes)
        {
            var area = new GameObject(areaName);
            // Asleep until all is set up: an agent that wakes asks for its sensors and its behaviour at once.
            area.SetActive(false);
            area.transform.SetParent(transform, false);
            area.transform.localPosition = place;
            TaskAgent agent = AddAgent(area, task);
            agent.Build(data, _settings, shapes, DrawSeed());
            return agent;
        }

        private static TaskAgent AddAgent(GameObject area, string task)
        {
            switch (task)
            {
                case "mobile_goto":
                    return area.AddComponent<MobileGotoAgent>();
                case "mobile_follow":
                    return area.AddComponent<MobileFollowAgent>();
                case "mobile_ball":
                    return area.AddComponent<MobileBallAgent>();
                case "arm_reach":
                    return area.AddComponent<ArmReachAgent>();
                case "arm_handover":
                    return area.AddComponent<ArmHandoverAgent>();
                case "arm_rally":
                    return area.AddComponent<ArmRallyAgent>();
                default:
                    throw new ArgumentException($"task '{task}' has no agent in Unity");
            }
        }

        private static ulong DrawSeed()
        {
            uint high = (uint)Random.Range(int.MinValue, int.MaxValue);
            return ((ulong)high << 32) | (uint)Random.Range(int.MinValue, int.MaxValue);
        }

        private static void SetUpPhysics(TaskData task)
        {
            Physics.gravity = new Vector3(0f, -GravityMps2, 0f);
            Time.fixedDeltaTime = (float)task.PhysicsStepS;
            // PhysX lets nothing bounce that is slower than 2 m/s; what lies still gets to this speed in every step.
            Physics.bounceThreshold = 2f * GravityMps2 * Time.fixedDeltaTime;
            // A ball touches its table in every step; that shall not make garbage each time.
            Physics.reuseCollisionCallbacks = true;
            Application.runInBackground = true;
        }

        /// <summary>Says what can't be before any trainer waits for it.</summary>
        private void CheckSettings(TaskData task)
        {
            if (!RecipeChoice.IsFile(_settings.Recipe))
            {
                task.Recipe(_settings.Recipe);
            }
            if (_settings.IsDiscrete && task.Motions.Count == 0)
            {
                throw new ArgumentException($"task '{task.Name}' has no motions, so its actions can't be discrete");
            }
            var perturbations = new Perturbations(task);
            foreach (KeyValuePair<string, double> set in _settings.Perturbations)
            {
                Perturbation entry = task.Perturbations[perturbations.IndexOf(set.Key)];
                if (!(set.Value >= entry.AllowedLow && set.Value <= entry.AllowedHigh))
                {
                    throw new ArgumentException(
                        $"{set.Key}={set.Value} is outside what may be set, {entry.AllowedLow} to {entry.AllowedHigh}"
                        + $" {entry.Unit}");
                }
            }
        }

        private void WarnOfUnknownParameters()
        {
            foreach (string name in Academy.Instance.EnvironmentParameters.Keys())
            {
                if (_agents.Count > 0 && !_agents[0].Knows(name) && _unknownParameters.Add(name))
                {
                    Academy.Instance.StatsRecorder.Add(TaskAgent.RefusedParameters, 1f, StatAggregationMethod.Sum);
                    Debug.LogWarning($"environment parameter '{name}' is not taken: there is none of that name");
                }
            }
        }
    }
}
