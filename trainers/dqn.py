"""Deep Q-learning (Mnih et al. 2015), with double, dueling, n-step and prioritised learning to switch on and off."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from trainers.common import off_policy
from trainers.common.actions import ActionKind, ActionSpace
from trainers.common.config import Between, Count, Fraction, Positive
from trainers.common.config import config_from as _config_from
from trainers.common.critics import follow, td_target
from trainers.common.device import torch_device
from trainers.common.distributions import CLOSED
from trainers.common.networks import mlp
from trainers.common.normaliser import Normaliser
from trainers.common.off_policy import Lesson, Moment, Settings
from trainers.common.replay import Prioritisation, Transitions
from trainers.common.run import Run
from trainers.common.schedules import Schedule
from trainers.common.trained import Trained
from trainers.common.vec_env import VecEnv

ACTIONS: frozenset[ActionKind] = frozenset({"discrete"})


@dataclass(frozen=True)
class Config(Settings):
    """Settings of DQN. The defaults suit robot tasks with some dozens of copies on 2 cores."""

    copies: Count = 64
    """Copies of the task that are stepped together."""
    warm_up_steps: Annotated[int, Between(0)] = 10_000
    """Transitions with random actions before the first gradient step."""
    updates_per_step: Positive = 0.03125
    """Gradient steps per transition."""
    buffer_size: Count = 200_000
    """Transitions remembered; the oldest go first."""
    n_step: Count = 3
    """Rewards summed up before the value of what comes next; 1 is the TD error of one step."""
    learning_rate: Positive = 5e-4
    """Of Adam; where the schedule starts."""
    schedule: Schedule = "linear"
    """Learning rate over time: kept, or brought to 0 at the last step."""
    hidden_sizes: tuple[Count, ...] = (128, 128)
    """Units of each hidden layer; when dueling, each stream has the last one of its own."""
    threads: Count = 1
    """CPU threads of a gradient step."""
    double: bool = True
    """The network chooses the next action and the target network values it; else the target network does both."""
    dueling: bool = True
    """One stream for the value of a state and one for what each choice adds; else one output per choice."""
    prioritised: bool = False
    """Draw transitions with large errors more often; else uniformly."""
    priority_exponent: Fraction = 0.6
    """α: how much more often, 0 is uniform."""
    priority_correction: Fraction = 0.4
    """β at the start: how far importance weights make up for it; it grows to 1 at the last step."""
    exploration_start: Fraction = 1.0
    """ε, the chance of a random action, at the first step."""
    exploration_end: Fraction = 0.05
    """ε once it has fallen."""
    exploration_share: Fraction = 0.2
    """Share of all steps over which ε falls, in a straight line."""
    target_rate: Annotated[float, Between(1e-6, 1.0)] = 1.0
    """τ: how far the target network moves to the network each time; 1 copies it."""
    target_interval: Count = 250
    """Gradient steps between two moves of the target network."""
    loss: Literal["squared", "huber"] = "squared"
    """Of the TD error; huber's is linear beyond an error of 1."""
    max_grad_norm: Positive = 10.0
    """The gradient is scaled down to this length."""


def config_from(settings: Mapping[str, Any]) -> Config:
    """A Config from names and values; ValueError names what is unknown or out of range."""
    return _config_from(Config, settings)


def train(make_world: Callable[[int, int], VecEnv], config: Config, run: Run) -> nn.Module:
    """The deterministic actor that DQN makes of a world: raw observations `[batch, n]` to the choices worth most.

    `off_policy.train` says how and what is raised.
    """
    return off_policy.train(make_world, Learner, config, run, prioritisation(config))


# The losses, as in the papers


def q_target(reward: Tensor, discount: Tensor, chosen_by: list[Tensor], valued_by: list[Tensor]) -> Tensor:
    """Y = r + γ^n Q'(s', argmax_a Q(s', a)), `[batch]`.

    Double Q-learning (van Hasselt et al. 2016, eq. 4) where two networks choose and value, DQN (Mnih et al. 2015) where
    one does both. With several branches, the mean over them (Tavakoli et al. 2018, eq. 6).

    Args:
        reward: Σ γ^k r_k of n steps.
        discount: γ^n, 0 beyond a true end.
        chosen_by: Q of every choice at s', `[batch, choices]` per branch, closed ones lowest.
        valued_by: Q' of the same.
    """
    best = [chooses.argmax(-1, keepdim=True) for chooses in chosen_by]
    next_value = torch.cat([values.gather(-1, index) for values, index in zip(valued_by, best, strict=True)], -1)
    return td_target(reward, discount, next_value.mean(-1))


def q_loss(value: Tensor, target: Tensor, weight: Tensor | None = None, *, huber: bool = False) -> Tensor:
    """Mean of the importance weight times half the squared error, summed over branches.

    Huber's loss, which is linear beyond an error of 1 (the clipped error of Mnih et al. 2015), is calmer where rewards
    are wild; but it learns something between mean and median where the outcome is a matter of chance.

    Args:
        value: Q of the choices made, `[batch, branches]`.
        target: y, `[batch]`.
        weight: of prioritised replay `[batch]` (Schaul et al. 2016, algorithm 1); None where all are 1.
        huber: take Huber's loss.
    """
    error = value - target.unsqueeze(-1)
    loss = nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none") if huber else 0.5 * error.square()
    loss = loss.sum(-1)
    return (loss if weight is None else loss * weight).mean()


def dueling_values(value: Tensor, advantages: list[Tensor]) -> list[Tensor]:
    """Q = V + A - mean A of every branch (Wang et al. 2016, eq. 9; Tavakoli et al. 2018, eq. 1)."""
    return [value + advantage - advantage.mean(-1, keepdim=True) for advantage in advantages]


