using System;
using Companion.Core;
using Unity.MLAgents;
using Unity.MLAgents.Actuators;
using Unity.MLAgents.Policies;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>
    /// One copy of a task as an ML-Agents agent: it takes a decision every control period, judges what it led to before the
    /// next one, and starts anew by itself. What is built, driven and measured is the derived agent's affair.
    /// </summary>
    /// <remarks>
    /// It asks for its decisions itself and not through a DecisionRequester, because a decision must be judged at the very
    /// step at which the next one is asked for: reward, end and next observation then travel in one message.
    /// </remarks>
    [DefaultExecutionOrder(ExecutionOrder)]
    [RequireComponent(typeof(BehaviorParameters), typeof(SignalSensorComponent))]
    public abstract class TaskAgent : Agent
    {
        /// <summary>The statistic that counts what of the trainer's parameters is not taken.</summary>
        public const string RefusedParameters = "Environment/Refused Parameters";

        /// <summary>After the Academy, whose steps bring the actions, and before the physics.</summary>
        private const int ExecutionOrder = 100;

        private ITaskRules _rules;
        private RewardEngine _engine;
        private EpisodeTally _tally;
        private EpisodeParameters _parameters;
        private ActionHistory _history;
        private StatsRecorder _statistics;
        private SignalSensor _sensor;
        private double[] _signals;
        private float[] _action;
        private int _delayIndex;
        private int _physicsSteps;
        private bool _hasAsked;
        private bool _hasActed;

        /// <summary>How many episodes this copy has ended.</summary>
        public int EndedEpisodes { get; private set; }

        /// <summary>From where it is best watched.</summary>
        public abstract Viewpoint Viewpoint { get; }

        /// <summary>The task.</summary>
        protected TaskData Task { get; private set; }

        /// <summary>This copy's own chance.</summary>
        protected Draws Chance { get; private set; }

        /// <summary>How this episode differs from the nominal world.</summary>
        protected Perturbations World { get; private set; }

        /// <summary>How much of the running decision is over after the coming physics step, above 0 and up to 1.</summary>
        protected double DecisionShare => Math.Min(1.0, (_physicsSteps + 1.0) / Task.Substeps);

        /// <summary>Sets the agent up; call it before the object is activated for the first time.</summary>
        /// <param name="data">What Python says about the world.</param>
        /// <param name="settings">How to play.</param>
        /// <param name="shapes">Meshes and materials.</param>
        /// <param name="seed">Of this copy's chance.</param>
        public void Build(CompanionData data, PlaySettings settings, PrimitiveShapes shapes, ulong seed)
        {
            Chance = new Draws(seed);
            _rules = BuildScene(data, shapes);
            Task = _rules.Task;
            World = new Perturbations(Task);
            _delayIndex = World.IndexOf("action_delay_steps");
            EnvironmentParameters told = Academy.Instance.EnvironmentParameters;
            _engine = new RewardEngine(data, Task, RecipeChoice.Of(Task, settings.Recipe, told), settings.Discount);
            if (RecipeChoice.IsFile(settings.Recipe))
            {
                RecipeChoice.SilenceOthers(_engine, told);
            }
            _tally = new EpisodeTally(data, Task, _engine);
            _history = new ActionHistory(Task);
            _signals = new double[Task.Signals.Size];
            _action = new float[Task.Action.Count];
            SetUpBehavior(settings);
            _parameters = new EpisodeParameters(told, Task, _engine, World, settings.Perturbations);
            _statistics = Academy.Instance.StatsRecorder;
        }

        /// <summary>Whether a trainer may set an environment parameter of that name.</summary>
        public bool Knows(string parameter) => _parameters.Knows(parameter);

        public override void Initialize()
        {
            MaxStep = 0;
            Academy.Instance.AgentPreStep += OnAcademyStep;
        }

        public override void OnEpisodeBegin()
        {
            int refused = _parameters.Apply();
            if (refused > 0)
            {
                _statistics.Add(RefusedParameters, refused, StatAggregationMethod.Sum);
            }
            World.Draw(Chance);
            _history.Clear();
            _tally.Clear();
            _physicsSteps = 0;
            _hasAsked = _hasActed = false;
            StartScene();
            Observe();
            _engine.Start(_signals);
        }

        public override void OnActionReceived(ActionBuffers actions)
        {
            // A reset may come in the place of the action that was asked for.
            if (!_hasAsked)
            {
                return;
            }
            ReadAction(actions);
            _history.Take(_action);
            _physicsSteps = 0;
            _hasAsked = false;
            _hasActed = true;
            DriveScene(_history.Delayed((int)World.Value(_delayIndex)));
        }

        public override void Heuristic(in ActionBuffers actionsOut)
        {
            if (actionsOut.DiscreteActions.Length > 0)
            {
                return;
            }
            ActionSegment<float> action = actionsOut.ContinuousActions;
            for (int entry = 0; entry < action.Length; entry++)
            {
                action[entry] = (float)Task.RestAction[entry];
            }
            Steer(action);
        }

        /// <summary>Builds what there is in the area, once; the rules of the task.</summary>
        protected abstract ITaskRules BuildScene(CompanionData data, PrimitiveShapes shapes);

        /// <summary>Starts an episode: draws it and puts everything where it begins.</summary>
        protected abstract void StartScene();

        /// <summary>Turns an action, [-1, 1] each, into what is asked of the robot until the next decision.</summary>
        protected abstract void DriveScene(double[] action);

        /// <summary>Goes before every physics step.</summary>
        protected abstract void BeforePhysicsStep();

        /// <summary>Fills in the task's own signals.</summary>
        protected abstract void MeasureScene(double[] signals);

        /// <summary>What a person at the keyboard wants; the action is at rest before.</summary>
        protected abstract void Steer(ActionSegment<float> action);

        private void FixedUpdate()
        {
            BeforePhysicsStep();
            _physicsSteps++;
        }

        private void OnDestroy()
        {
            if (Academy.IsInitialized)
            {
                Academy.Instance.AgentPreStep -= OnAcademyStep;
            }
        }

        private void OnAcademyStep(int academyStep)
        {
            if (academyStep % Task.Substeps != 0)
            {
                return;
            }
            if (_hasActed)
            {
                Judge();
            }
            _hasAsked = true;
            RequestDecision();
        }

        /// <summary>Rewards the decision that is over, and ends the episode if it led there.</summary>
        private void Judge()
        {
            Observe();
            bool isEnded = _rules.Ends(_signals);
            float reward = _engine.Step(_signals, isEnded);
            _tally.Add(_signals, reward);
            SetReward(reward);
            if (isEnded)
            {
                TellStatistics(_rules.Succeeded(_signals));
                EndEpisode();
            }
            else if (_tally.Steps >= Task.MaxEpisodeSteps)
            {
                TellStatistics(false);
                EpisodeInterrupted();
            }
        }

        private void Observe()
        {
            MeasureScene(_signals);
            _history.Write(_signals);
            _rules.Observe(_signals, _sensor.Observation);
        }

        private void TellStatistics(bool isSuccess)
        {
            EndedEpisodes++;
            for (int index = 0; index < _tally.StatisticNames.Count; index++)
            {
                _statistics.Add(_tally.StatisticNames[index], _tally.Statistic(index, isSuccess));
            }
        }

        private void ReadAction(ActionBuffers actions)
        {
            if (actions.DiscreteActions.Length > 0)
            {
                double[] motion = Task.Motions[actions.DiscreteActions[0]].Action;
                for (int entry = 0; entry < _action.Length; entry++)
                {
                    _action[entry] = (float)motion[entry];
                }
                return;
            }
            ActionSegment<float> given = actions.ContinuousActions;
            for (int entry = 0; entry < _action.Length; entry++)
            {
                _action[entry] = given[entry];
            }
        }

        private void SetUpBehavior(PlaySettings settings)
        {
            var sensing = GetComponent<SignalSensorComponent>();
            sensing.Build(Task.Observation.Size);
            _sensor = sensing.Sensor;
            var behavior = GetComponent<BehaviorParameters>();
            behavior.BehaviorName = Task.BehaviorName;
            behavior.TeamId = 0;
            behavior.BehaviorType = settings.BehaviorType;
            behavior.Model = settings.ModelOf(Task.BehaviorName);
            behavior.BrainParameters.VectorObservationSize = 0;
            behavior.BrainParameters.ActionSpec = settings.IsDiscrete
                ? ActionSpec.MakeDiscrete(Task.Motions.Count)
                : ActionSpec.MakeContinuous(Task.Action.Count);
        }
    }
}
