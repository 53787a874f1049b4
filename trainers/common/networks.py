"""The networks of the learners: plain MLPs, an actor with its own normaliser, a critic with its own scale."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from trainers.common.normaliser import Normaliser

Activation = Literal["elu", "tanh", "relu"]

LOG_STD_RANGE = (math.log(0.02), math.log(1.5))
"""Exploration noise stays within these; far beyond 1 nearly every action would be clipped."""


class _EluInPlace(torch.autograd.Function):
    """ELU whose slope comes from its result, min(y + 1, 1); nine times faster than torch's own backward on a CPU."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        result = nn.functional.elu_(value)
        ctx.mark_dirty(value)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors
        return (result + 1.0).clamp_(max=1.0).mul_(gradients[0])


class FastElu(nn.ELU):
    """`nn.ELU`, which it is in an export, learning in less time. Overwrites its input, so it must follow a layer."""

    def forward(self, input: Tensor) -> Tensor:
        """The activation."""
        if torch.onnx.is_in_onnx_export():
            return super().forward(input)
        return cast(Tensor, _EluInPlace.apply(input)) if torch.is_grad_enabled() else nn.functional.elu_(input)


_ACTIVATIONS: dict[str, type[nn.Module]] = {"elu": FastElu, "tanh": nn.Tanh, "relu": nn.ReLU}


def mlp(sizes: Sequence[int], activation: Activation, last_gain: float) -> nn.Sequential:
    """Linear layers of the given sizes with the activation between them, orthogonally initialised, biases zero."""
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = index == len(sizes) - 2
        layers.append(_linear(inputs, outputs, last_gain if last else math.sqrt(2.0)))
        if not last:
            layers.append(_ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


def _linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class Actor(nn.Module):
    """A Gaussian policy: the mean is an MLP of the normalised observation, the log-std one number per action entry.

    Calling it gives the deterministic action `[batch, actions]` in [-1, 1] for raw observations `[batch, size]`.
    """

    def __init__(self, body: nn.Sequential, normaliser: Normaliser, actions: int, initial_std: float) -> None:
        super().__init__()
        self.normaliser = normaliser
        self.body = body
        self.log_std = nn.Parameter(torch.full((actions,), math.log(initial_std)))

    def forward(self, observation: Tensor) -> Tensor:
        """The deterministic action, each entry in [-1, 1]."""
        return self.body(self.normaliser(observation)).clamp(-1.0, 1.0)

    def sample(self, observation: Tensor) -> Tensor:
        """A random action of the policy as the world gets it, each entry in [-1, 1]."""
        mean = self.body(self.normaliser(observation))
        return (mean + self.log_std.exp() * torch.randn_like(mean)).clamp(-1.0, 1.0)

    @torch.no_grad()
    def bound_log_std(self) -> None:
        """Bring the exploration noise back into its range."""
        self.log_std.clamp_(*LOG_STD_RANGE)


class Critic(nn.Module):
    """The value of a normalised observation; the MLP predicts it in units of the returns' own running mean and std."""

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        self.body = body
        self.returns = Normaliser(1, clip=math.inf, minimum_std=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        """Values `[…]` in reward units, for normalised observations `[…, size]`."""
        return self.returns.inverse(self.body(features)).squeeze(-1)

    @torch.no_grad()
    def rescale(self, returns: Tensor) -> None:
        """Take in new returns `[n]` while every prediction stays as it is.

        The last layer is rewritten for the new mean and std (Pop-Art, van Hasselt et al. 2016, eq. 9).
        """
        last = self.body[-1]
        assert isinstance(last, nn.Linear)
        old_shift, old_scale = self.returns.shift.clone(), self.returns.scale.clone()
        self.returns.update(returns.reshape(-1, 1))
        ratio = self.returns.scale / old_scale
        last.weight.mul_(ratio)
        last.bias.mul_(ratio).add_((old_shift - self.returns.shift) * self.returns.scale)
