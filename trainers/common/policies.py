"""The stochastic policies of the on-policy trainers."""

import math

import torch
from torch import Tensor, nn

from trainers.common.actions import ActionSpace
from trainers.common.distributions import Distribution, world_action
from trainers.common.memory import Memory
from trainers.common.networks import LOG_STD_RANGE
from trainers.common.normaliser import Normaliser
from trainers.common.recurrent import LstmBody


class StochasticPolicy(nn.Module):
    """What policies with and without a memory share.

    Args:
        normaliser: of the observations.
        space: what an action is made of.
        initial_std: exploration noise of the continuous entries at the start.
    """

    def __init__(self, normaliser: Normaliser, space: ActionSpace, initial_std: float) -> None:
        super().__init__()
        self.normaliser = normaliser
        self.space = space
        self.log_std = nn.Parameter(torch.full((space.continuous,), math.log(initial_std)))

    def given(self, outputs: Tensor, mask: Tensor | None = None) -> Distribution:
        """What it would do where its network gives these outputs `[…, space.outputs]`."""
        return Distribution(self.space, outputs, self.log_std, mask)

    @torch.no_grad()
    def bound_log_std(self) -> None:
        """Bring the exploration noise back into its range."""
        self.log_std.clamp_(*LOG_STD_RANGE)


class Policy(StochasticPolicy):
    """A network of the normalised observation that gives a `Distribution` over actions of any kind.

    Calling it gives the deterministic action `[batch, space.size]` for raw observations `[batch, size]`: continuous
    entries in [-1, 1], then the number of the likeliest open choice of each branch.

    Args:
        body: from normalised observations to `space.outputs` numbers.
        normaliser: of the observations.
        space: what an action is made of.
        initial_std: exploration noise of the continuous entries at the start.
    """

    def __init__(self, body: nn.Module, normaliser: Normaliser, space: ActionSpace, initial_std: float = 0.6) -> None:
        super().__init__(normaliser, space, initial_std)
        self.body = body

    def distribution(self, features: Tensor, mask: Tensor | None = None) -> Distribution:
        """What it would do for normalised observations `[…, size]`."""
        return self.given(self.body(features), mask)

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """The deterministic action."""
        return self.distribution(self.normaliser(observation), mask).mode()

    def sample(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """A random action as the world gets it."""
        return world_action(self.distribution(self.normaliser(observation), mask).sample(), self.space)


class RecurrentPolicy(StochasticPolicy):
    """A policy that remembers: it takes and gives the state of its LSTM, hidden and cell, each `[batch, memory]`.

    An episode begins with zeros. Otherwise as `Policy`.
    """

    def __init__(self, body: LstmBody, normaliser: Normaliser, space: ActionSpace, initial_std: float = 0.6) -> None:
        super().__init__(normaliser, space, initial_std)
        self.body = body

    @property
    def memory(self) -> int:
        """Size of the LSTM's state."""
        return self.body.memory

    def forward(
        self, observation: Tensor, hidden: Tensor, cell: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The deterministic action and the new state."""
        outputs, memory = self.body.step(self.normaliser(observation), Memory(hidden, cell))
        return self.given(outputs, mask).mode(), memory.hidden, memory.cell

    def sample(
        self, observation: Tensor, hidden: Tensor, cell: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A random action as the world gets it, and the new state."""
        outputs, memory = self.body.step(self.normaliser(observation), Memory(hidden, cell))
        return world_action(self.given(outputs, mask).sample(), self.space), memory.hidden, memory.cell
