"""Deep deterministic policy gradient (Lillicrap et al. 2016, arXiv 1509.02971)."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from trainers.common import off_policy
from trainers.common.actions import ActionKind, ActionSpace
from trainers.common.config import Between, Fraction, NotNegative, Positive
from trainers.common.config import config_from as _config_from
from trainers.common.critics import follow, frozen, squared_td_error, td_target
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
    """Settings of DDPG. The defaults are for few copies; recipes say what suits many."""

    actor_rate_share: Positive = 1.0
    """The actor's learning rate as a share of the critic's; the paper has 0.1."""
    tau: Fraction = 0.005
    """τ: how far the targets move towards their networks at each gradient step."""
    noise: NoiseKind = "ornstein_uhlenbeck"
    """Exploration noise: draws that drift, as in the paper, or independent ones."""
    noise_std: NotNegative = 0.2
    """σ of one draw, in action units."""
    noise_spread: Annotated[float, Between(1.0)] = 1.0
    """The copies' noise lies between σ / this and σ x this, so that many copies explore at every scale at once."""


def config_from(settings: Mapping[str, Any]) -> Config:
    """A Config from names and values; ValueError names what is unknown or out of range."""
    return _config_from(Config, settings)


def train(make_world: Callable[[int, int], VecEnv], config: Config, run: Run) -> nn.Module:
    """The deterministic actor that DDPG makes of a world; `off_policy.train` says how and what is raised."""
    return off_policy.train(make_world, Learner, config, run)


# The learner


class Learner:
    """Networks and all that changes as they learn."""

    def __init__(self, world: VecEnv, config: Config) -> None:
        space = ActionSpace.of(world)
        space.require(ACTIONS, "ddpg")
        torch.manual_seed(config.seed)
        device = torch_device(config.device)
        inputs = world.observation_size
        body = mlp((inputs, *config.hidden_sizes, space.size), config.activation, last_gain=0.01)
        self.config = config
        self.normaliser = off_policy.make_normaliser(world, config)
        self.actor = DeterministicPolicy(body, self.normaliser, space).to(device)
        self.critic = mlp((inputs + space.size, *config.hidden_sizes, 1), config.activation, last_gain=0.01).to(device)
        self.target_actor = deepcopy(self.actor.body).requires_grad_(False)
        self.target_critic = deepcopy(self.critic).requires_grad_(False)
        self.trained = Trained(
            config,
            device,
            learning={"actor": self.actor, "critic": self.critic},
            following={"target_actor": self.target_actor, "target_critic": self.target_critic},
            rate_share={"actor": config.actor_rate_share},
        )
        std = spread(config.noise_std, config.noise_spread, world.num_envs).to(device)
        self.noise = Noise(config.noise, std, space.size, self.trained.generator)

    def act(self, observation: Tensor, mask: Tensor | None, moment: Moment) -> Tensor:
        """The actor's action plus noise."""
        self.trained.schedule(moment.steps)
        self.noise.restart(moment.begins)
        return (self.actor(observation) + self.noise.draw()).clamp(-1.0, 1.0)

    def learn(self, batch: Transitions) -> Lesson:
        """One gradient step of the critic and one of the actor; both targets follow."""
        features, next_features = self.normaliser(batch.observation), self.normaliser(batch.next_observation)
        figures, error = self._learn_critic(batch, features, next_features)
        figures |= self._learn_actor(features)
        follow(self.target_critic, self.critic, self.config.tau)
        follow(self.target_actor, self.actor.body, self.config.tau)
        self.trained.gradient_steps += 1
        return Lesson(figures, error)

    def _learn_critic(
        self, batch: Transitions, features: Tensor, next_features: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Bring Q to y = r + γ Q'(s', π'(s')) (algorithm 1)."""
        with torch.no_grad():
            action = self.target_actor(next_features).tanh()
            next_value = self.target_critic(torch.cat((next_features, action), -1)).squeeze(-1)
            target = td_target(batch.reward, batch.discount, next_value)
        value = self.critic(torch.cat((features, batch.action), -1)).squeeze(-1)
        loss = squared_td_error(value, target, batch.weight)
        self.trained.descend("critic", loss)
        return {"Losses/Q Loss": loss.detach(), "Policy/Extrinsic Value": target.mean()}, (
            value.detach() - target
        ).abs()

    def _learn_actor(self, features: Tensor) -> dict[str, Tensor]:
        """Raise what the critic says of the actor's action."""
        with frozen(self.critic):
            action = self.actor.body(features).tanh()
            loss = policy_loss(self.critic(torch.cat((features, action), -1)))
            self.trained.descend("actor", loss)
        return {"Losses/Policy Loss": loss.detach(), **self.trained.figures()}

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on from here."""
        return {**self.trained.get_state(), "noise": self.noise.value}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; CheckpointError if it was made with other settings or for another world."""
        self.trained.set_state(state)
        self.noise.value.copy_(state["noise"])
