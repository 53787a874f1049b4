"""The networks of the learners: plain MLPs, and a critic with its own scale."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from trainers.common.memory import Memory
from trainers.common.normaliser import Normaliser

Activation = Literal["elu", "tanh", "relu", "silu"]

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


class FastTanh(nn.Tanh):
    """`nn.Tanh`, overwriting its input but in an export."""

    def forward(self, input: Tensor) -> Tensor:
        """The activation."""
        return super().forward(input) if torch.onnx.is_in_onnx_export() else torch.tanh_(input)


class FastRelu(nn.ReLU):
    """`nn.ReLU`, overwriting its input but in an export."""

    def forward(self, input: Tensor) -> Tensor:
        """The activation."""
        return super().forward(input) if torch.onnx.is_in_onnx_export() else torch.relu_(input)


ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "elu": FastElu,
    "tanh": FastTanh,
    "relu": FastRelu,
    "silu": nn.SiLU,
}
"""They follow a layer, whose output they overwrite where they can be differentiated from their result alone."""


class Body(Protocol):
    """A network that may have a memory, of size 0 where it has none."""

    memory: int

    @property
    def last(self) -> nn.Linear:
        """The linear layer that gives the outputs."""
        ...

    def step(self, features: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Outputs `[rows, m]` for features `[rows, n]` of one decision, and what is remembered then."""
        ...

    def unroll(
        self, features: Tensor, memory: Memory, begins: Tensor, idle: Tensor | None = None
    ) -> tuple[Tensor, Memory]:
        """Outputs `[steps, rows, m]` for features `[steps, rows, n]`, and what was remembered after each step."""
        ...


class Mlp(nn.Sequential):
    """A network without a memory."""

    memory = 0

    @property
    def last(self) -> nn.Linear:
        """The linear layer that gives the outputs."""
        return cast(nn.Linear, self[-1])

    def step(self, features: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Outputs `[rows, m]` for features `[rows, n]`; the memory is that of size 0."""
        return self(features), memory

    def unroll(
        self, features: Tensor, memory: Memory, begins: Tensor, idle: Tensor | None = None
    ) -> tuple[Tensor, Memory]:
        """Outputs `[steps, rows, m]` for features `[steps, rows, n]`; the rest is for networks that remember."""
        outputs = self(features.flatten(0, 1))  # an activation in place would cost more on three dimensions
        return outputs.unflatten(0, features.shape[:2]), memory.repeated(len(features))


def mlp(sizes: Sequence[int], activation: Activation, last_gain: float) -> Mlp:
    """Linear layers of the given sizes with the activation between them, orthogonally initialised, biases zero."""
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = index == len(sizes) - 2
        layers.append(linear(inputs, outputs, last_gain if last else math.sqrt(2.0)))
        if not last:
            layers.append(ACTIVATIONS[activation]())
    return Mlp(*layers)


def activated(body: Mlp, activation: Activation) -> nn.Sequential:
    """The same layers with the activation after the last one too."""
    return nn.Sequential(*body, ACTIVATIONS[activation]()) if len(body) else nn.Sequential()


def linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    """A linear layer, orthogonally initialised, its bias zero."""
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class Critic(nn.Module):
    """The value of a normalised observation; the body predicts it in units of the returns' own running mean and std."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body
        self.returns = Normaliser(1, clip=math.inf, minimum_std=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        """Values `[…]` in reward units, for normalised observations `[…, size]`; of a critic without a memory."""
        return self.values(cast(Mlp, self.body)(features))

    def values(self, outputs: Tensor) -> Tensor:
        """Values `[…]` in reward units, for outputs `[…, 1]` of the body."""
        return self.returns.inverse(outputs).squeeze(-1)

    @torch.no_grad()
    def rescale(self, returns: Tensor) -> None:
        """Take in new returns `[n]` while every prediction stays as it is.

        The last layer is rewritten for the new mean and std (Pop-Art, van Hasselt et al. 2016, eq. 9).
        """
        last = self.body.last
        old_shift, old_scale = self.returns.shift.clone(), self.returns.scale.clone()
        self.returns.update(returns.reshape(-1, 1))
        ratio = self.returns.scale / old_scale
        last.weight.mul_(ratio)
        last.bias.mul_(ratio).add_((old_shift - self.returns.shift) * self.returns.scale)
