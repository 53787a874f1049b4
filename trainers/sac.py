"""Soft actor-critic (Haarnoja et al. 2018, arXiv 1812.05905): return and entropy together, learned off-policy.

Continuous actions as in the paper, discrete ones by expectation over the choices (Christodoulou 2019, arXiv
1910.07207), both at once with a critic that takes the continuous part and values every choice (Delalleau et al. 2019,
arXiv 1912.11077). Several branches are valued one by one and added up.
"""

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from trainers.common import off_policy
from trainers.common.actions import ActionKind, ActionSpace
from trainers.common.config import Between, Count, Fraction, Positive
from trainers.common.config import config_from as _config_from
from trainers.common.critics import Ensemble, follow, frozen, squared_td_error, td_target
from trainers.common.device import torch_device
from trainers.common.networks import mlp
from trainers.common.noise import DriftingNoise
from trainers.common.off_policy import Lesson, Moment, Settings
from trainers.common.replay import Transitions
from trainers.common.run import Run
from trainers.common.squashed import Intention, SquashedPolicy
from trainers.common.trained import Trained
from trainers.common.vec_env import VecEnv

ACTIONS: frozenset[ActionKind] = frozenset({"continuous", "discrete", "hybrid"})


@dataclass(frozen=True)
class Config(Settings):
    """Settings of SAC. The defaults are the paper's, for few copies; recipes say what suits many."""

    learning_rate: Positive = 3e-4
    """Of Adam, for actor, critics and temperature; where the schedule starts."""
    tau: Annotated[float, Between(0.0, 1.0)] = 0.005
    """τ: how far the target critics move towards the critics at each gradient step."""
    policy_interval: Count = 1
    """Gradient steps of the critics per one of actor and temperature."""
    initial_temperature: Positive = 1.0
    """α at the start: the worth of one nat of entropy, in reward units."""
    learn_temperature: bool = True
    """Whether α is steered to the target entropy, or kept."""
    target_entropy: float = -1.0
    """Entropy aimed at per continuous entry, in nats; a uniform entry has ln 2 = 0.69."""
    target_entropy_share: Fraction = 0.2
    """Entropy aimed at per discrete branch, as a share of that of a random choice among the open ones."""
    noise_correlation: Annotated[float, Between(0.0, 0.999)] = 0.0
    """ρ: how much the noise of an action is like that of the decision before; the policy's own spread stays."""


def config_from(settings: Mapping[str, Any]) -> Config:
    """A Config from names and values; ValueError names what is unknown or out of range."""
    return _config_from(Config, settings)


def train(make_world: Callable[[int, int], VecEnv], config: Config, run: Run) -> nn.Module:
    """The deterministic actor that SAC makes of a world; `off_policy.train` says how and what is raised."""
    return off_policy.train(make_world, Learner, config, run)


# The losses, as in the papers


def expected_value(value: Tensor, branches: list[Tensor]) -> Tensor:
    """Q of the drawn continuous entries, in expectation over the choices: Σ_b Σ_a π_b(a) Q_b(a), `[…]`.

    Args:
        value: `[…, all choices]`, or `[…, 1]` without branches.
        branches: ln π of the choices of each branch.
    """
    if not branches:
        return value.squeeze(-1)
    return (torch.cat(branches, dim=-1).exp() * value).sum(-1)


def value_of_taken(value: Tensor, choices: Tensor, branches: tuple[int, ...]) -> Tensor:
    """Q of the choices made, summed over branches; `value` `[…, all choices]`, `choices` `[batch, branches]`."""
    if not branches:
        return value.squeeze(-1)
    first = torch.tensor([0, *branches[:-1]], device=choices.device).cumsum(0)
    index = (choices.long() + first).expand(*value.shape[:-1], len(branches))
    return value.gather(-1, index).sum(-1)


def soft_value(value: Tensor, intention: Intention, temperature: Tensor) -> Tensor:
    """V(s) = E[min Q - α ln π] (Haarnoja et al. 2018, eq. 3; for choices Christodoulou 2019, eq. 10), `[batch]`.

    Args:
        value: Q of every twin, `[twins, batch, outputs]`.
        intention: whose continuous part was given to the critics.
        temperature: α of the continuous entries together, then of each branch.
    """
    return expected_value(value.amin(0), intention.branches) + (temperature * intention.entropies()).sum(-1)


def policy_loss(value: Tensor, intention: Intention, temperature: Tensor) -> Tensor:
    """J_π = E[α ln π - min Q] (Haarnoja et al. 2018, eq. 7; Christodoulou 2019, eq. 12): raise the soft value."""
    return -soft_value(value, intention, temperature).mean()


def temperature_loss(log_temperature: Tensor, entropies: Tensor, wanted: Tensor) -> Tensor:
    """J(α) = E[ln α (H - wanted H)] (Haarnoja et al. 2018, eq. 18, with ln α for α as in the authors' code)."""
    return (log_temperature * (entropies - wanted).detach()).mean(0).sum()


def wanted_entropies(space: ActionSpace, per_entry: float, share: float, mask: Tensor | None) -> Tensor:
    """The entropies to steer to, `[columns]` or `[batch, columns]`, in the order of `Intention.entropies`.

    Where a mask closes choices, only the open ones count.
    """
    continuous = [torch.tensor(per_entry * space.continuous)] if space.continuous else []
    if mask is None:
        branches = [torch.tensor(share * math.log(choices)) for choices in space.branches]
        return torch.stack([*continuous, *branches])
    branches = [share * part.sum(-1).clamp(min=1).log() for part in mask.split(space.branches, dim=-1)]
    return torch.stack([*(entry.to(mask.device).expand(len(mask)) for entry in continuous), *branches], dim=-1)


