"""Gymnasium's spaces in the trainers' words: an observation is one vector, an action is one row of numbers."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import concatenate, create_empty_array, iterate
from numpy.typing import NDArray

Floats = NDArray[np.float32]

IMAGE_ENTRIES = 1000
"""A box of three dimensions with more entries than this is taken for a picture."""


class Observations:
    """From a space's observations to vectors of `size` entries.

    Boxes keep their numbers, choices become one-hot, and what a Dict or Tuple holds stands one after the other.

    Raises:
        ValueError: if the observations can't be made a vector, or are pictures.
    """

    def __init__(self, space: spaces.Space[Any], where: str) -> None:
        _refuse_pictures(space, where)
        if not space.is_np_flattenable:
            raise ValueError(f"{where}: observations of {space} have no fixed size; they must be Box, Discrete, …")
        self.space = space
        self.parts = tuple((name, spaces.flatdim(part)) for name, part in _parts(space))
        """Name and entries of each part, in the vector's order."""
        self.size = sum(size for _, size in self.parts)
        self._is_box = isinstance(space, spaces.Box)

    def row(self, observation: Any) -> Floats:
        """One observation as a vector."""
        flat = observation if self._is_box else spaces.flatten(self.space, observation)
        return np.asarray(flat, np.float32).reshape(-1)

    def rows(self, batch: Any, batch_space: spaces.Space[Any]) -> Floats:
        """Observations of all copies, as a vector environment gives them, as `[copies, size]`."""
        if self._is_box:
            return np.array(batch, np.float32).reshape(len(batch), -1)
        return np.stack([self.row(one) for one in iterate(batch_space, batch)])


class Actions:
    """From rows as trainers give them, continuous entries in [-1, 1] and then numbers of choices, to a space's actions.

    Raises:
        ValueError: if the space holds something else than bounded boxes and choices.
    """

    def __init__(self, space: spaces.Space[Any], where: str) -> None:
        self.space = space
        leaves = list(_leaves(space, where))
        boxes = [(name, leaf) for name, leaf in leaves if isinstance(leaf, spaces.Box)]
        self.low = np.concatenate([leaf.low.ravel() for _, leaf in boxes] or [np.empty(0)]).astype(np.float64)
        self.high = np.concatenate([leaf.high.ravel() for _, leaf in boxes] or [np.empty(0)]).astype(np.float64)
        """What -1 and +1 stand for in each continuous entry."""
        self.names = tuple(name for base, leaf in leaves for name in _entry_names(base, _columns(leaf)))
        self.branches = tuple(count for _, leaf in leaves for count in _branches(leaf))
        self.continuous = len(self.low)
        self.size = self.continuous + len(self.branches)
        self._build = _builder(space, iter(range(self.continuous)), iter(range(self.continuous, self.size)))

    def check(self, action: Floats, copies: int) -> None:
        """Refuse rows that can't be carried out.

        Raises:
            ValueError: on another shape, a number that is not finite, or a choice that there is not.
        """
        if action.shape != (copies, self.size) or not np.isfinite(action).all():
            raise ValueError(f"an action must be finite and of shape {(copies, self.size)}")
        chosen = action[:, self.continuous :]
        if (
            self.branches
            and not ((chosen >= 0) & (chosen < np.array(self.branches)) & (chosen == chosen.round())).all()
        ):
            raise ValueError(f"a choice must be a whole number below {self.branches}")

    def each(self, action: Floats) -> list[Any]:
        """The action of every copy, as its environment takes it."""
        return [self._build(row) for row in self._scaled(action)]

    def batch(self, action: Floats) -> Any:
        """All copies' actions together, as a vector environment takes them."""
        given = self.each(action)
        return concatenate(self.space, given, create_empty_array(self.space, len(given)))

    def _scaled(self, action: Floats) -> NDArray[np.float64]:
        rows = action.astype(np.float64)
        entries = np.clip(rows[:, : self.continuous], -1.0, 1.0)
        rows[:, : self.continuous] = self.low + (entries + 1.0) / 2.0 * (self.high - self.low)
        return rows


