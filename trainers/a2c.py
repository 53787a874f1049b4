"""Synchronous advantage actor-critic (Mnih et al. 2016, without the asynchrony), with its targets to choose from."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from trainers.common.actions import ActionKind, ActionSpace
from trainers.common.config import Between, Count, Fraction, NotNegative, Positive, check
from trainers.common.config import config_from as _config_from
from trainers.common.device import Device
from trainers.common.networks import Activation
from trainers.common.on_policy import (
    Batch,
    Judgement,
    Learner,
    Schedule,
    collect,
    in_critics_units,
    judge,
    policy_loss,
    require_transitions,
    value_loss,
)
from trainers.common.returns import generalised_advantages
from trainers.common.rollout import Rollout
from trainers.common.run import Run
from trainers.common.training import begin, evaluate, finished, passed, state_of
from trainers.common.vec_env import VecEnv

ACTIONS: frozenset[ActionKind] = frozenset({"continuous", "discrete", "hybrid"})


@dataclass(frozen=True)
class Config:
    """Settings of A2C. The defaults suit small tasks with a few copies."""

    steps: Count = 500_000
    """Transitions to learn from, in all copies together."""
    copies: Count = 16
    """Copies of the task that are stepped together."""
    rollout_steps: Count = 8
    """Decisions per copy between two updates."""
    advantage: Literal["monte_carlo", "td", "n_step", "gae"] = "gae"
    """What an action is judged by: all rewards of the rollout that follow, the TD error, n rewards, or GAE(λ)."""
    n_steps: Count = 5
    """n of the advantage `n_step`: rewards seen before V stands for the rest."""
    gae_lambda: Fraction = 0.95
    """λ of the advantage `gae`: 0 is `td`, 1 is `monte_carlo`."""
    value_target: Literal["monte_carlo", "td"] = "monte_carlo"
    """What V learns: all rewards of the rollout that follow and V of its last state, or r + γ V of the next state."""
    discount: Fraction = 0.99
    """γ per decision."""
    optimiser: Literal["adam", "rmsprop"] = "rmsprop"
    """How gradients become steps."""
    learning_rate: Positive = 2e-3
    """Where the schedule starts."""
    schedule: Schedule = "linear"
    """Learning rate over time: kept, or brought to 0 at the last step."""
    value_coefficient: NotNegative = 0.5
    """Weight of the value loss, which is in units of the returns' variance."""
    entropy_coefficient: NotNegative = 0.0
    """Reward for the policy's entropy, in nats."""
    normalise_advantages: bool = False
    """Bring advantages to zero mean and unit variance over a rollout."""
    max_grad_norm: Positive = 0.5
    """The gradient of the whole loss is scaled down to this length."""
    hidden_sizes: tuple[Count, ...] = (64, 64)
    """Units of each hidden layer, in actor and critic alike."""
    activation: Activation = "tanh"
    """Between the layers."""
    initial_std: Annotated[float, Between(0.02, 1.5)] = 0.6
    """Exploration noise of continuous actions at the start, in action units."""
    noise_steps: Count = 1
    """Decisions that the noise of continuous actions is kept for: more reach further, as gSDE does (Raffin et al.
    2021). Each action is learned from as if its noise were its own."""
    normalise_observations: bool = True
    """Bring observations to zero mean and unit variance, inside the policy."""
    observation_clip: Positive = 5.0
    """Normalised observations are clipped to ± this, in standard deviations."""
    log_interval: Count = 2_000
    """Transitions between two lines of figures."""
    seed: Annotated[int, Between(0)] = 0
    """Of networks, noise and world."""
    checkpoint_interval_s: NotNegative = 30.0
    """Seconds between checkpoints; 0 saves after every update."""
    evaluation_interval: Annotated[int, Between(0)] = 0
    """Transitions between calls of the run's `evaluate`; 0 never calls it."""
    threads: Count = 1
    """CPU threads of an update."""
    device: Device = "cpu"
    """Where the networks live."""

    def __post_init__(self) -> None:
        check(self)


def config_from(settings: Mapping[str, Any]) -> Config:
    """A Config from names and values; ValueError names what is unknown or out of range."""
    return _config_from(Config, settings)


