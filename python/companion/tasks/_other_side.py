"""The other side of a task with two: what an opponent sees and decides, and who sits there.

A task that has one says so in its `other_side`; all else, who learns against whom, is the same for every such task.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from companion.signals import Layout, Signal
from companion.tasks._scene import Floats, Scene
from companion.tasks._task import ActionEntry, Task


@dataclass(frozen=True)
class Turn:
    """The other side has to decide in some copies; arrays `[k, …]`."""

    copies: NDArray[np.intp]
    """Which."""
    sight: Floats
    """What it sees `[k, size]`."""
    score: Floats
    """What its last decision there came to: 1 for a point of its own, -1 for one of the robot's, 0 for neither."""
    begins: bool
    """Episodes begin there: there is no last decision, or it no longer counts, and the score is 0."""


Opponent = Callable[[Floats, np.random.Generator], Floats]
"""From what it sees `[k, size]` to its decisions `[k, entries]` from -1 to 1."""

Seats = Callable[[Turn, np.random.Generator], Floats]
"""The decisions `[k, entries]` of whoever sits on the other side of these copies."""


def everywhere(opponent: Opponent) -> Seats:
    """The same opponent in all copies."""
    return partial(_decide, opponent)


def _decide(opponent: Opponent, turn: Turn, random: np.random.Generator) -> Floats:
    return opponent(turn.sight, random)


class TwoSidedScene(Scene, Protocol):
    """A scene that asks its seats for a decision, now and then, in some copies."""

    def answer(self, which: NDArray[np.intp], decision: Floats) -> None:
        """Take these decisions `[k, entries]` in place of those given at the last turn of these copies.

        It is called before the next `drive`: for who takes one decision of the robot to make up their mind.
        """
        ...


@dataclass(frozen=True)
class OtherSide:
    """What a task says of its other side."""

    name: str
    """In one word."""
    sight: tuple[Signal, ...]
    """What it sees when it has to decide, in order."""
    decision: tuple[ActionEntry, ...]
    """What it decides, and what -1 and +1 stand for at difficulty 1."""
    point_means: str
    """What one point of its own is."""
    scripted: Opponent
    """Who sits there unless somebody else does."""
    limited: Callable[[Floats, Floats], Floats]
    """`limited(free, sight)`: the decision for a learner's free choice `[k, entries]` from -1 to 1, within what may be
    asked of a robot at the difficulty that it sees."""
    make_scene: Callable[[Seats], TwoSidedScene]

    @property
    def layout(self) -> Layout:
        """Of what it sees."""
        return Layout(self.sight)


def against(task: Task, other: OtherSide, seats: Seats) -> Task:
    """The same task with somebody on its other side."""
    return replace(task, make_scene=partial(other.make_scene, seats))