def _refuse_pictures(space: spaces.Space[Any], where: str) -> None:
    for name, part in _parts(space):
        if isinstance(part, spaces.Box) and len(part.shape) == 3 and math.prod(part.shape) > IMAGE_ENTRIES:
            raise ValueError(f"{where}: '{name}' is a picture ({part}); the trainers here take vectors only")
        if part is not space:
            _refuse_pictures(part, where)


def _parts(space: spaces.Space[Any]) -> list[tuple[str, spaces.Space[Any]]]:
    if isinstance(space, spaces.Dict):
        return [(str(name), part) for name, part in space.spaces.items()]
    if isinstance(space, spaces.Tuple):
        return [(f"part_{index}", part) for index, part in enumerate(space.spaces)]
    return [("observation", space)]


def _leaves(space: spaces.Space[Any], where: str, name: str = "action") -> Iterator[tuple[str, spaces.Space[Any]]]:
    """The boxes and choices in a space, depth first; ValueError for anything else."""
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _leaves(part, where, str(key))
    elif isinstance(space, spaces.Tuple):
        for index, part in enumerate(space.spaces):
            yield from _leaves(part, where, f"{name}_{index}")
    elif isinstance(space, spaces.Box):
        if not np.issubdtype(space.dtype, np.floating) or not np.isfinite([space.low, space.high]).all():
            raise ValueError(f"{where}: '{name}' is {space}; a continuous action needs floats with finite bounds")
        yield name, space
    elif isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        yield name, space
    else:
        raise ValueError(
            f"{where}: '{name}' is {space}; an action is made of Box, Discrete, MultiDiscrete, MultiBinary, Tuple, Dict"
        )


def _branches(leaf: spaces.Space[Any]) -> list[int]:
    if isinstance(leaf, spaces.Discrete):
        return [int(leaf.n)]
    if isinstance(leaf, spaces.MultiDiscrete):
        return [int(count) for count in leaf.nvec.ravel()]
    return [2] * math.prod(leaf.shape) if isinstance(leaf, spaces.MultiBinary) else []


def _columns(leaf: spaces.Space[Any]) -> int:
    return math.prod(leaf.shape) if isinstance(leaf, spaces.Box) else 0


def _entry_names(base: str, entries: int) -> list[str]:
    return [base] if entries == 1 else [f"{base}_{index}" for index in range(entries)]


def _builder(
    space: spaces.Space[Any], entries: Iterator[int], choices: Iterator[int]
) -> Callable[[NDArray[np.float64]], Any]:
    """What makes the space's action of a row; takes its columns from both iterators, in the order of `_leaves`."""
    if isinstance(space, spaces.Dict):
        named = {key: _builder(part, entries, choices) for key, part in space.spaces.items()}
        return lambda row: {key: build(row) for key, build in named.items()}
    if isinstance(space, spaces.Tuple):
        listed = [_builder(part, entries, choices) for part in space.spaces]
        return lambda row: tuple(build(row) for build in listed)
    if isinstance(space, spaces.Box):
        columns = [next(entries) for _ in range(math.prod(space.shape))]
        return _box_builder(space, columns)
    if isinstance(space, spaces.Discrete):
        column, start = next(choices), space.start
        return lambda row: np.int64(row[column]) + start
    shape = space.shape or ()
    chosen = [next(choices) for _ in _branches(space)]
    first = space.start if isinstance(space, spaces.MultiDiscrete) else 0
    return lambda row: (row[chosen].reshape(shape) + first).astype(space.dtype)


def _box_builder(space: spaces.Box, columns: list[int]) -> Callable[[NDArray[np.float64]], Any]:
    where, dtype, shape = slice(columns[0], columns[-1] + 1) if columns else slice(0, 0), space.dtype, space.shape
    # Rounding to float32 must not lead out of the box: environments check that.
    return lambda row: np.clip(row[where].astype(dtype).reshape(shape), space.low, space.high)
