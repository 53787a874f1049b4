"""Signals and the one observation layout: what is measured, in which unit, and where it stands in a vector.

A signal is an array `[copies, size]`. The simulator, the player, the policy card and the robot all lay out an
observation with `Layout`, so the order of an observation's entries is written down once, in the task.
The edge bundle carries this file, so Python 3.8 has to read it too.
"""

# ruff: noqa: UP007, UP035 (Python 3.8 can't subscript the others at run time)
from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Iterable, Mapping, Union

import numpy as np
from numpy.typing import NDArray

POSE = "pose."
"""Signals whose names begin so tell what a scene looked like: wide, and read only where somebody wants to see."""
WORLD = "world."
"""Signals whose names begin so tell the value of a perturbation in an episode."""

FloatArray = Union[NDArray[np.float32], NDArray[np.float64]]
Signals = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Signal:
    """A named measurement of one decision step."""

    name: str
    """What the code, recipes, cards and robot logs call it; carries its frame where there could be two."""
    size: int
    """Entries per copy."""
    unit: str
    """SI unit of every entry, "1" for a number without one."""
    description: str
    """One sentence for the engineer."""


@dataclass(frozen=True)
class Layout:
    """An ordered list of signals and the vector they make, `[copies, size]` of float32."""

    signals: tuple[Signal, ...]
    _offsets: dict[str, slice] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        start = 0
        for signal in self.signals:
            if signal.name in self._offsets:
                raise ValueError(f"signal '{signal.name}' stands twice in one layout")
            self._offsets[signal.name] = slice(start, start + signal.size)
            start += signal.size

    @cached_property
    def size(self) -> int:
        """Entries of the vector per copy."""
        return sum(signal.size for signal in self.signals)

    @property
    def names(self) -> tuple[str, ...]:
        """The signals' names in order."""
        return tuple(signal.name for signal in self.signals)

    def where(self, name: str) -> slice:
        """The columns in which a signal stands."""
        if name not in self._offsets:
            raise ValueError(f"no signal '{name}' in this layout; it holds {', '.join(self._offsets)}")
        return self._offsets[name]

    def pack(self, signals: Signals) -> NDArray[np.float32]:
        """The vector `[copies, size]` of these signals, each `[copies, signal.size]`.

        Raises:
            ValueError: if a signal is missing or has another size.
        """
        missing = [name for name in self.names if name not in signals]
        if missing:
            raise ValueError(f"signals missing from the observation: {', '.join(missing)}")
        copies = len(signals[self.names[0]])
        vector = np.empty((copies, self.size), np.float32)
        for signal in self.signals:
            value = signals[signal.name]
            if value.shape != (copies, signal.size):
                raise ValueError(f"signal '{signal.name}' has shape {value.shape}, expected {(copies, signal.size)}")
            vector[:, self._offsets[signal.name]] = value
        return vector

    def unpack(self, vector: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The signals of a vector `[copies, size]`, as views."""
        if vector.shape[-1] != self.size:
            raise ValueError(f"an observation of {vector.shape[-1]} entries does not fit a layout of {self.size}")
        return {name: vector[..., columns] for name, columns in self._offsets.items()}

    def to_json(self) -> list[dict[str, Any]]:
        """A list of plain dicts in order, as the policy card holds it."""
        return [vars(signal).copy() for signal in self.signals]

    @staticmethod
    def from_json(entries: Iterable[Mapping[str, Any]]) -> Layout:
        """The layout that `to_json` wrote."""
        return Layout(tuple(Signal(**dict(entry)) for entry in entries))