def train(make_world: Callable[[int, int], VecEnv], config: Config, run: Run) -> nn.Module:
    """The deterministic actor that A2C makes of a world.

    Goes on from the run's checkpoint if there is one, and then gives the very numbers of a run never interrupted,
    provided the world can tell its state.

    Raises:
        FloatingPointError: if the world or the learning gives something that is no finite number.
        trainers.common.checkpoint.CheckpointError: if the checkpoint belongs to other settings or another world.
    """
    torch.set_num_threads(config.threads)
    with closing(make_world(config.copies, config.seed)) as world:
        ActionSpace.of(world).require(ACTIONS, "a2c")
        learner = Learner(world, config, _OPTIMISERS[config.optimiser])
        rollout = Rollout.empty(
            config.rollout_steps, world.num_envs, world.observation_size, learner.space, learner.device
        )
        observation = begin(world, learner, run, config.seed)
        run.progress.begin(learner.steps)
        while learner.steps < config.steps and not run.stop_requested:
            observation = collect(world, learner.actor, rollout, observation, learner, config.noise_steps)
            improve(learner, rollout, config)
            new_steps = look_back(learner, rollout)
            if passed(config.log_interval, learner.steps, new_steps) or learner.steps >= config.steps:
                learner.log(run)
            if passed(config.evaluation_interval, learner.steps, new_steps):
                evaluate(run, learner.actor, learner.steps)
            if run.checkpoint_due(config.checkpoint_interval_s):
                run.save(state_of(world, learner))
        run.save(state_of(world, learner))
        return finished(learner.actor)


_OPTIMISERS: dict[str, Any] = {
    "adam": partial(torch.optim.Adam, eps=1e-5),
    "rmsprop": partial(torch.optim.RMSprop, alpha=0.99, eps=1e-5),
}


# Targets and losses, as in the papers


def n_step_advantages(delta: Tensor, goes_on: Tensor, discount: float, n: int) -> Tensor:
    """A_t = Σ_{k < n} γ^k δ_{t+k} `[steps, copies]`, which is the n-step return less V_t, as all V between cancel.

    r_t + … + γ^(n-1) r_{t+n-1} + γ^n V_{t+n} - V_t (Mnih et al. 2016, sec. 3). The sum stops where an episode or the
    rollout ends, with V of the state there where the episode goes on.
    """
    advantage, weight = delta.clone(), torch.ones_like(delta)
    for k in range(1, min(n, len(delta))):
        weight = discount * weight[:-1] * goes_on[k - 1 : len(delta) - 1]
        advantage[:-k] += weight * delta[k:]
    return advantage


def advantages(judgement: Judgement, config: Config) -> Tensor:
    """How much better each action was than expected, `[steps, copies]`, by the way that the settings choose."""
    delta, goes_on = judgement.delta, judgement.goes_on
    if config.advantage == "td":
        return delta
    if config.advantage == "n_step":
        return n_step_advantages(delta, goes_on, config.discount, config.n_steps)
    decay = config.gae_lambda if config.advantage == "gae" else 1.0
    return generalised_advantages(delta, goes_on, config.discount * decay)


def value_targets(judgement: Judgement, config: Config) -> Tensor:
    """What V should have said, `[steps, copies]`: V_t + δ_t = r_t + γ V_{t+1}, or the rewards of the whole rollout."""
    if config.value_target == "td":
        return judgement.value + judgement.delta
    return judgement.value + generalised_advantages(judgement.delta, judgement.goes_on, config.discount)


# An update


def improve(learner: Learner, rollout: Rollout, config: Config) -> None:
    """One gradient step on policy loss + c_v value loss - c_e entropy."""
    actor, critic = learner.actor, learner.critic
    require_transitions(rollout, learner.where())
    learner.schedule_rate()
    if learner.updates == 0:
        # Before the first update the policy hardly looks at its input, so it stays the policy that acted.
        actor.normaliser.update(rollout.observation[:-1][rollout.active])
    judgement = judge(rollout, actor, critic, config.discount)
    batch = Batch.of(rollout, actor, advantages(judgement, config), value_targets(judgement, config))
    critic.rescale(batch.target)
    advantage = _standardised(batch.advantage) if config.normalise_advantages else batch.advantage
    policy = actor.distribution(batch.features, batch.mask)
    loss_of_policy = policy_loss(policy.log_probability(batch.action), advantage)
    loss_of_value = value_loss(*(in_critics_units(critic, value) for value in (critic(batch.features), batch.target)))
    entropy = policy.entropy().mean()
    learner.descend(
        loss_of_policy + config.value_coefficient * loss_of_value - config.entropy_coefficient * entropy,
        {
            "Losses/Policy Loss": loss_of_policy,
            "Losses/Value Loss": loss_of_value,
            "Policy/Entropy": entropy,
            "Policy/Extrinsic Value Estimate": judgement.value.mean(),
        },
    )


def look_back(learner: Learner, rollout: Rollout) -> int:
    """Count a rollout that was learned from, and let the normaliser see it; its number of transitions.

    The normaliser learns after the update, so that the policy that learns is the one that acted.
    """
    if learner.updates > 0:
        learner.actor.normaliser.update(rollout.observation[:-1][rollout.active])
    new_steps = int(rollout.active.sum())
    learner.updates += 1
    learner.steps += new_steps
    return new_steps


def _standardised(advantage: Tensor) -> Tensor:
    return (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)
