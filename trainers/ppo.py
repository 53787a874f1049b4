"""Proximal policy optimisation (Schulman et al. 2017): clipped surrogate, or KL penalty with adaptive β.

Policies with and without a memory go the same way: one without learns from sequences of a single decision.
"""

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainers.common import checkpoint, training
from trainers.common.actions import ActionKind, ActionSpace
from trainers.common.batch import Batch, sequences
from trainers.common.config import Between, Count, Fraction, NotNegative, Positive, check
from trainers.common.config import config_from as _config_from
from trainers.common.device import Device, torch_device
from trainers.common.distributions import Distribution, world_action
from trainers.common.episodes import EpisodeStatistics
from trainers.common.memory import Memory
from trainers.common.networks import Activation, Body, Critic, mlp
from trainers.common.normaliser import Normaliser
from trainers.common.policies import Policy, RecurrentPolicy
from trainers.common.recurrent import LstmBody
from trainers.common.returns import generalised_advantages, next_values
from trainers.common.rollout import Rollout
from trainers.common.run import Run
from trainers.common.schedules import Schedule, linearly
from trainers.common.vec_env import Advise, Step, VecEnv

ACTIONS: frozenset[ActionKind] = frozenset({"continuous", "discrete", "hybrid"})
"""What it can learn."""

WholeNumber = Annotated[int, Between(0)]


@dataclass(frozen=True)
class Config:
    """Settings of PPO. The defaults suit robot tasks with 256 to 512 copies on 2 cores."""

    steps: Count = 3_000_000
    """Transitions to learn from, in all copies together."""
    copies: Count = 256
    """Copies of the task that are stepped together."""
    rollout_steps: Count = 32
    """Decisions per copy between two updates."""
    buffer_size: WholeNumber = 0
    """Transitions of all copies together between two updates; where set, `rollout_steps` follows from it."""
    time_horizon: WholeNumber = 0
    """Decisions after which an advantage takes V of the state there for all that follows; 0 uses the whole rollout."""
    epochs: Count = 5
    """Passes over a rollout per update."""
    minibatches: Count = 4
    """Parts that a rollout is split into, one gradient step each."""
    batch_size: WholeNumber = 0
    """Transitions of a gradient step; where set, `minibatches` follows from it."""
    learning_rate: Positive = 1e-3
    """Of Adam; where the schedule starts."""
    schedule: Literal["constant", "linear", "adaptive"] = "adaptive"
    """Learning rate over time: kept, brought to 0 at the last step, or steered to updates of KL near `target_kl`."""
    discount: Fraction = 0.99
    """γ per decision."""
    gae_lambda: Fraction = 0.95
    """λ of the advantages: 0 is the TD error, 1 the Monte-Carlo return less the value."""
    normalise_advantages: bool = True
    """Bring them to zero mean and unit variance over a rollout."""
    objective: Literal["clip", "kl"] = "clip"
    """Clipped surrogate, or KL penalty with adaptive β."""
    clip: Positive = 0.2
    """ε: how far the importance ratio counts, as a distance from 1."""
    clip_schedule: Schedule = "constant"
    """ε over time: kept, or brought to `final_clip` at the last step."""
    final_clip: NotNegative = 0.1
    """Where a linear ε ends."""
    initial_beta: Positive = 1.0
    """β of the KL penalty at the start; it doubles or halves to keep the KL of an update near `target_kl`."""
    target_kl: Positive = 0.015
    """KL from the policy that acted to the new one, in nats, aimed at by the adaptive rate and by β."""
    stop_kl: NotNegative = 0.1
    """An update ends early once a gradient step finds this KL, in nats; 0 never stops."""
    value_coefficient: NotNegative = 1.0
    """c_v: weight of the value loss, which is in units of the returns' variance."""
    value_clip: NotNegative = 0.0
    """How far a value may move from what it was before the update, in standard deviations of the returns; 0 is free."""
    entropy_coefficient: NotNegative = 0.002
    """c_reg: reward for the policy's entropy, in nats."""
    entropy_schedule: Schedule = "constant"
    """c_reg over time: kept, or brought to 0 at the last step."""
    max_grad_norm: NotNegative = 1.0
    """The gradient of the whole loss is scaled down to this length; 0 leaves it."""
    hidden_sizes: tuple[Count, ...] = (128, 128)
    """Units of each hidden layer, in actor and critic alike."""
    activation: Activation = "elu"
    """Between the layers."""
    initial_std: Annotated[float, Between(0.02, 1.5)] = 0.6
    """Exploration noise of continuous actions at the start, in action units."""
    teacher_coefficient: NotNegative = 0.0
    """Weight of the squared distance to what the world's teacher would do, at the start; 0 asks no teacher."""
    teacher_steps: WholeNumber = 0
    """Transitions in which that weight falls to 0; 0: all of them."""
    teacher_interval: Count = 1
    """Decisions from one that the teacher is asked about to the next, in every copy; more is faster."""
    recurrent: bool = False
    """Give actor and critic a memory each: an LSTM behind the hidden layers, emptied where an episode begins."""
    memory_size: Count = 64
    """Of the hidden state of each LSTM; its cell has as many."""
    sequence_length: Count = 16
    """Decisions through which a recurrent policy learns from the past by backpropagation through time."""
    normalise_observations: bool = True
    """Bring them to zero mean and unit variance over all seen so far; False leaves them as they are, unclipped."""
    observation_clip: Positive = 5.0
    """Normalised observations are clipped to ± this, in standard deviations."""
    seed: Annotated[int, Between(0)] = 0
    """Of networks, noise, minibatches and world."""
    checkpoint_interval_s: NotNegative = 30.0
    """Seconds between checkpoints; 0 saves after every update."""
    evaluation_interval: Annotated[int, Between(0)] = 0
    """Transitions between calls of the run's `evaluate`; 0 never calls it."""
    threads: Count = 2
    """CPU threads of an update, half for the actor and half for the critic; 1 and 2 give the same numbers."""
    device: Device = "cpu"
    """Where the networks live; `auto` is the GPU where there is one."""

    def __post_init__(self) -> None:
        check(self)


