"""The stochastic policy of the on-policy trainers."""

import math

import torch
from torch import Tensor, nn

from trainers.common.actions import ActionSpace
from trainers.common.distributions import Distribution, world_action
from trainers.common.networks import LOG_STD_RANGE
from trainers.common.normaliser import Normaliser


class Policy(nn.Module):
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
        super().__init__()
        self.normaliser = normaliser
        self.body = body
        self.space = space
        self.log_std = nn.Parameter(torch.full((space.continuous,), math.log(initial_std)))

    def distribution(self, features: Tensor, mask: Tensor | None = None) -> Distribution:
        """What it would do for normalised observations `[…, size]`."""
        return Distribution(self.space, self.body(features), self.log_std, mask)

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """The deterministic action."""
        return self.distribution(self.normaliser(observation), mask).mode()

    def sample(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """A random action as the world gets it."""
        return world_action(self.distribution(self.normaliser(observation), mask).sample(), self.space)

    @torch.no_grad()
    def bound_log_std(self) -> None:
        """Bring the exploration noise back into its range."""
        self.log_std.clamp_(*LOG_STD_RANGE)
