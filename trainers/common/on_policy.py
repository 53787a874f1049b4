"""What the plain on-policy trainers share: the networks, one gradient step, and their state."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainers.common import checkpoint
from trainers.common.actions import ActionSpace
from trainers.common.device import Device, torch_device
from trainers.common.distributions import normal_like, world_action
from trainers.common.episodes import EpisodeStatistics
from trainers.common.networks import Activation, Critic, mlp
from trainers.common.normaliser import Normaliser
from trainers.common.policies import Policy
from trainers.common.returns import next_values
from trainers.common.rollout import Rollout
from trainers.common.run import Run
from trainers.common.schedules import Schedule, scheduled_rate
from trainers.common.training import MAY_CHANGE, plain
from trainers.common.vec_env import VecEnv


class NetworkSettings(Protocol):
    """What the networks need of a trainer's Config."""

    @property
    def hidden_sizes(self) -> tuple[int, ...]: ...
    @property
    def activation(self) -> Activation: ...
    @property
    def initial_std(self) -> float: ...
    @property
    def normalise_observations(self) -> bool: ...
    @property
    def observation_clip(self) -> float: ...


class Settings(NetworkSettings, Protocol):
    """What the learner needs of a trainer's Config."""

    @property
    def steps(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def device(self) -> Device: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def entropy_coefficient(self) -> float: ...
    @property
    def max_grad_norm(self) -> float: ...


def networks(observations: int, space: ActionSpace, config: NetworkSettings) -> tuple[Policy, Critic]:
    """A policy for raw observations, and the value of the same observations normalised."""
    inputs = (observations, *config.hidden_sizes)
    normaliser = Normaliser(observations, clip=config.observation_clip, learns=config.normalise_observations)
    body = mlp((*inputs, space.outputs), config.activation, last_gain=0.01)
    critic = Critic(mlp((*inputs, 1), config.activation, last_gain=1.0))
    return Policy(body, normaliser, space, config.initial_std), critic


@torch.no_grad()
def collect(
    world: VecEnv,
    actor: Policy,
    rollout: Rollout,
    observation: NDArray[np.float32],
    heard: "Heard",
    noise_steps: int = 1,
) -> NDArray[np.float32]:
    """Fill the rollout with the policy's own experience; the observation to go on from.

    With `noise_steps` above 1 the noise of continuous actions is kept for so many decisions.
    """
    rollout.begin(observation)
    noise = None
    for t in range(rollout.steps):
        features = actor.normaliser(rollout.observation[t])
        distribution = actor.distribution(features, rollout.open_choices(t, world.action_mask))
        if noise_steps > 1 and t % noise_steps == 0:
            noise = normal_like(distribution.mean, heard.generator)
        action = distribution.sample(heard.generator, noise)
        step = world.step(world_action(action, actor.space).cpu().numpy())
        rollout.action[t] = action if step.taken is None else torch.from_numpy(step.taken)
        rollout.record(t, step)
        heard.episodes.add(step.episodes)
        observation = step.observation
    return observation


class Heard(Protocol):
    """Where the noise of actions comes from, and where ended episodes go."""

    generator: torch.Generator
    episodes: EpisodeStatistics


@dataclass(frozen=True)
class Judgement:
    """What a critic thinks of a rollout, `[steps, copies]` in reward units."""

    value: Tensor
    """V of the observations."""
    delta: Tensor
    """TD errors: r + γ V' - V. V' is 0 at a true end, and that of the true last observation at a cut-off."""
    goes_on: Tensor
    """Whether the next row holds the next transition of the same episode."""


@torch.no_grad()
def judge(rollout: Rollout, actor: Policy, critic: Critic, discount: float) -> Judgement:
    """Let a critic look at what was lived through."""
    value = critic(actor.normaliser(rollout.observation))
    final_value = rollout.final_values(lambda final, steps, copies: critic(actor.normaliser(final)))
    following = next_values(value, final_value, rollout.terminated, rollout.truncated)
    goes_on = ~rollout.ended
    goes_on[:-1] &= rollout.active[1:]
    return Judgement(value[:-1], rollout.reward + discount * following - value[:-1], goes_on)


@dataclass(frozen=True)
class Batch:
    """The transitions of a rollout, `[rows, …]`, without the idle ones."""

    features: Tensor
    """Normalised observations."""
    action: Tensor
    """As drawn, before it was clipped for the world."""
    mask: Tensor | None
    """Open choices, where the world closes some."""
    advantage: Tensor
    target: Tensor
    """Of V, in reward units."""

    @classmethod
    def of(cls, rollout: Rollout, actor: Policy, advantage: Tensor, target: Tensor) -> "Batch":
        """A rollout with what was found out about it, `[steps, copies]` each."""
        everything = bool(rollout.active.all())

        def rows(column: Tensor) -> Tensor:
            return column.flatten(0, 1) if everything else column[rollout.active]

        closed = actor.space.branches and not rollout.mask.all()
        return cls(
            features=actor.normaliser(rows(rollout.observation[:-1])),
            action=rows(rollout.action),
            mask=rows(rollout.mask) if closed else None,
            advantage=rows(advantage),
            target=rows(target),
        )

    def __len__(self) -> int:
        return len(self.advantage)


def policy_loss(log_prob: Tensor, advantage: Tensor) -> Tensor:
    """-mean(A ln π(a|s)), whose gradient is the policy gradient's (Mnih et al. 2016, sec. 4; Sutton et al. 2000)."""
    return -(log_prob * advantage).mean()


def value_loss(value: Tensor, target: Tensor) -> Tensor:
    """Half the mean squared error."""
    return 0.5 * (value - target).square().mean()


def in_critics_units(critic: Critic, value: Tensor) -> Tensor:
    """Values or returns `[…]` in units of the returns' own mean and deviation, where every task's loss is alike."""
    return critic.returns(value.unsqueeze(-1)).squeeze(-1)


def require_transitions(rollout: Rollout, where: str) -> None:
    """Make sure that there is something to learn from, and nothing that is no number.

    Raises:
        ValueError: if the world gave no transition.
        FloatingPointError: naming what is no finite number.
    """
    rollout.set_idle_rows_aside()
    rollout.require_finite(where)
    if not rollout.active.any():
        raise ValueError(f"{where}: the world gave no transition in {rollout.steps} steps of every copy")


class Learner:
    """Networks, optimiser and all that changes as they learn.

    Args:
        world: tells the sizes.
        config: the trainer's settings.
        optimiser: torch's class, already bound to its own settings; called with parameters and `lr`.
    """

    def __init__(self, world: VecEnv, config: Settings, optimiser: Any) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.device = torch_device(config.device)
        self.space = ActionSpace.of(world)
        actor, critic = networks(world.observation_size, self.space, config)
        self.actor, self.critic = actor.to(self.device), critic.to(self.device)
        self.parameters = [*self.actor.parameters(), *self.critic.parameters()]
        self.optimiser: torch.optim.Optimizer = optimiser(self.parameters, lr=config.learning_rate)
        self.generator = torch.Generator(self.device).manual_seed(config.seed)
        self.episodes = EpisodeStatistics()
        self.learning_rate = config.learning_rate
        self.steps = 0
        self.updates = 0
        self._figures: defaultdict[str, list[float]] = defaultdict(list)

    def where(self) -> str:
        """The moment of training, for error messages."""
        return f"update {self.updates + 1}, after {self.steps} steps"

    @torch.no_grad()
    def act(self, observation: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> Tensor:
        """A random action of every copy `[copies, size]` as drawn, on the CPU."""
        features = self.actor.normaliser(torch.from_numpy(observation).to(self.device))
        open_choices = None if mask is None else torch.from_numpy(mask).to(self.device)
        return self.actor.distribution(features, open_choices).sample(self.generator).cpu()

    def schedule_rate(self) -> None:
        """Set the learning rate of this moment."""
        config = self.config
        self.learning_rate = scheduled_rate(config.learning_rate, config.schedule, self.steps, config.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate

    def descend(self, loss: Tensor, figures: Mapping[str, Tensor]) -> None:
        """One gradient step; the figures are told, averaged, at the next `log`.

        Raises:
            FloatingPointError: if learning diverged; the networks are as they were before.
        """
        self.optimiser.zero_grad()
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.config.max_grad_norm))
        require_finite(self.where(), float(loss.detach()), norm, self.learning_rate)
        self.optimiser.step()
        self.actor.bound_log_std()
        for name, value in figures.items():
            self._figures[name].append(float(value.detach()))

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on from here."""
        return {
            "config": plain(self.config),
            "actor": self.actor.state_dict(),
            "critic": self.critic.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "episodes": self.episodes.get_state(),
            "figures": dict(self._figures),
            "steps": self.steps,
            "updates": self.updates,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; CheckpointError if it was made with other settings or for another world."""
        checkpoint.require_same(state["config"], plain(self.config), free=MAY_CHANGE)
        load_networks(self.actor, self.critic, state)
        self.optimiser.load_state_dict(state["optimiser"])
        if self.generator.get_state().shape == state["generator"].shape:  # else it was saved on another device
            self.generator.set_state(state["generator"])
        self.episodes.set_state(state["episodes"])
        self._figures = defaultdict(list, state["figures"])
        self.steps, self.updates = state["steps"], state["updates"]

    def log(self, run: Run) -> None:
        """Tell what happened since the last time, under the usual names."""
        episodes = self.episodes
        scalars = {
            **episodes.means(),
            "Policy/Learning Rate": self.learning_rate,
            "Policy/Beta": self.config.entropy_coefficient,
            **spread(self.actor),
            **{name: sum(values) / len(values) for name, values in self._figures.items()},
            "Time/Elapsed": run.elapsed_s,
            "Time/Steps per Second": run.progress.speed(self.steps),
        }
        self._figures.clear()
        run.log(self.steps, scalars)
        run.progress.show(
            self.steps, self.config.steps, success=episodes.recent_success, episode_return=episodes.recent_return
        )


def require_finite(where: str, loss: float, norm: float, rate: float) -> None:
    """Raise FloatingPointError where a loss or its gradient is no finite number."""
    if not math.isfinite(loss) or not math.isfinite(norm):
        raise FloatingPointError(
            f"{where}: learning diverged (loss {loss:g}, gradient norm {norm:g}, learning rate {rate:g}); "
            "lower learning_rate or look at the rewards"
        )


def load_networks(actor: nn.Module, critic: nn.Module, state: Mapping[str, Any]) -> None:
    """Take over saved networks; CheckpointError if they have other sizes."""
    try:
        actor.load_state_dict(state["actor"])
        critic.load_state_dict(state["critic"])
    except RuntimeError as error:
        raise checkpoint.CheckpointError(f"the checkpoint is of another task or robot: {error}") from error


def spread(actor: Policy) -> dict[str, float]:
    """The exploration noise of the continuous entries, where there are any."""
    return {"Policy/Std": float(actor.log_std.detach().exp().mean())} if actor.space.continuous else {}
