"""What a stochastic policy says of its next action: a diagonal Gaussian, a categorical per branch, or both."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from trainers.common.actions import ActionSpace

CLOSED = -1e8
"""Logit of a choice that the action mask closes; finite, so that no gradient or export meets an infinity."""


def gaussian_log_density(noise: Tensor, log_std: Tensor) -> Tensor:
    """Ln π of mean + std x noise, summed over the last axis."""
    return -0.5 * noise.square().sum(-1) - log_std.sum() - 0.5 * math.log(2 * math.pi) * noise.shape[-1]


def log_probability(action: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Ln π(a) of a diagonal Gaussian, summed over the action's entries."""
    return gaussian_log_density((action - mean) * (-log_std).exp(), log_std)


def gaussian_entropy(log_std: Tensor) -> Tensor:
    """H of a diagonal Gaussian, in nats."""
    return (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum()


def gaussian_kl(old_mean: Tensor, old_log_std: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(old ‖ new) of diagonal Gaussians, summed over the action's entries."""
    old_variance, half_precision = (2 * old_log_std).exp(), 0.5 * (-2 * log_std).exp()
    spread = (log_std - old_log_std - 0.5 + old_variance * half_precision).sum()
    return spread + ((old_mean - mean).square() * half_precision).sum(-1)


def log_choices(logits: Tensor, branches: Sequence[int], mask: Tensor | None = None) -> list[Tensor]:
    """Ln of each choice's probability, `[…, choices]` per branch; `mask` `[…, all choices]` is True where open."""
    if mask is not None:
        logits = torch.where(mask, logits, torch.full_like(logits, CLOSED))
    return [part.log_softmax(-1) for part in logits.split(tuple(branches), dim=-1)]


def chosen(log_probabilities: Tensor, choice: Tensor) -> Tensor:
    """Ln of the probability of the choices made `[…]`, given as numbers of any type."""
    return log_probabilities.gather(-1, choice.long().unsqueeze(-1)).squeeze(-1)


def categorical_entropy(log_probabilities: Tensor) -> Tensor:
    """H of a categorical, in nats."""
    return -(log_probabilities.exp() * log_probabilities).sum(-1)


def categorical_kl(old: Tensor, new: Tensor) -> Tensor:
    """KL(old ‖ new) of categoricals given as log-probabilities."""
    return (old.exp() * (old - new)).sum(-1)


class Distribution:
    """A policy's next actions for a batch `[…]`.

    Args:
        space: what an action is made of.
        outputs: of the policy's network, `[…, space.outputs]`: means, then logits.
        log_std: `[space.continuous]`.
        mask: open choices `[…, space.choices]`; None where all are.
    """

    def __init__(self, space: ActionSpace, outputs: Tensor, log_std: Tensor, mask: Tensor | None = None) -> None:
        self.space = space
        self.mean = outputs[..., : space.continuous] if space.branches else outputs
        self.log_std = log_std
        self.branches = log_choices(outputs[..., space.continuous :], space.branches, mask) if space.branches else []

    def mode(self) -> Tensor:
        """The likeliest action, `[…, space.size]`, continuous entries cut to [-1, 1]."""
        picked = [branch.argmax(-1, keepdim=True).to(self.mean.dtype) for branch in self.branches]
        return torch.cat((self.mean.clamp(-1.0, 1.0), *picked), dim=-1)

    def sample(self, generator: torch.Generator | None = None, noise: Tensor | None = None) -> Tensor:
        """A random action `[…, space.size]`; continuous entries are not yet cut to [-1, 1].

        `noise` `[…, space.continuous]` takes the place of fresh standard normal noise.
        """
        continuous = self.mean + self.log_std.exp() * (normal_like(self.mean, generator) if noise is None else noise)
        picked = [_drawn(branch, generator).to(continuous.dtype) for branch in self.branches]
        return torch.cat((continuous, *picked), dim=-1) if picked else continuous

    def log_probability(self, action: Tensor) -> Tensor:
        """Ln π of actions as `sample` gave them, `[…]`."""
        total = log_probability(action[..., : self.space.continuous], self.mean, self.log_std)
        for column, branch in enumerate(self.branches, self.space.continuous):
            total = total + chosen(branch, action[..., column])
        return total

    def entropy(self) -> Tensor:
        """In nats, `[…]`."""
        total = gaussian_entropy(self.log_std).expand(self.mean.shape[:-1])
        for branch in self.branches:
            total = total + categorical_entropy(branch)
        return total

    def kl_from(self, old: "Distribution") -> Tensor:
        """KL(old ‖ this), `[…]`."""
        total = gaussian_kl(old.mean, old.log_std, self.mean, self.log_std)
        for before, now in zip(old.branches, self.branches, strict=True):
            total = total + categorical_kl(before, now)
        return total


def world_action(action: Tensor, space: ActionSpace) -> Tensor:
    """A sampled action as a world takes it: continuous entries cut to [-1, 1]."""
    if not space.branches:
        return action.clamp(-1.0, 1.0)
    return torch.cat((action[..., : space.continuous].clamp(-1.0, 1.0), action[..., space.continuous :]), dim=-1)


def normal_like(value: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise of that shape; in an export by the one operator that ONNX has for it."""
    if torch.onnx.is_in_onnx_export():
        return torch.randn_like(value)
    return torch.empty_like(value).normal_(generator=generator)


def exponential_like(value: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard exponential noise of that shape; in an export made of ONNX's uniform noise."""
    if torch.onnx.is_in_onnx_export():
        return -torch.rand_like(value).clamp(1e-9, 1.0 - 1e-7).log()
    return torch.empty_like(value).exponential_(generator=generator)


def _drawn(log_probabilities: Tensor, generator: torch.Generator | None) -> Tensor:
    """The number of a random choice, `[…, 1]`: the largest of logits plus Gumbel noise."""
    return (log_probabilities - exponential_like(log_probabilities, generator).log()).argmax(-1, keepdim=True)
