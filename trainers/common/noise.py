"""Random draws that last: each is like the one before, so that a body which averages its actions still moves."""

import math

import torch
from torch import Tensor


class DriftingNoise:
    """Standard normal noise of every copy, each draw correlated with that of the decision before.

    Every single draw has the distribution of independent ones, so that a policy which acts with it still acts by its
    own probabilities; but the draws of neighbouring decisions agree, which moves a body that averages them (Eberhard et
    al. 2023, Pink Noise Is All You Need; here with the exponential correlation of an Ornstein-Uhlenbeck process).

    Args:
        copies: rows of a draw.
        entries: columns of a draw.
        correlation: ρ of neighbouring draws, in [0, 1); 0 for independent ones.
        generator: whence the draws come; they live where it does.
    """

    def __init__(self, copies: int, entries: int, correlation: float, generator: torch.Generator) -> None:
        self._correlation = correlation
        self._generator = generator
        self.value = torch.zeros(copies, entries, device=generator.device)

    def draw(self, begins: Tensor) -> Tensor:
        """The next one `[copies, entries]`, unlike the last in the rows `[copies]` where an episode begins."""
        fresh = torch.empty_like(self.value).normal_(generator=self._generator)
        kept = torch.where(begins.to(fresh.device), 0.0, self._correlation).unsqueeze(-1)
        self.value = kept * self.value + (1 - kept.square()).sqrt() * fresh
        return self.value


def spread_evenly(noise: Tensor) -> Tensor:
    """Standard normal draws as actions that are uniform in [-1, 1]: 2 Φ(x) - 1, with Φ the normal distribution."""
    return torch.erf(noise / math.sqrt(2.0))