# The learner


class Temperature(nn.Module):
    """α as its logarithm: one of the continuous entries together, then one per discrete branch."""

    def __init__(self, space: ActionSpace, initial: float) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.full((bool(space.continuous) + len(space.branches),), math.log(initial)))


class Learner:
    """Networks and all that changes as they learn."""

    def __init__(self, world: VecEnv, config: Config) -> None:
        space = ActionSpace.of(world)
        space.require(ACTIONS, "sac")
        space.require_continuous("noise_correlation", config.noise_correlation)
        torch.manual_seed(config.seed)
        device = torch_device(config.device)
        inputs, hidden = world.observation_size, config.hidden_sizes
        body = mlp((inputs, *hidden, SquashedPolicy.outputs(space)), config.activation, last_gain=0.01)
        critic_sizes = (inputs + space.continuous, *hidden, max(space.choices, 1))
        self.config = config
        self.normaliser = off_policy.make_normaliser(world, config)
        self.actor = SquashedPolicy(body, self.normaliser, space).to(device)
        self.critics = Ensemble(2, critic_sizes, config.activation).to(device)
        self.target_critics = deepcopy(self.critics).requires_grad_(False)
        self.temperature = Temperature(space, config.initial_temperature).to(device)
        self.trained = Trained(
            config,
            device,
            learning={"actor": self.actor, "critics": self.critics, "temperature": self.temperature},
            following={"target_critics": self.target_critics},
        )
        self.noise = DriftingNoise(world.num_envs, space.continuous, config.noise_correlation, self.trained.generator)
        self._wanted = wanted_entropies(space, config.target_entropy, config.target_entropy_share, None).to(device)

    def act(self, observation: Tensor, mask: Tensor | None, moment: Moment) -> Tensor:
        """A draw of the policy."""
        self.trained.schedule(moment.steps)
        noise = self.noise.draw(moment.begins)
        return self.actor.sample(observation, mask, self.trained.generator, noise)

    def learn(self, batch: Transitions) -> Lesson:
        """One gradient step of the critics, and where it is due one of actor and temperature."""
        features, next_features = self.normaliser(batch.observation), self.normaliser(batch.next_observation)
        alpha = self.temperature.log.detach().exp()
        figures, error = self._learn_critics(batch, features, next_features, alpha)
        if self.trained.gradient_steps % self.config.policy_interval == 0:
            figures |= self._learn_actor(features, batch.mask, alpha)
        follow(self.target_critics, self.critics, self.config.tau)
        self.trained.gradient_steps += 1
        return Lesson(figures, error)

    def _learn_critics(
        self, batch: Transitions, features: Tensor, next_features: Tensor, alpha: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """J_Q = E[½ (Q - y)²] of both twins, y = r + γ V(s') (Haarnoja et al. 2018, eq. 5)."""
        space = self.actor.space
        with torch.no_grad():
            intention = self.actor.intention(next_features, batch.next_mask, self.trained.generator)
            next_value = self.target_critics(_joined(next_features, intention.continuous))
            target = td_target(batch.reward, batch.discount, soft_value(next_value, intention, alpha))
        action, choices = batch.action[:, : space.continuous], batch.action[:, space.continuous :]
        value = value_of_taken(self.critics(_joined(features, action)), choices, space.branches)
        losses = 0.5 * squared_td_error(value, target, batch.weight)
        self.trained.descend("critics", losses.sum())
        found = losses.detach()
        figures = {"Losses/Q1 Loss": found[0], "Losses/Q2 Loss": found[1], "Policy/Extrinsic Value": target.mean()}
        return figures, (value.detach() - target).abs().mean(0)

    def _learn_actor(self, features: Tensor, mask: Tensor | None, alpha: Tensor) -> dict[str, Tensor]:
        """Raise the soft value, and move α to where the wanted entropy is kept."""
        config, space = self.config, self.actor.space
        intention = self.actor.intention(features, mask, self.trained.generator)
        with frozen(self.critics):
            value = self.critics(_joined(features, intention.continuous))
            loss = policy_loss(value, intention, alpha)
            self.trained.descend("actor", loss)
        entropies = intention.entropies().detach()
        if config.learn_temperature:
            wanted = self._wanted
            if mask is not None:
                wanted = wanted_entropies(space, config.target_entropy, config.target_entropy_share, mask)
            self.trained.descend("temperature", temperature_loss(self.temperature.log, entropies, wanted))
        figures = {"Losses/Policy Loss": loss.detach(), "Policy/Entropy": entropies.sum(-1).mean()}
        figures |= self.trained.figures()
        if space.continuous:
            figures["Policy/Continuous Entropy Coeff"] = alpha[0]
        if space.branches:
            figures["Policy/Discrete Entropy Coeff"] = alpha[-len(space.branches) :].mean()
        return figures

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on from here."""
        return {**self.trained.get_state(), "noise": self.noise.value}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; CheckpointError if it was made with other settings or for another world."""
        self.trained.set_state(state)
        self.noise.value.copy_(state["noise"])


def _joined(features: Tensor, action: Tensor) -> Tensor:
    """What critics look at."""
    return torch.cat((features, action), dim=-1) if action.shape[-1] else features