def exploration(config: Config, steps: int) -> float:
    """ε after so many transitions."""
    falls_for = config.exploration_share * config.steps
    done = min(1.0, steps / falls_for) if falls_for > 0 else 1.0
    return config.exploration_start + (config.exploration_end - config.exploration_start) * done


def prioritisation(config: Config) -> Prioritisation | None:
    """How transitions with large errors are preferred, where they are."""
    if not config.prioritised:
        return None
    return Prioritisation(config.priority_exponent, config.priority_correction, correction_steps=config.steps)


# The networks


class QNetwork(nn.Module):
    """The value of every choice, `[batch, choices]` per branch, for normalised observations."""

    def __init__(self, observations: int, space: ActionSpace, config: Config) -> None:
        super().__init__()
        self.branches = space.branches
        self.dueling = config.dueling
        *before, last = (observations, *config.hidden_sizes)
        if self.dueling:
            self.trunk = mlp((*before, last), config.activation, last_gain=1.0)[:-1]
            self.value = mlp((before[-1], last, 1), config.activation, last_gain=1.0)
            self.advantage = mlp((before[-1], last, space.choices), config.activation, last_gain=1.0)
        else:
            self.trunk = mlp((*before, last, space.choices), config.activation, last_gain=1.0)

    def forward(self, features: Tensor) -> list[Tensor]:
        """The values."""
        hidden = self.trunk(features)
        if not self.dueling:
            return list(hidden.split(self.branches, -1))
        return dueling_values(self.value(hidden), list(self.advantage(hidden).split(self.branches, -1)))


class GreedyPolicy(nn.Module):
    """Takes the open choice worth most in every branch.

    Calling it gives the numbers chosen `[batch, branches]` as floats for raw observations `[batch, size]`.
    """

    def __init__(self, network: QNetwork, normaliser: Normaliser, space: ActionSpace) -> None:
        super().__init__()
        self.normaliser = normaliser
        self.network = network
        self.space = space

    def values(self, observation: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Q of every choice for raw observations, `[batch, choices]` per branch, closed ones lowest."""
        return closed_lowest(self.network(self.normaliser(observation)), mask, self.space.branches)

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """The choices."""
        return torch.cat([values.argmax(-1, keepdim=True) for values in self.values(observation, mask)], -1).float()


def closed_lowest(values: list[Tensor], mask: Tensor | None, branches: tuple[int, ...]) -> list[Tensor]:
    """Values whose closed choices, `mask` `[batch, all choices]` False, can't be the largest."""
    if mask is None:
        return values
    open_choices = mask.split(branches, -1)
    return [torch.where(there, part, CLOSED) for part, there in zip(values, open_choices, strict=True)]


# The learner


class Learner:
    """Networks and all that changes as they learn."""

    def __init__(self, world: VecEnv, config: Config) -> None:
        self.space = ActionSpace.of(world)
        self.space.require(ACTIONS, "dqn")
        torch.manual_seed(config.seed)
        self.config = config
        device = torch_device(config.device)
        self.normaliser = off_policy.make_normaliser(world, config)
        network = QNetwork(world.observation_size, self.space, config)
        self.actor = GreedyPolicy(network, self.normaliser, self.space).to(device)
        self.network = network
        self.target = deepcopy(network).requires_grad_(False)
        self.trained = Trained(config, device, learning={"actor": self.actor}, following={"target": self.target})
        self.exploring = torch.Generator().manual_seed(config.seed)  # on the CPU, where random actions are drawn
        self.epsilon = config.exploration_start

    def act(self, observation: Tensor, mask: Tensor | None, moment: Moment) -> Tensor:
        """The best choices, or with chance ε, drawn for each copy, random ones."""
        self.trained.schedule(moment.steps)
        self.epsilon = exploration(self.config, moment.steps)
        greedy = self.actor(observation, mask)
        copies = len(observation)
        strays = torch.rand(copies, 1, generator=self.exploring) < self.epsilon
        anything = off_policy.random_actions(self.space, copies, None if mask is None else mask.cpu(), self.exploring)
        return torch.where(strays.to(greedy.device), anything.to(greedy.device), greedy)

    def learn(self, batch: Transitions) -> Lesson:
        """One gradient step on the loss of a batch."""
        target = self._target_values(batch)
        values = self.network(self.normaliser(batch.observation))
        choice = batch.action.long()
        made = torch.cat([part.gather(-1, choice[:, [i]]) for i, part in enumerate(values)], -1)
        loss = q_loss(made, target, batch.weight, huber=self.config.loss == "huber")
        self.trained.descend("actor", loss, self.config.max_grad_norm)
        self.trained.gradient_steps += 1
        if self.trained.gradient_steps % self.config.target_interval == 0:
            follow(self.target, self.network, self.config.target_rate)
        made = made.detach()
        error = (made - target.unsqueeze(-1)).abs().mean(-1) if batch.weight is not None else None
        figures = {
            "Losses/Q Loss": loss.detach(),
            "Policy/Extrinsic Value Estimate": made.mean(),
            "Policy/Epsilon": torch.tensor(self.epsilon),
            **self.trained.figures(),
        }
        return Lesson(figures, error)

    @torch.no_grad()
    def _target_values(self, batch: Transitions) -> Tensor:
        features, branches = self.normaliser(batch.next_observation), self.space.branches
        valued_by = chosen_by = closed_lowest(self.target(features), batch.next_mask, branches)
        if self.config.double:
            chosen_by = closed_lowest(self.network(features), batch.next_mask, branches)
        return q_target(batch.reward, batch.discount, chosen_by, valued_by)

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on from here."""
        return {**self.trained.get_state(), "exploring": self.exploring.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; CheckpointError if it was made with other settings or for another world."""
        self.trained.set_state(state)
        self.exploring.set_state(state["exploring"])
