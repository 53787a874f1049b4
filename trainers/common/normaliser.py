"""Running mean and variance of what a network sees or predicts."""

import math

import torch
from torch import Tensor, nn


class Normaliser(nn.Module):
    """Maps `[…, size]` to zero mean and unit variance over all rows seen so far, clipped to ±clip.

    `forward` never learns; `update` does, in float64, and only in training mode.

    Args:
        size: of a value.
        clip: normalised values are clipped to ± this, in standard deviations.
        minimum_std: what hardly changes is not blown up to noise.
        learns: False leaves every value as it is, unclipped, for ever.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(self, size: int, *, clip: float = 5.0, minimum_std: float = 1e-3, learns: bool = True) -> None:
        super().__init__()
        self.clip = clip if learns else math.inf
        self.learns = learns
        self.minimum_std = minimum_std
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(size, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("shift", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def forward(self, value: Tensor) -> Tensor:
        """The normalised value, float32."""
        normal = (value - self.shift) * self.scale
        return normal.clamp(-self.clip, self.clip) if math.isfinite(self.clip) else normal

    def inverse(self, normal: Tensor) -> Tensor:
        """The value that an (unclipped) normalised value stands for."""
        return normal / self.scale + self.shift

    @torch.no_grad()
    def update(self, rows: Tensor) -> None:
        """Take in rows `[n, size]`; nothing happens in evaluation mode.

        Merges the two sets' moments as in Chan, Golub, LeVeque 1979, which loses no precision however long the run.
        """
        if not (self.learns and self.training) or len(rows) == 0:
            return
        rows = rows.to(torch.float64)
        variance, mean = torch.var_mean(rows, dim=0, correction=0)
        total = self.count + len(rows)
        new_share = len(rows) / total
        step = mean - self.mean
        self.variance.mul_(1 - new_share).add_(variance * new_share + step.square() * new_share * (1 - new_share))
        self.mean.add_(step * new_share)
        self.count.copy_(total)
        self.shift.copy_(self.mean)
        self.scale.copy_(self.variance.sqrt().clamp(min=self.minimum_std).reciprocal())
