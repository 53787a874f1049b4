"""Proximal policy optimisation (Schulman et al. 2017): clipped surrogate, or KL penalty with adaptive β."""

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainers.common import checkpoint
from trainers.common.config import Between, Count, Fraction, NotNegative, Positive, check
from trainers.common.config import config_from as _config_from
from trainers.common.distributions import gaussian_entropy, gaussian_kl, gaussian_log_density, log_probability
from trainers.common.episodes import EpisodeStatistics
from trainers.common.networks import Activation, Actor, Critic, mlp
from trainers.common.normaliser import Normaliser
from trainers.common.returns import generalised_advantages, next_values
from trainers.common.rollout import Rollout
from trainers.common.run import Run
from trainers.common.vec_env import VecEnv


@dataclass(frozen=True)
class Config:
    """Settings of PPO. The defaults suit robot tasks with 256 to 512 copies on 2 cores."""

    steps: Count = 3_000_000
    """Transitions to learn from, in all copies together."""
    copies: Count = 256
    """Copies of the task that are stepped together."""
    rollout_steps: Count = 32
    """Decisions per copy between two updates."""
    epochs: Count = 5
    """Passes over a rollout per update."""
    minibatches: Count = 4
    """Parts that a rollout is split into, one gradient step each."""
    learning_rate: Positive = 1e-3
    """Of Adam; where the schedule starts."""
    schedule: Literal["constant", "linear", "adaptive"] = "adaptive"
    """Learning rate over time: kept, brought to 0 at the last step, or steered to updates of KL near `target_kl`."""
    discount: Fraction = 0.99
    """γ per decision."""
    gae_lambda: Fraction = 0.95
    """λ of the advantages: 0 is the TD error, 1 the Monte-Carlo return less the value."""
    objective: Literal["clip", "kl"] = "clip"
    """Clipped surrogate, or KL penalty with adaptive β."""
    clip: Positive = 0.2
    """ε: how far the importance ratio counts, as a distance from 1."""
    initial_beta: Positive = 1.0
    """β of the KL penalty at the start; it doubles or halves to keep the KL of an update near `target_kl`."""
    target_kl: Positive = 0.015
    """KL from the policy that acted to the new one, in nats, aimed at by the adaptive rate and by β."""
    stop_kl: NotNegative = 0.1
    """An update ends early once a gradient step finds this KL, in nats; 0 never stops."""
    value_coefficient: NotNegative = 1.0
    """c_v: weight of the value loss, which is in units of the returns' variance."""
    entropy_coefficient: NotNegative = 0.002
    """c_reg: reward for the policy's entropy, in nats."""
    max_grad_norm: Positive = 1.0
    """The gradient of the whole loss is scaled down to this length."""
    hidden_sizes: tuple[Count, ...] = (128, 128)
    """Units of each hidden layer, in actor and critic alike."""
    activation: Activation = "elu"
    """Between the layers."""
    initial_std: Annotated[float, Between(0.02, 1.5)] = 0.6
    """Exploration noise at the start, in action units."""
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

    def __post_init__(self) -> None:
        check(self)


def config_from(settings: Mapping[str, Any]) -> Config:
    """A Config from names and values; ValueError names what is unknown or out of range."""
    return _config_from(Config, settings)


