"""A policy that gives one action, and the noise with which it explores."""

from typing import Literal

import torch
from torch import Tensor, nn

from trainers.common.actions import ActionSpace
from trainers.common.normaliser import Normaliser

NoiseKind = Literal["gaussian", "ornstein_uhlenbeck"]
REVERSION = 0.15
"""θ of the Ornstein-Uhlenbeck process, per decision (Lillicrap et al. 2016, sec. 7)."""


class DeterministicPolicy(nn.Module):
    """A tanh-bounded MLP of the normalised observation.

    Calling it gives the action `[batch, space.size]`, each entry in [-1, 1], for raw observations `[batch, size]`.

    Args:
        body: from normalised observations to a number per entry.
        normaliser: of the observations.
        space: what an action is made of; continuous only.
    """

    def __init__(self, body: nn.Sequential, normaliser: Normaliser, space: ActionSpace) -> None:
        super().__init__()
        self.normaliser = normaliser
        self.body = body
        self.space = space

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """The action; continuous actions have no mask."""
        return self.body(self.normaliser(observation)).tanh()


class Noise:
    """What is added to the actions of every copy, `[copies, actions]`; in action units.

    Args:
        kind: independent draws, or draws that drift: x' = x - θ x + σ ε, which pushes a body with inertia further.
        std: of one draw, σ, per copy `[copies, 1]`.
        actions: entries of an action.
        generator: whence the draws come.
    """

    def __init__(self, kind: NoiseKind, std: Tensor, actions: int, generator: torch.Generator) -> None:
        self.kind = kind
        self._std = std
        self._generator = generator
        self.value = torch.zeros(len(std), actions, device=std.device)

    def draw(self) -> Tensor:
        """The next one."""
        self.value = drifted(self.value, self._fresh()) if self.kind == "ornstein_uhlenbeck" else self._fresh()
        return self.value

    def restart(self, rows: Tensor) -> None:
        """Begin at 0 again in the copies `[copies]` whose episode ended."""
        self.value[rows] = 0.0

    def _fresh(self) -> Tensor:
        return torch.empty_like(self.value).normal_(generator=self._generator) * self._std


def drifted(value: Tensor, push: Tensor) -> Tensor:
    """One step of the Ornstein-Uhlenbeck process about 0: x - θ x + push (Uhlenbeck & Ornstein 1930, per decision)."""
    return value * (1 - REVERSION) + push


def spread(std: float, factor: float, copies: int) -> Tensor:
    """A std per copy `[copies, 1]` from std / factor to std x factor, evenly spaced in logarithm; std for one copy.

    After the exploration of Horgan et al. 2018 (sec. 4.1), whose actors each have an ε of their own.
    """
    place = torch.linspace(-1, 1, copies) if copies > 1 else torch.zeros(1)
    return std * factor ** place.unsqueeze(-1)


def policy_loss(value: Tensor) -> Tensor:
    """-mean Q(s, π(s)), whose gradient is the deterministic policy gradient (Silver et al. 2014, eq. 9)."""
    return -value.mean()
