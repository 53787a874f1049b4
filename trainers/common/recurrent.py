"""A network with a memory: an LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from trainers.common.memory import Memory
from trainers.common.networks import Activation, activated, linear, mlp


class LstmBody(nn.Module):
    """An MLP of the features, then an LSTM, then a linear layer.

    Args:
        sizes: features, then the MLP's layers, each followed by the activation.
        memory: size of the LSTM's state.
        outputs: numbers it gives.
        activation: of the MLP.
        last_gain: of the linear layer's orthogonal initialisation.
    """

    def __init__(
        self, sizes: Sequence[int], memory: int, outputs: int, *, activation: Activation, last_gain: float
    ) -> None:
        super().__init__()
        self.memory = memory
        self.encoder = activated(mlp(sizes, activation, last_gain=2**0.5), activation)
        self.driven = linear(sizes[-1], 4 * memory, gain=1.0)
        self.recurrent = nn.Linear(memory, 4 * memory, bias=False)
        for gate in self.recurrent.weight.detach().chunk(4):
            nn.init.orthogonal_(gate)
        with torch.no_grad():
            self.driven.bias[memory : 2 * memory] = 1.0  # remember at first (Jozefowicz et al. 2015)
        self.last = linear(memory, outputs, last_gain)

    def step(self, features: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Outputs `[rows, m]` for features `[rows, n]`, and what is remembered then."""
        gates = self.driven(self.encoder(features)) + self.recurrent(memory.hidden)
        opened, candidate = gates.split((3 * self.memory, self.memory), dim=-1)
        keep_new, keep_old, show = opened.sigmoid().chunk(3, dim=-1)
        cell = keep_old * memory.cell + keep_new * candidate.tanh()
        hidden = show * cell.tanh()
        return self.last(hidden), Memory(hidden, cell)

    def unroll(
        self, features: Tensor, memory: Memory, begins: Tensor, idle: Tensor | None = None
    ) -> tuple[Tensor, Memory]:
        """Outputs `[steps, rows, m]` for features `[steps, rows, n]`, and what was remembered after each step.

        Args:
            features: of successive decisions.
            memory: `[rows, size]`, before the first of them.
            begins: where an episode begins, so that the memory is emptied before the step, `[steps, rows]`.
            idle: where no decision was made, so that the memory stays as it was before, `[steps, rows]`; None for
                nowhere. The outputs are those of a decision there too.
        """
        keep = (~begins).to(features.dtype).unsqueeze(-1)
        stay = None if idle is None else idle.unsqueeze(-1)
        driven = self.driven(self.encoder(features.flatten(0, 1))).unflatten(0, begins.shape)
        found = _Unrolled.apply(driven, self.recurrent.weight, *memory, keep, stay)
        shown, hidden, cell = cast(tuple[Tensor, Tensor, Tensor], found)
        return self.last(shown), Memory(hidden, cell)


class _Unrolled(torch.autograd.Function):
    """The steps of an LSTM with its backpropagation through time: what it shows, and its state after each step.

    Written out because torch's own can't empty the memory in the middle of a sequence, and its single steps take half
    as long again. The gates of a step lie side by side: input, forget, output, candidate.
    """

    @staticmethod
    def forward(
        ctx: Any, driven: Tensor, weight: Tensor, hidden: Tensor, cell: Tensor, keep: Tensor, stay: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        steps, rows, width = driven.shape
        size = width // 4
        gates = driven.clone()
        shown, cells, squashed, old_hidden, old_cell = (driven.new_empty(steps, rows, size) for _ in range(5))
        for t in range(steps):
            torch.mul(hidden, keep[t], out=old_hidden[t])
            torch.mul(cell, keep[t], out=old_cell[t])
            gates[t].addmm_(old_hidden[t], weight.t())
            gates[t, :, : 3 * size].sigmoid_()
            gates[t, :, 3 * size :].tanh_()
            keep_new, keep_old, show, candidate = gates[t].chunk(4, -1)
            cell = torch.mul(keep_old, old_cell[t], out=cells[t]).addcmul_(keep_new, candidate)
            hidden = torch.mul(show, torch.tanh(cell, out=squashed[t]), out=shown[t])
            if stay is not None:
                hidden = torch.where(stay[t], old_hidden[t], hidden)
                cell = cells[t].copy_(torch.where(stay[t], old_cell[t], cell))
        ctx.save_for_backward(gates, weight, keep, stay, squashed, old_hidden, old_cell)
        hiddens = shown.clone() if stay is None else torch.where(stay, old_hidden, shown)
        return shown, hiddens, cells

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gates, weight, keep, stay, squashed, old_hidden, old_cell = ctx.saved_tensors
        size = gates.shape[-1] // 4
        d_gates = torch.empty_like(gates)
        d_hidden, d_cell = torch.zeros_like(squashed[0]), torch.zeros_like(squashed[0])
        for t in range(len(gates) - 1, -1, -1):
            d_hidden, d_cell = d_hidden + gradients[1][t], d_cell + gradients[2][t]
            stayed = None if stay is None else (d_hidden * stay[t], d_cell * stay[t])
            if stayed is not None:
                d_hidden, d_cell = d_hidden - stayed[0], d_cell - stayed[1]
            d_hidden = d_hidden + gradients[0][t]
            keep_new, keep_old, show, candidate = gates[t].chunk(4, -1)
            d_new, d_old, d_show, d_candidate = d_gates[t].chunk(4, -1)
            d_cell = d_cell + d_hidden * show * (1 - squashed[t].square())
            torch.mul(d_cell, candidate, out=d_new)
            torch.mul(d_cell, old_cell[t], out=d_old)
            torch.mul(d_hidden, squashed[t], out=d_show)
            torch.mul(d_cell * keep_new, 1 - candidate.square(), out=d_candidate)
            opened = gates[t, :, : 3 * size]
            d_gates[t, :, : 3 * size].mul_(opened * (1 - opened))
            d_hidden, d_cell = d_gates[t] @ weight, d_cell * keep_old
            if stayed is not None:
                d_hidden, d_cell = d_hidden + stayed[0], d_cell + stayed[1]
            d_hidden, d_cell = d_hidden * keep[t], d_cell * keep[t]
        d_weight = d_gates.flatten(0, 1).t() @ old_hidden.flatten(0, 1)
        return d_gates, d_weight, d_hidden, d_cell, None, None
