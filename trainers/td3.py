"""Twin delayed deep deterministic policy gradient (Fujimoto et al. 2018, arXiv 1802.09477)."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from trainers.common import off_policy
from trainers.common.actions import ActionKind, ActionSpace
from trainers.common.config import Between, Count, Fraction, NotNegative
from trainers.common.config import config_from as _config_from
from trainers.common.critics import Ensemble, follow, frozen, squared_td_error, td_target
from trainers.common.deterministic import DeterministicPolicy, Noise, NoiseKind, policy_loss, spread
from trainers.common.device import torch_device
from trainers.common.networks import mlp
from trainers.common.off_policy import Lesson, Moment, Settings
from trainers.common.replay import Transitions
from trainers.common.run import Run
from trainers.common.trained import Trained
from trainers.common.vec_env import VecEnv

ACTIONS: frozenset[ActionKind] = frozenset({"continuous"})


@dataclass(frozen=True)
class Config(Settings):
    """Settings of TD3. The defaults are for few copies; recipes say what suits many."""

    tau: Fraction = 0.005
    """τ: how far the targets move towards their networks at each step of the actor."""
    policy_interval: Count = 2
    """d: gradient steps of the critics per one of the actor."""
    noise: NoiseKind = "gaussian"
    """Exploration noise: independent draws, or draws that drift (Ornstein-Uhlenbeck)."""
    noise_std: NotNegative = 0.1
    """σ of one draw, in action units."""
    noise_spread: Annotated[float, Between(1.0)] = 1.0
    """The copies' noise lies between σ / this and σ x this, so that many copies explore at every scale at once."""
    target_noise: NotNegative = 0.2
    """σ̃ of the noise on the target's action, in action units."""
    target_noise_clip: NotNegative = 0.5
    """c: that noise is clipped to ± this, in action units."""


def config_from(settings: Mapping[str, Any]) -> Config:
    """A Config from names and values; ValueError names what is unknown or out of range."""
    return _config_from(Config, settings)


def train(make_world: Callable[[int, int], VecEnv], config: Config, run: Run) -> nn.Module:
    """The deterministic actor that TD3 makes of a world; `off_policy.train` says how and what is raised."""
    return off_policy.train(make_world, Learner, config, run)


# The target, as in the paper


def smoothed(action: Tensor, noise: Tensor, clip: float) -> Tensor:
    """ã = clip(π'(s') + clip(ε, -c, c), -1, 1): the target's action and what is near it (sec. 5.3, algorithm 1)."""
    return (action + noise.clamp(-clip, clip)).clamp(-1.0, 1.0)


def clipped_double_value(value: Tensor) -> Tensor:
    """The smaller one of what the twins say `[2, batch]` (sec. 4.2, eq. 10)."""
    return value.amin(0)


# The learner


class Learner:
    """Networks and all that changes as they learn."""

    def __init__(self, world: VecEnv, config: Config) -> None:
        space = ActionSpace.of(world)
        space.require(ACTIONS, "td3")
        torch.manual_seed(config.seed)
        device = torch_device(config.device)
        inputs = world.observation_size
        body = mlp((inputs, *config.hidden_sizes, space.size), config.activation, last_gain=0.01)
        self.config = config
        self.normaliser = off_policy.make_normaliser(world, config)
        self.actor = DeterministicPolicy(body, self.normaliser, space).to(device)
        self.critics = Ensemble(2, (inputs + space.size, *config.hidden_sizes, 1), config.activation).to(device)
        self.target_actor = deepcopy(self.actor.body).requires_grad_(False)
        self.target_critics = deepcopy(self.critics).requires_grad_(False)
        self.trained = Trained(
            config,
            device,
            learning={"actor": self.actor, "critics": self.critics},
            following={"target_actor": self.target_actor, "target_critics": self.target_critics},
        )
        std = spread(config.noise_std, config.noise_spread, world.num_envs).to(device)
        self.noise = Noise(config.noise, std, space.size, self.trained.generator)

    def act(self, observation: Tensor, mask: Tensor | None, moment: Moment) -> Tensor:
        """The actor's action plus noise."""
        self.trained.schedule(moment.steps)
        self.noise.restart(moment.begins)
        return (self.actor(observation) + self.noise.draw()).clamp(-1.0, 1.0)

    def learn(self, batch: Transitions) -> Lesson:
        """One gradient step of the critics; every `policy_interval` of them one of the actor and of all targets."""
        features, next_features = self.normaliser(batch.observation), self.normaliser(batch.next_observation)
        figures, error = self._learn_critics(batch, features, next_features)
        self.trained.gradient_steps += 1
        if self.trained.gradient_steps % self.config.policy_interval == 0:
            figures |= self._learn_actor(features)
            follow(self.target_critics, self.critics, self.config.tau)
            follow(self.target_actor, self.actor.body, self.config.tau)
        return Lesson(figures, error)

    def _learn_critics(
        self, batch: Transitions, features: Tensor, next_features: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Bring both twins to y = r + γ min Q'(s', ã) (algorithm 1)."""
        config = self.config
        with torch.no_grad():
            noise = torch.empty_like(batch.action).normal_(generator=self.trained.generator) * config.target_noise
            action = smoothed(self.target_actor(next_features).tanh(), noise, config.target_noise_clip)
            next_value = self.target_critics(torch.cat((next_features, action), -1)).squeeze(-1)
            target = td_target(batch.reward, batch.discount, clipped_double_value(next_value))
        value = self.critics(torch.cat((features, batch.action), -1)).squeeze(-1)
        losses = squared_td_error(value, target, batch.weight)
        self.trained.descend("critics", losses.sum())
        found = losses.detach()
        figures = {"Losses/Q1 Loss": found[0], "Losses/Q2 Loss": found[1], "Policy/Extrinsic Value": target.mean()}
        return figures, (value.detach() - target).abs().mean(0)

    def _learn_actor(self, features: Tensor) -> dict[str, Tensor]:
        """Raise what the first twin says of the actor's action."""
        with frozen(self.critics):
            action = self.actor.body(features).tanh()
            loss = policy_loss(self.critics.first(torch.cat((features, action), -1)))
            self.trained.descend("actor", loss)
        return {"Losses/Policy Loss": loss.detach(), **self.trained.figures()}

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on from here."""
        return {**self.trained.get_state(), "noise": self.noise.value}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; CheckpointError if it was made with other settings or for another world."""
        self.trained.set_state(state)
        self.noise.value.copy_(state["noise"])
