"""What a recurrent network carries from one decision to the next."""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Memory(NamedTuple):
    """The state of an LSTM, one row per copy, or one per time step and copy. A network without one has size 0."""

    hidden: Tensor
    """`[…, size]`, also what the LSTM gives out."""
    cell: Tensor
    """`[…, size]`."""

    @classmethod
    def empty(cls, copies: int, size: int, device: torch.device | None = None) -> "Memory":
        """Of episodes that begin."""
        return cls(torch.zeros(copies, size, device=device), torch.zeros(copies, size, device=device))

    def where(self, rows: Tensor, other: "Memory") -> "Memory":
        """This where `rows` `[…]` is True, else the other."""
        rows = rows.unsqueeze(-1)
        return Memory(torch.where(rows, self.hidden, other.hidden), torch.where(rows, self.cell, other.cell))

    def forgotten(self, rows: Tensor) -> "Memory":
        """Empty where `rows` `[…]` is True, else the same."""
        return Memory(*(part.masked_fill(rows.unsqueeze(-1), 0.0) for part in self))

    def repeated(self, steps: int) -> "Memory":
        """The same after each step, `[steps, …]`."""
        return Memory(*(part.expand(steps, *part.shape) for part in self))

    def at(self, *index: Any) -> "Memory":
        """Some of the rows."""
        return Memory(self.hidden[index], self.cell[index])