def train(make_world: Callable[[int, int], VecEnv], config: Config, run: Run) -> nn.Module:
    """The deterministic actor that PPO makes of a world: raw observations `[batch, n]` to actions in [-1, 1].

    Goes on from the run's checkpoint if there is one, and then gives the very numbers of a run never interrupted,
    provided the world can tell its state.

    Raises:
        FloatingPointError: if the world or the learning gives something that is no finite number.
        trainers.common.checkpoint.CheckpointError: if the checkpoint belongs to other settings or another world.
    """
    torch.set_num_threads(max(1, config.threads // 2))
    with closing(make_world(config.copies, config.seed)) as world, closing(Learner(world, config)) as learner:
        rollout = Rollout.empty(config.rollout_steps, world.num_envs, world.observation_size, world.action_size)
        observation = _begin(world, learner, run)
        run.progress.begin(learner.steps)
        while learner.steps < config.steps and not run.stop_requested:
            observation = collect(world, learner, rollout, observation)
            batch = advantages(rollout, learner)
            report = improve(learner, batch)
            learner.look_back(rollout)
            _log(run, learner, report)
            _evaluate_when_due(run, learner, len(batch.advantage))
            if run.checkpoint_due(config.checkpoint_interval_s):
                run.save(_state(world, learner))
        run.save(_state(world, learner))
        return learner.actor.eval()


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


# The learner


@dataclass(frozen=True)
class Batch:
    """The transitions of one rollout, `[rows, …]`, without the idle ones."""

    features: Tensor
    """Normalised observations."""
    action: Tensor
    """As drawn, before it was clipped for the world."""
    mean: Tensor
    """Of the policy that acted."""
    log_prob: Tensor
    """ln π(action) of the policy that acted."""
    advantage: Tensor
    """Zero mean, unit variance over the batch."""
    target: Tensor
    """Returns in the critic's own units."""
    old_log_std: Tensor
    """Of the policy that acted, `[actions]`."""
    value_estimate: float
    """Mean value, in reward units."""

    def shuffled(self, parts: int, generator: torch.Generator) -> Iterator["Batch"]:
        """The rows in a random order, in that many parts of (nearly) one size."""
        order = torch.randperm(len(self.advantage), generator=generator)
        names = ("features", "action", "mean", "log_prob", "advantage", "target")
        columns = [getattr(self, name).index_select(0, order).tensor_split(parts) for name in names]
        for part in zip(*columns, strict=True):
            yield replace(self, **dict(zip(names, part, strict=True)))


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

    def mean(self, name: str) -> float:
        """The average of one figure per gradient step."""
        return getattr(self, name) / max(self.gradient_steps, 1)


class Learner:
    """Networks, optimiser and all that changes as they learn."""

    def __init__(self, world: VecEnv, config: Config) -> None:
        torch.manual_seed(config.seed)
        observations, actions = world.observation_size, world.action_size
        inputs = (observations, *config.hidden_sizes)
        self.config = config
        self.actor = Actor(
            mlp((*inputs, actions), config.activation, last_gain=0.01),
            Normaliser(observations, clip=config.observation_clip),
            actions,
            config.initial_std,
        )
        self.critic = Critic(mlp((*inputs, 1), config.activation, last_gain=1.0))
        self.parameters = [*self.actor.parameters(), *self.critic.parameters()]
        self.optimiser = torch.optim.Adam(self.parameters, lr=config.learning_rate, eps=1e-5, fused=True)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.episodes = EpisodeStatistics()
        self.learning_rate = config.learning_rate
        self.beta = config.initial_beta
        self.steps = 0
        self.updates = 0
        self._beside = ThreadPoolExecutor(1) if config.threads > 1 else None

    def where(self) -> str:
        """The moment of training, for error messages."""
        return f"update {self.updates + 1}, after {self.steps} steps"

    def beside(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Start `work` next to what comes, in another thread if the config allows; calling the answer waits for it."""
        if self._beside is None:
            return work
        return self._beside.submit(work).result

    def look_back(self, rollout: Rollout) -> None:
        """Count a rollout that was learned from, and let the normaliser see it.

        The normaliser learns after the update, so that the stored policy is the one that acted.
        """
        if self.updates > 0:
            self.actor.normaliser.update(rollout.observation[:-1][rollout.active])
        self.updates += 1
        self.steps += int(rollout.active.sum())

    def set_learning_rate(self, rate: float) -> None:
        """Use this rate from the next gradient step on."""
        self.learning_rate = rate
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on from here."""
        return {
            "config": _plain(self.config),
            "actor": self.actor.state_dict(),
            "critic": self.critic.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "episodes": self.episodes.get_state(),
            "learning_rate": self.learning_rate,
            "beta": self.beta,
            "steps": self.steps,
            "updates": self.updates,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; CheckpointError if it was made with other settings or for another world."""
        checkpoint.require_same(state["config"], _plain(self.config), free=_MAY_CHANGE)
        try:
            self.actor.load_state_dict(state["actor"])
            self.critic.load_state_dict(state["critic"])
        except RuntimeError as error:
            raise checkpoint.CheckpointError(f"the checkpoint is of another task or robot: {error}") from error
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.episodes.set_state(state["episodes"])
        self.set_learning_rate(state["learning_rate"])
        self.beta, self.steps, self.updates = state["beta"], state["steps"], state["updates"]

    def close(self) -> None:
        """End the second thread."""
        if self._beside is not None:
            self._beside.shutdown()


_MAY_CHANGE = frozenset({"steps", "threads", "checkpoint_interval_s", "evaluation_interval"})
"""Settings that a resumed run may have changed: how long, how often, on how many cores."""


def _plain(config: Config) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(config).items()}


# The four phases of an update


@torch.no_grad()
def collect(world: VecEnv, learner: Learner, rollout: Rollout, observation: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill the rollout with the policy's own experience; the observation to go on from."""
    actor, std = learner.actor, learner.actor.log_std.exp()
    rollout.begin(learner.generator)
    rollout.observation[0] = torch.from_numpy(observation)
    for t in range(len(rollout.reward)):
        mean = rollout.mean[t].copy_(actor.body(actor.normaliser(rollout.observation[t])))
        action = torch.addcmul(mean, rollout.noise[t], std).clamp_(-1.0, 1.0)
        step = world.step(action.numpy())
        rollout.record(t, step)
        learner.episodes.add(step.episodes)
        observation = step.observation
    return observation


@torch.no_grad()
def advantages(rollout: Rollout, learner: Learner) -> Batch:
    """The rollout as rows to learn from: GAE(λ), returns in the critic's units, idle rows left out."""
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
    value = critic(features)
    final_value = rollout.final_values(lambda final: critic(actor.normaliser(final)))
    following = next_values(value, final_value, rollout.terminated, rollout.truncated)
    delta = rollout.reward + config.discount * following - value[:-1]
    same_episode = ~(rollout.terminated | rollout.truncated)
    same_episode[:-1] &= active[1:]
    advantage = generalised_advantages(delta, same_episode, config.discount * config.gae_lambda)
    returns = (advantage + value[:-1])[active]
    critic.rescale(returns)
    log_std = actor.log_std.detach().clone()
    return Batch(
        features=features[:-1][active],
        action=(rollout.mean + rollout.noise * log_std.exp())[active],
        mean=rollout.mean[active],
        log_prob=gaussian_log_density(rollout.noise, log_std)[active],
        advantage=_standardised(advantage[active]),
        target=critic.returns(returns.unsqueeze(-1)).squeeze(-1),
        old_log_std=log_std,
        value_estimate=float(value[:-1][active].mean()),
    )


def improve(learner: Learner, batch: Batch) -> Report:
    """Several epochs of gradient steps on L = L_π + c_v L_v + c_reg L_reg; ends early once the KL exceeds `stop_kl`."""
    config, report = learner.config, Report(value_estimate=batch.value_estimate)
    if config.schedule == "linear":
        learner.set_learning_rate(config.learning_rate * max(1 - learner.steps / config.steps, 1e-6))
    for part in (part for _ in range(config.epochs) for part in batch.shuffled(config.minibatches, learner.generator)):
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
    mean = actor.body(part.features)
    ratio = (log_probability(part.action, mean, actor.log_std) - part.log_prob).exp()
    kl = gaussian_kl(part.mean, part.old_log_std, mean, actor.log_std)
    if config.objective == "clip":
        policy_loss = clipped_surrogate(ratio, part.advantage, config.clip)
    else:
        policy_loss = kl_penalty(ratio, part.advantage, kl, learner.beta)
    entropy = gaussian_entropy(actor.log_std)
    (policy_loss - config.entropy_coefficient * entropy).backward()
    losses = float(policy_loss.detach()), float(critic_loss())
    norm = float(nn.utils.clip_grad_norm_(learner.parameters, config.max_grad_norm))
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
    report.clipped += float(((ratio.detach() - 1).abs() > config.clip).float().mean())


def _value_gradient(learner: Learner, part: Batch) -> Tensor:
    loss = value_loss(learner.critic.body(part.features).squeeze(-1), part.target)
    (learner.config.value_coefficient * loss).backward()
    return loss.detach()


def _standardised(advantage: Tensor) -> Tensor:
    return (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)


# What the run hears


def _begin(world: VecEnv, learner: Learner, run: Run) -> NDArray[np.float32]:
    """Restore the run's checkpoint or start anew, and save that; the observation to act on."""
    state = run.load()
    if state is None:
        observation = world.reset(learner.config.seed)
        run.save(_state(world, learner))
        return observation
    learner.set_state(state["learner"])
    checkpoint.set_random_state(state["random"])
    if state["world"] is None:
        # The world can't tell its state: go on with other episodes than those already learned from.
        return world.reset(learner.config.seed + learner.updates)
    return world.set_state(state["world"])


def _state(world: VecEnv, learner: Learner) -> dict[str, Any]:
    return {"learner": learner.get_state(), "world": world.get_state(), "random": checkpoint.random_state()}


def _log(run: Run, learner: Learner, report: Report) -> None:
    config, episodes = learner.config, learner.episodes
    scalars = {
        **episodes.means(),
        "Policy/Entropy": report.mean("entropy"),
        "Policy/Learning Rate": learner.learning_rate,
        "Policy/Beta": config.entropy_coefficient,
        "Policy/Epsilon": config.clip,
        "Policy/Extrinsic Value Estimate": report.value_estimate,
        "Policy/KL": report.mean("kl"),
        "Policy/KL Penalty": learner.beta if config.objective == "kl" else 0.0,
        "Policy/Clipped Share": report.mean("clipped"),
        "Policy/Gradient Steps": report.gradient_steps,
        "Policy/Std": float(learner.actor.log_std.detach().exp().mean()),
        "Losses/Policy Loss": report.mean("policy_loss"),
        "Losses/Value Loss": report.mean("value_loss"),
        "Time/Elapsed": run.elapsed_s,
        "Time/Steps per Second": run.progress.speed(learner.steps),
    }
    run.log(learner.steps, scalars)
    run.progress.show(
        learner.steps, config.steps, success=episodes.recent_success, episode_return=episodes.recent_return
    )


def _evaluate_when_due(run: Run, learner: Learner, new_steps: int) -> None:
    interval = learner.config.evaluation_interval
    if run.evaluate is None or interval == 0 or learner.steps // interval == (learner.steps - new_steps) // interval:
        return
    figures = run.evaluate(learner.actor.eval())
    learner.actor.train()
    run.log(learner.steps, {f"Evaluation/{name}": value for name, value in figures.items()})
