"""A stochastic policy whose continuous entries are squashed into [-1, 1], and which knows what it will do by itself."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainers.common.actions import ActionSpace
from trainers.common.distributions import categorical_entropy, exponential_like, log_choices, normal_like
from trainers.common.normaliser import Normaliser

LOG_STD_RANGE = (-20.0, 2.0)
"""Of the Gaussian before it is squashed, as in the authors' code (Haarnoja et al. 2018)."""


@dataclass(frozen=True)
class Intention:
    """What a policy would do next in each row."""

    continuous: Tensor
    """One draw of the continuous entries, `[batch, n]`, each in (-1, 1)."""
    log_density: Tensor
    """Ln π of that draw, `[batch]`, in nats."""
    branches: list[Tensor]
    """Ln of the probability of every choice, `[batch, choices]` per discrete branch."""

    def entropies(self) -> Tensor:
        """One column for all continuous entries (an estimate: -ln π of the draw), then one per branch; in nats."""
        continuous = [-self.log_density] if self.continuous.shape[-1] else []
        return torch.stack((*continuous, *map(categorical_entropy, self.branches)), dim=-1)


def squashed_log_density(raw: Tensor, noise: Tensor, log_std: Tensor) -> Tensor:
    """Ln π of tanh(raw), where raw = mean + std x noise; summed over the last axis.

    Ln N(raw) - Σ ln(1 - tanh²(raw)) (Haarnoja et al. 2018, eq. 21), the latter as 2 (ln 2 - raw - softplus(-2 raw)),
    which is exact where tanh rounds to 1.
    """
    gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    slope = 2.0 * (math.log(2.0) - raw - nn.functional.softplus(-2.0 * raw))
    return (gaussian - slope).sum(-1)


class SquashedPolicy(nn.Module):
    """A tanh-squashed Gaussian with a mean and a std per state, and a categorical per discrete branch.

    Calling it gives the deterministic action `[batch, space.size]` for raw observations `[batch, size]`: tanh of the
    means, then the number of the likeliest open choice of each branch.

    Args:
        body: from normalised observations to a mean and a log-std per continuous entry and a logit per choice.
        normaliser: of the observations.
        space: what an action is made of.
    """

    def __init__(self, body: nn.Sequential, normaliser: Normaliser, space: ActionSpace) -> None:
        super().__init__()
        self.normaliser = normaliser
        self.body = body
        self.space = space

    @staticmethod
    def outputs(space: ActionSpace) -> int:
        """Numbers that the body has to give."""
        return 2 * space.continuous + space.choices

    def intention(self, features: Tensor, mask: Tensor | None, generator: torch.Generator | None) -> Intention:
        """What it would do for normalised observations `[batch, size]`; gradients flow through the draw."""
        mean, log_std, branches = self._heads(features, mask)
        noise = normal_like(mean, generator)
        raw = mean + log_std.exp() * noise
        return Intention(raw.tanh(), squashed_log_density(raw, noise, log_std), branches)

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        """The deterministic action."""
        mean, _, branches = self._heads(self.normaliser(observation), mask)
        return _joined(mean.tanh(), [branch.argmax(-1, keepdim=True) for branch in branches])

    def sample(
        self,
        observation: Tensor,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """A random action as the world gets it; `noise` `[batch, n]` is a standard normal draw made elsewhere."""
        mean, log_std, branches = self._heads(self.normaliser(observation), mask)
        noise = normal_like(mean, generator) if noise is None else noise
        continuous = (mean + log_std.exp() * noise).tanh()
        gumbel = [branch - exponential_like(branch, generator).log() for branch in branches]
        return _joined(continuous, [branch.argmax(-1, keepdim=True) for branch in gumbel])

    def _heads(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Mean, log-std and ln of the choices' probabilities."""
        entries, branches = self.space.continuous, self.space.branches
        outputs = self.body(features)
        log_std = outputs[..., entries : 2 * entries].clamp(*LOG_STD_RANGE)
        choices = log_choices(outputs[..., 2 * entries :], branches, mask) if branches else []
        return outputs[..., :entries], log_std, choices


def _joined(continuous: Tensor, picked: list[Tensor]) -> Tensor:
    return (
        torch.cat((continuous, *(choice.to(continuous.dtype) for choice in picked)), dim=-1) if picked else continuous
    )
