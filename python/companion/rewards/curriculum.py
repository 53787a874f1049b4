"""Settings that change stage by stage while a policy learns: with the steps it has learned from, or with its success.

By success a stage is judged on a cohort: the first so many episodes of each copy that began in that stage. Those that
merely end first would tell of short episodes, and short ones may be the failures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Value: TypeAlias = "float | tuple[float, float]"
"""A number, or the range that it is drawn from uniformly."""

EPISODES = 200
UP, DOWN = 0.8, 0.5


@dataclass(frozen=True)
class Stages:
    """What one setting becomes, and when."""

    parameter: str
    """A perturbation of the task, or `reward/<term>/weight` or `reward/<term>/<setting>`."""
    by: Literal["success", "steps"]
    values: tuple[Value, ...]
    """In each stage, at least two."""
    at: tuple[int, ...] = ()
    """By steps: the transitions after which each stage but the first begins."""
    up: float = UP
    """By success: the next stage begins where at least this share of a cohort succeeds."""
    down: float = DOWN
    """By success: the stage before comes back where less than this share does."""
    episodes: int = EPISODES
    """By success: of a cohort, at least one from each copy."""


def in_words(stages: Stages) -> str:
    """When it changes, for a person."""
    if stages.by == "steps":
        return f"after {', '.join(f'{at:,}' for at in stages.at)} steps"
    return f"up at {stages.up:.0%} success, down below {stages.down:.0%}, of {stages.episodes} episodes"


def value_in_words(value: Value) -> str:
    """A number or a range."""
    return f"{value[0]:g} to {value[1]:g}" if isinstance(value, tuple) else f"{value:g}"


class Curriculum:
    """Where a training stands in the stages of each setting.

    Args:
        stages: of each setting.
        copies: of the world that is learned in.
    """

    def __init__(self, stages: Sequence[Stages], copies: int) -> None:
        self.stages = {one.parameter: one for one in stages}
        self.number = dict.fromkeys(self.stages, 0)
        """The stage of each setting, from 0."""
        self.steps = 0
        """Transitions learned from."""
        self._cohorts = {name: _Cohort(one.episodes, copies) for name, one in self.stages.items()}

    def value(self, parameter: str) -> Value:
        """What holds for episodes that begin now."""
        return self.stages[parameter].values[self.number[parameter]]

    def note(self, steps: int, ended: NDArray[np.bool_], episodes: "Ended") -> list[str]:
        """Take in one decision of every copy; the settings that change now.

        Args:
            steps: transitions that it gave.
            ended: copies in which an episode begins anew `[copies]`.
            episodes: those that ended and count.
        """
        self.steps += steps
        changed = [name for name in self.stages if self._moves(name, episodes)]
        for cohort in self._cohorts.values():
            if changed:
                cohort.open()  # what begins in this decision began before the change
            else:
                cohort.begin(ended)
        return changed

    def go_on(self, number: Mapping[str, int], steps: int) -> None:
        """Stand in these stages after so many transitions, where no more is known."""
        for name, one in self.stages.items():
            self.number[name] = min(int(number.get(name, 0)), len(one.values) - 1)
        self.steps = steps

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on exactly from here."""
        cohorts = {name: cohort.get_state() for name, cohort in self._cohorts.items()}
        return {"number": dict(self.number), "steps": self.steps, "cohorts": cohorts}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` gave."""
        self.number = {name: int(number) for name, number in state["number"].items()}
        self.steps = int(state["steps"])
        for name, cohort in self._cohorts.items():
            cohort.set_state(state["cohorts"][name])

    def _moves(self, name: str, episodes: "Ended") -> bool:
        """Go to the stage that is due; whether it is another one."""
        stages, before = self.stages[name], self.number[name]
        if stages.by == "steps":
            self.number[name] = int(np.searchsorted(stages.at, self.steps, side="right"))
        else:
            share = self._cohorts[name].add(episodes)
            self.number[name] = min(max(before + _direction(stages, share), 0), len(stages.values) - 1)
        return self.number[name] != before


@dataclass(frozen=True)
class Ended:
    """Episodes that ended in one decision; one entry each."""

    copy: NDArray[np.int64]
    success: NDArray[np.bool_] | NDArray[np.float32]
    """1 or True where it succeeded; what can't be told, NaN, is none."""


def _direction(stages: Stages, share: float | None) -> int:
    if share is None:
        return 0
    return int(share >= stages.up) - int(share < stages.down)


class _Cohort:
    """The first so many episodes of each copy that began since it was opened."""

    def __init__(self, episodes: int, copies: int) -> None:
        self._of_each = ceil(episodes / copies)
        self._counted = np.zeros(copies, np.int64)
        self._belongs = np.ones(copies, np.bool_)
        self._successes = 0

    def open(self) -> None:
        """Wait for episodes that are still to begin."""
        self._counted[:] = 0
        self._belongs[:] = False
        self._successes = 0

    def begin(self, which: NDArray[np.bool_]) -> None:
        """An episode begins in these copies."""
        self._belongs |= which

    def add(self, episodes: Ended) -> float | None:
        """Take in episodes that ended; the share that succeeded once the cohort is whole, when another is opened."""
        copy, success = episodes.copy, np.nan_to_num(np.asarray(episodes.success, np.float64)) > 0
        counts = self._belongs[copy] & (self._counted[copy] < self._of_each)
        np.add.at(self._counted, copy[counts], 1)
        self._successes += int(success[counts].sum())
        if (self._counted < self._of_each).any():
            return None
        share = self._successes / (self._of_each * len(self._counted))
        self.open()
        return share

    def get_state(self) -> dict[str, Any]:
        return {"counted": self._counted.copy(), "belongs": self._belongs.copy(), "successes": self._successes}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._counted[:], self._belongs[:] = state["counted"], state["belongs"]
        self._successes = int(state["successes"])