def config_from(settings: Mapping[str, Any]) -> Config:
    """A Config from names and values; ValueError names what is unknown or out of range."""
    return _config_from(Config, settings)


def train(make_world: Callable[[int, int], VecEnv], config: Config, run: Run) -> nn.Module:
    """The deterministic actor that PPO makes of a world: raw observations `[batch, n]` to actions `[batch, m]`.

    It is a `Policy`, or a `RecurrentPolicy` that takes and gives its memory. Goes on from the run's checkpoint if there
    is one, and then gives the very numbers of a run never interrupted, provided the world can tell its state.

    Raises:
        FloatingPointError: if the world or the learning gives something that is no finite number.
        trainers.common.checkpoint.CheckpointError: if the checkpoint belongs to other settings or another world.
    """
    torch.set_num_threads(max(1, config.threads // 2))
    with closing(make_world(config.copies, config.seed)) as world, closing(Learner(world, config)) as learner:
        rollout = learner.room(world)
        observation = training.begin(world, learner, run, config.seed)
        if world.get_state() is None:
            learner.forget()  # its episodes begin anew, resumed or not
        run.progress.begin(learner.steps)
        while learner.steps < config.steps and not run.stop_requested:
            observation = collect(world, learner, rollout, observation)
            batch = advantages(rollout, learner)
            report = improve(learner, batch)
            new_steps = learner.look_back(rollout)
            _log(run, learner, report)
            if training.passed(config.evaluation_interval, learner.steps, new_steps):
                training.evaluate(run, learner.actor, learner.steps)
            if run.checkpoint_due(config.checkpoint_interval_s):
                run.save(training.state_of(world, learner))
        run.save(training.state_of(world, learner))
        return training.finished(learner.actor)


# The losses, as in the papers


def clipped_surrogate(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """L_π of PPO2: -mean(min(r A, clip(r, 1 - ε, 1 + ε) A)) (Schulman et al. 2017, eq. 7)."""
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()


def kl_penalty(ratio: Tensor, advantage: Tensor, kl: Tensor, beta: float) -> Tensor:
    """L_π with a price on leaving the old policy: -mean(r A - β KL) (Schulman et al. 2017, eq. 8)."""
    return -(ratio * advantage - beta * kl).mean()


def adapted_beta(beta: float, kl: float, target_kl: float) -> float:
    """β of the next update: halved where the KL is below target / 1.5, doubled above target x 1.5 (ibid., sec. 4)."""
    if kl < target_kl / 1.5:
        return max(beta / 2, 1e-4)
    return min(beta * 2, 1e4) if kl > target_kl * 1.5 else beta


def adapted_rate(rate: float, kl: float, target_kl: float) -> float:
    """Rate of the next update: x 1.5 where the KL is below target / 2, / 1.5 above 2 x target; in [1e-5, 1e-2]."""
    if kl > target_kl * 2:
        return max(rate / 1.5, 1e-5)
    return min(rate * 1.5, 1e-2) if kl < target_kl / 2 else rate


def value_loss(value: Tensor, target: Tensor) -> Tensor:
    """L_v: half the mean squared error."""
    return 0.5 * (value - target).square().mean()


def clipped_value_loss(value: Tensor, old_value: Tensor, target: Tensor, clip: float) -> Tensor:
    """L_v that gains nothing by moving a value further than `clip`: the worse of both errors.

    ½ mean(max((V - V_target)², (V_old + clamp(V - V_old, ±clip) - V_target)²)), as in OpenAI baselines' ppo2.
    """
    near = old_value + (value - old_value).clamp(-clip, clip)
    return 0.5 * torch.maximum((value - target).square(), (near - target).square()).mean()


def teacher_loss(mean: Tensor, advice: Tensor) -> Tensor:
    """L_t = ½ mean |μ - a|²: towards what a teacher would do (kickstarting, Schmitt et al. 2018, for Gaussians).

    A mean beyond the bound at which the advice stands does what is advised. Rows of NaN hold no advice and don't count.
    """
    asked = ~advice[:, 0].isnan()
    mean, advice = mean[asked], advice[asked]
    does_it = ((advice >= 1.0) & (mean > 1.0)) | ((advice <= -1.0) & (mean < -1.0))
    return 0.5 * (mean - advice).masked_fill(does_it, 0.0).square().sum() / max(len(mean), 1)


# The learner


@dataclass
class Report:
    """Sums over the gradient steps of one update."""

    gradient_steps: int = 0
    policy_loss: float = 0.0
    value_loss: float = 0.0
    entropy: float = 0.0
    kl: float = 0.0
    clipped: float = 0.0
    last_kl: float = 0.0
    value_estimate: float = 0.0
    teacher_loss: float = 0.0

    def mean(self, name: str) -> float:
        """The average of one figure per gradient step."""
        return getattr(self, name) / max(self.gradient_steps, 1)


class Learner:
    """Networks, optimiser and all that changes as they learn."""

    def __init__(self, world: VecEnv, config: Config) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.copies = world.num_envs
        self.device = torch_device(config.device)
        self.space = ActionSpace.of(world)
        self.space.require(ACTIONS, "ppo")
        actor, critic = networks(world.observation_size, self.space, config)
        self.actor, self.critic = actor.to(self.device), critic.to(self.device)
        self.actor_body = cast(Body, actor.body)
        self.parameters = [*self.actor.parameters(), *self.critic.parameters()]
        self.optimiser = torch.optim.Adam(self.parameters, lr=config.learning_rate, eps=1e-5, fused=True)
        self.generator = torch.Generator(self.device).manual_seed(config.seed)
        self.episodes = EpisodeStatistics()
        self.learning_rate = config.learning_rate
        self.clip = config.clip
        self.entropy_coefficient = config.entropy_coefficient
        self.beta = config.initial_beta
        self.teacher = teacher_of(world, self.space) if config.teacher_coefficient else None
        self.steps = 0
        self.updates = 0
        self.forget()
        beside = config.threads > 1 and self.device.type == "cpu"
        self._beside = ThreadPoolExecutor(1) if beside else None

    def forget(self) -> None:
        """Empty the memories of actor and critic: every copy begins an episode."""
        self.actor_memory = Memory.empty(self.copies, self.actor_body.memory, self.device)
        self.critic_memory = Memory.empty(self.copies, self.critic.body.memory, self.device)

    def room(self, world: VecEnv) -> Rollout:
        """An empty rollout of the size that the settings ask for."""
        config = self.config
        steps = math.ceil(config.buffer_size / self.copies) or config.rollout_steps
        return Rollout.empty(steps, self.copies, world.observation_size, self.space, self.device)

    def parts(self, batch: Batch) -> int:
        """How many gradient steps an epoch has."""
        count, length = batch.features.shape[:2]
        together = self.config.batch_size // length
        return math.ceil(count / max(together, 1)) if self.config.batch_size else self.config.minibatches

    def where(self) -> str:
        """The moment of training, for error messages."""
        return f"update {self.updates + 1}, after {self.steps} steps"

    def beside(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Start `work` next to what comes, in another thread if the config allows; calling the answer waits for it."""
        if self._beside is None:
            return work
        return self._beside.submit(work).result

    def look_back(self, rollout: Rollout) -> int:
        """Count a rollout that was learned from, and let the normaliser see it; its number of transitions.

        The normaliser learns after the update, so that the stored policy is the one that acted.
        """
        if self.updates > 0:
            self.actor.normaliser.update(rollout.observation[:-1][rollout.active])
        new_steps = int(rollout.active.sum())
        self.updates += 1
        self.steps += new_steps
        return new_steps

    @property
    def teacher_coefficient(self) -> float:
        """Weight of the teacher's loss now."""
        config = self.config
        return linearly(config.teacher_coefficient, 0.0, self.steps / (config.teacher_steps or config.steps))

    @property
    def is_taught(self) -> bool:
        """Whether there is a teacher whose advice still counts."""
        return self.teacher is not None and self.teacher_coefficient > 0.0

    def follow_schedules(self) -> None:
        """Set what changes from the first step to the last to this moment's value."""
        config, progress = self.config, self.steps / self.config.steps
        if config.schedule == "linear":
            self.set_learning_rate(linearly(config.learning_rate, 0.0, progress))
        if config.clip_schedule == "linear":
            self.clip = linearly(config.clip, config.final_clip, progress)
        if config.entropy_schedule == "linear":
            self.entropy_coefficient = linearly(config.entropy_coefficient, 0.0, progress)

    def set_learning_rate(self, rate: float) -> None:
        """Use this rate from the next gradient step on."""
        self.learning_rate = rate
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on from here."""
        return {
            "config": training.plain(self.config),
            "actor": self.actor.state_dict(),
            "critic": self.critic.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "episodes": self.episodes.get_state(),
            "memories": [list(self.actor_memory), list(self.critic_memory)],
            "learning_rate": self.learning_rate,
            "beta": self.beta,
            "steps": self.steps,
            "updates": self.updates,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; CheckpointError if it was made with other settings or for another world."""
        saved = {**training.plain(Config()), **state["config"]}
        checkpoint.require_same(saved, training.plain(self.config), free=training.MAY_CHANGE)
        try:
            self.actor.load_state_dict(state["actor"])
            self.critic.load_state_dict(state["critic"])
        except RuntimeError as error:
            raise checkpoint.CheckpointError(f"the checkpoint is of another task or robot: {error}") from error
        self.optimiser.load_state_dict(state["optimiser"])
        if self.generator.get_state().shape == state["generator"].shape:  # else it was saved on another device
            self.generator.set_state(state["generator"])
        self.episodes.set_state(state["episodes"])
        if "memories" in state:
            memories = [Memory(*(part.to(self.device) for part in memory)) for memory in state["memories"]]
            self.actor_memory, self.critic_memory = memories
        self.set_learning_rate(state["learning_rate"])
        self.beta, self.steps, self.updates = state["beta"], state["steps"], state["updates"]

    def close(self) -> None:
        """End the second thread."""
        if self._beside is not None:
            self._beside.shutdown()


_WITHOUT = "`teacher_coefficient: 0` learns without"


def teacher_of(world: VecEnv, space: ActionSpace) -> Advise:
    """What says what a teacher would do.

    Raises:
        ValueError: if nobody teaches in that world, or actions are not continuous.
    """
    if space.branches:
        raise ValueError(f"teacher_coefficient: a teacher gives continuous actions, and these are {space}; {_WITHOUT}")
    advise = getattr(world, "advise", None)
    if advise is None:
        raise ValueError(f"teacher_coefficient: this world has no teacher, only the embedded one has; {_WITHOUT}")
    return advise


def networks(observations: int, space: ActionSpace, config: Config) -> tuple[Policy | RecurrentPolicy, Critic]:
    """Actor and critic, which share nothing but the normaliser, which is the actor's."""
    normaliser = Normaliser(observations, clip=config.observation_clip, learns=config.normalise_observations)
    sizes, activation = (observations, *config.hidden_sizes), config.activation
    if config.recurrent:
        size = config.memory_size
        body = LstmBody(sizes, size, space.outputs, activation=activation, last_gain=0.01)
        critic = Critic(LstmBody(sizes, size, 1, activation=activation, last_gain=1.0))
        return RecurrentPolicy(body, normaliser, space, config.initial_std), critic
    body = mlp((*sizes, space.outputs), activation, last_gain=0.01)
    critic = Critic(mlp((*sizes, 1), activation, last_gain=1.0))
    return Policy(body, normaliser, space, config.initial_std), critic


# The four phases of an update


@torch.no_grad()
def collect(world: VecEnv, learner: Learner, rollout: Rollout, observation: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill the rollout with the policy's own experience; the observation to go on from."""
    actor, memory = learner.actor, learner.actor_memory
    rollout.begin(observation)
    for t in range(rollout.steps):
        if learner.teacher is not None and learner.is_taught and t % learner.config.teacher_interval == 0:
            rollout.advice[t] = torch.from_numpy(learner.teacher())
        outputs, remembered = learner.actor_body.step(actor.normaliser(rollout.observation[t]), memory)
        action = actor.given(outputs, rollout.open_choices(t, world.action_mask)).sample(learner.generator)
        given = world_action(action, learner.space)
        step = world.step(given.cpu().numpy())
        rollout.acted(t, _as_drawn(action, given, step), outputs, memory)
        rollout.record(t, step)
        if learner.actor_body.memory:
            memory = remembered.where(rollout.active[t], memory).forgotten(rollout.ended[t])
        learner.episodes.add(step.episodes)
        observation = step.observation
    learner.actor_memory = memory
    return observation


def _as_drawn(action: Tensor, given: Tensor, step: Step) -> Tensor:
    """The actions to learn from: those just drawn, but as the world took it where that was an earlier one."""
    if step.taken is None:
        return action
    taken = torch.from_numpy(step.taken).to(action.device)
    return torch.where((taken == given).all(-1, keepdim=True), action, taken)


@torch.no_grad()
def advantages(rollout: Rollout, learner: Learner) -> Batch:
    """The rollout as sequences to learn from: GAE(λ), returns in the critic's units, idle rows left out."""
    config, actor, critic = learner.config, learner.actor, learner.critic
    rollout.set_idle_rows_aside()
    rollout.require_finite(learner.where())
    active = rollout.active
    if not active.any():
        raise ValueError(f"{learner.where()}: the world gave no transition in {len(active)} steps of every copy")
    if learner.updates == 0:
        # Before the first update the policy hardly looks at its input, so it stays the policy that acted.
        actor.normaliser.update(rollout.observation[:-1][active])
    features = actor.normaliser(rollout.observation)
    judgement = judge(rollout, learner, features)
    advantage = _advantage(rollout, judgement, config)
    returns = advantage + judgement.value[:-1]
    critic.rescale(returns[active])
    columns = {
        "features": features[:-1],
        "advantage": standardised(advantage, active) if config.normalise_advantages else advantage,
        "value": critic.returns(judgement.value[:-1].unsqueeze(-1)).squeeze(-1),
        "target": critic.returns(returns.unsqueeze(-1)).squeeze(-1),
    }
    if learner.is_taught:
        columns["advice"] = rollout.advice
    return _batch(rollout, learner, columns, judgement)


@dataclass(frozen=True)
class Judgement:
    """What the critic thinks of a rollout, in reward units."""

    value: Tensor
    """V of the observations, `[steps + 1, copies]`."""
    final_value: Tensor
    """V of the true last observation where an episode was cut off, `[steps, copies]`."""
    memory: Memory
    """Before each observation, `[steps, copies, size]`."""


def judge(rollout: Rollout, learner: Learner, features: Tensor) -> Judgement:
    """Let the critic see a rollout, with the memory it has of what came before."""
    actor, critic, memory = learner.actor, learner.critic, learner.critic_memory
    idle = None if rollout.active.all() else ~rollout.active
    outputs, trace = critic.body.unroll(features[:-1], memory, rollout.begins, idle)
    learner.critic_memory = trace.at(-1).forgotten(rollout.ended[-1])
    last, _ = critic.body.step(features[-1], learner.critic_memory)

    def value_of(observation: Tensor, steps: Tensor, copies: Tensor) -> Tensor:
        return critic.values(critic.body.step(actor.normaliser(observation), trace.at(steps, copies))[0])

    return Judgement(
        value=critic.values(torch.cat((outputs, last.unsqueeze(0)))),
        final_value=rollout.final_values(value_of),
        memory=Memory(*(torch.cat((first.unsqueeze(0), rest[:-1])) for first, rest in zip(memory, trace, strict=True))),
    )


def improve(learner: Learner, batch: Batch) -> Report:
    """Several epochs of gradient steps on L = L_π + c_v L_v + c_reg L_reg; ends early once the KL exceeds `stop_kl`."""
    config, report = learner.config, Report(value_estimate=batch.value_estimate)
    learner.follow_schedules()
    count = learner.parts(batch)
    for part in (part for _ in range(config.epochs) for part in batch.shuffled(count, learner.generator)):
        _descend(learner, part, report)
        if 0 < config.stop_kl < report.last_kl:
            break
    if config.schedule == "adaptive":
        learner.set_learning_rate(adapted_rate(learner.learning_rate, report.last_kl, config.target_kl))
    if config.objective == "kl":
        learner.beta = adapted_beta(learner.beta, report.last_kl, config.target_kl)
    return report


def _descend(learner: Learner, part: Batch, report: Report) -> None:
    """One gradient step on the whole loss.

    Actor and critic share no parameter, so the gradient of their sum is got from each side by itself, side by side.
    """
    config, actor = learner.config, learner.actor
    learner.optimiser.zero_grad()
    critic_loss = learner.beside(lambda: _value_gradient(learner, part))
    policy = part.distribution(actor.space, part.outputs_of(learner.actor_body, part.actor_memory), actor.log_std)
    old_policy = part.distribution(actor.space, part.rows(part.outputs), part.old_log_std)
    ratio = (policy.log_probability(part.rows(part.action)) - part.rows(part.log_prob)).exp()
    kl = policy.kl_from(old_policy)
    if config.objective == "clip":
        policy_loss = clipped_surrogate(ratio, part.rows(part.advantage), learner.clip)
    else:
        policy_loss = kl_penalty(ratio, part.rows(part.advantage), kl, learner.beta)
    entropy = policy.entropy().mean()
    loss = policy_loss - learner.entropy_coefficient * entropy
    if part.advice is not None:
        distance = teacher_loss(policy.mean, part.rows(part.advice))
        loss = loss + learner.teacher_coefficient * distance
        report.teacher_loss += float(distance.detach())
    loss.backward()
    losses = float(policy_loss.detach()), float(critic_loss())
    norm = float(nn.utils.clip_grad_norm_(learner.parameters, config.max_grad_norm or math.inf))
    if not all(map(math.isfinite, (*losses, norm))):
        raise FloatingPointError(
            f"{learner.where()}: learning diverged (policy loss {losses[0]:g}, value loss {losses[1]:g}, gradient norm "
            f"{norm:g}, learning rate {learner.learning_rate:g}); lower learning_rate or look at the rewards"
        )
    learner.optimiser.step()
    actor.bound_log_std()
    report.gradient_steps += 1
    report.policy_loss += losses[0]
    report.value_loss += losses[1]
    report.entropy += float(entropy.detach())
    report.last_kl = float(kl.detach().mean())
    report.kl += report.last_kl
    report.clipped += float(((ratio.detach() - 1).abs() > learner.clip).float().mean())


def _value_gradient(learner: Learner, part: Batch) -> Tensor:
    config = learner.config
    value = part.outputs_of(learner.critic.body, part.critic_memory).squeeze(-1)
    if config.value_clip:
        loss = clipped_value_loss(value, part.rows(part.value), part.rows(part.target), config.value_clip)
    else:
        loss = value_loss(value, part.rows(part.target))
    (config.value_coefficient * loss).backward()
    return loss.detach()


def _advantage(rollout: Rollout, judgement: Judgement, config: Config) -> Tensor:
    """GAE(λ), `[steps, copies]`."""
    following = next_values(judgement.value, judgement.final_value, rollout.terminated, rollout.truncated)
    delta = rollout.reward + config.discount * following - judgement.value[:-1]
    goes_on = ~rollout.ended
    goes_on[:-1] &= rollout.active[1:]
    if config.time_horizon:
        goes_on[config.time_horizon - 1 :: config.time_horizon] = False
    return generalised_advantages(delta, goes_on, config.discount * config.gae_lambda)


def standardised(advantage: Tensor, active: Tensor) -> Tensor:
    """To zero mean and unit variance over the active rows."""
    learned_from = advantage[active]
    return (advantage - learned_from.mean()) / (learned_from.std(correction=0) + 1e-8)


def _batch(rollout: Rollout, learner: Learner, columns: dict[str, Tensor], judgement: Judgement) -> Batch:
    """The rollout and what was computed from it, `[steps, copies, …]`, cut into sequences."""
    config, log_std = learner.config, learner.actor.log_std.detach().clone()
    length = min(config.sequence_length, rollout.steps) if config.recurrent else 1
    mask = None if rollout.mask.all() else rollout.mask
    policy = Distribution(learner.space, rollout.outputs, log_std, mask)
    columns |= {"begins": rollout.begins, "active": rollout.active, "action": rollout.action}
    columns |= {"outputs": rollout.outputs, "log_prob": policy.log_probability(rollout.action)}
    remembered = [Memory(*map(torch.stack, zip(*rollout.memory, strict=True))), judgement.memory]
    actor_memory, critic_memory = (Memory(*(part[::length].flatten(0, 1) for part in memory)) for memory in remembered)
    batch = Batch(
        **{name: sequences(column, length) for name, column in columns.items()},
        mask=None if mask is None else sequences(mask, length),
        actor_memory=actor_memory,
        critic_memory=critic_memory,
        old_log_std=log_std,
        value_estimate=float(judgement.value[:-1][rollout.active].mean()),
    )
    return batch.without_idle()


# What the run hears


def _log(run: Run, learner: Learner, report: Report) -> None:
    config, episodes = learner.config, learner.episodes
    std = {"Policy/Std": float(learner.actor.log_std.detach().exp().mean())} if learner.space.continuous else {}
    figures = {"Policy/Teacher": learner.teacher_coefficient, "Losses/Teacher Loss": report.mean("teacher_loss")}
    teacher = figures if learner.teacher is not None else {}
    scalars = {
        **episodes.means(),
        "Policy/Entropy": report.mean("entropy"),
        "Policy/Learning Rate": learner.learning_rate,
        "Policy/Beta": learner.entropy_coefficient,
        "Policy/Epsilon": learner.clip,
        "Policy/Extrinsic Value Estimate": report.value_estimate,
        "Policy/KL": report.mean("kl"),
        "Policy/KL Penalty": learner.beta if config.objective == "kl" else 0.0,
        "Policy/Clipped Share": report.mean("clipped"),
        "Policy/Gradient Steps": report.gradient_steps,
        **std,
        "Losses/Policy Loss": report.mean("policy_loss"),
        "Losses/Value Loss": report.mean("value_loss"),
        **teacher,
        "Time/Elapsed": run.elapsed_s,
        "Time/Steps per Second": run.progress.speed(learner.steps),
    }
    run.log(learner.steps, scalars)
    run.progress.show(
        learner.steps, config.steps, success=episodes.recent_success, episode_return=episodes.recent_return
    )
