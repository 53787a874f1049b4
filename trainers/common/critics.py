"""Networks that value actions: several of them evaluated at once, and targets that follow slowly."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from trainers.common.networks import ACTIVATIONS, Activation


class Ensemble(nn.Module):
    """Several MLPs of one shape, `[…, inputs]` to `[members, …, outputs]`, as one batched product per layer.

    Initialised uniformly within ±1/√inputs of each layer, as the published implementations of TD3 and SAC are.
    """

    def __init__(self, members: int, sizes: Sequence[int], activation: Activation) -> None:
        super().__init__()
        self.members = members
        self._between = ACTIVATIONS[activation]()
        self.weights = nn.ParameterList(
            _uniform((members, outputs, inputs), inputs) for inputs, outputs in pairwise(sizes)
        )
        self.biases = nn.ParameterList(_uniform((members, 1, outputs), inputs) for inputs, outputs in pairwise(sizes))

    def forward(self, rows: Tensor) -> Tensor:
        """What every member says of rows `[batch, inputs]`: `[members, batch, outputs]`."""
        return self._forward(rows, self.members)

    def first(self, rows: Tensor) -> Tensor:
        """What the first member says of rows `[batch, inputs]`: `[batch, outputs]`."""
        return self._forward(rows, 1).squeeze(0)

    def _forward(self, rows: Tensor, members: int) -> Tensor:
        value = rows.expand(members, *rows.shape)
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            value = torch.baddbmm(bias[:members], value, weight[:members].mT)
            if index < last:
                value = self._between(value)
        return value


def _uniform(shape: tuple[int, ...], inputs: int) -> nn.Parameter:
    bound = 1 / math.sqrt(inputs)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Gradients flow through the module but not into it, which saves a third of the way back."""
    parameters = list(module.parameters())
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@torch.no_grad()
def follow(target: nn.Module, source: nn.Module, rate: float) -> None:
    """Move a target network towards its source: θ' ← τ θ + (1 - τ) θ' (Lillicrap et al. 2016, algorithm 1)."""
    get_ema_multi_avg_fn(1 - rate)(list(target.parameters()), list(source.parameters()), 0)


def td_target(reward: Tensor, discount: Tensor, next_value: Tensor) -> Tensor:
    """Y = r + γ V(s'), where `discount` is γ to the number of steps between both and 0 beyond a true end."""
    return torch.addcmul(reward, discount, next_value)


def squared_td_error(value: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over the batch of w (Q - y)² (Lillicrap et al. 2016, algorithm 1), for every member of an ensemble.

    Args:
        value: `[members, batch]`.
        target: `[batch]`.
        weight: importance weights `[batch]` of prioritised replay (Schaul et al. 2016, eq. 2); None where all are 1.
    """
    squares = (value - target).square()
    return (squares if weight is None else squares * weight).mean(-1)
