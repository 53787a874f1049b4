"""Environment parameters that change as training goes on, lesson by lesson, as mlagents-learn has them.

Source: `CompletionCriteriaSettings.need_increment` and `EnvironmentParameterManager` of mlagents 1.1.0.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from companion.mlagents.parameters import Parameter

UNSET_SEED = -1
"""Of a sampler whose file gives none: the run's seed takes its place."""


@dataclass(frozen=True)
class Completion:
    """When a lesson is over."""

    behavior: str
    """Whose progress or returns count."""
    measure: Literal["reward", "progress"] = "reward"
    """The mean return of its latest episodes, or the share of its training that is done."""
    min_lesson_length: int = 0
    """Episodes that must have ended in the lesson."""
    signal_smoothing: bool = True
    """Take a quarter of the mean return of before and three quarters of the new one."""
    threshold: float = 0.0
    """The measure must be above this."""
    require_reset: bool = False
    """Whether every episode is started anew with the next lesson."""


@dataclass(frozen=True)
class Lesson:
    """A value of one environment parameter, until it is completed."""

    name: str
    value: Parameter
    completion: Completion | None = None
    """None in the last lesson."""


Lessons = Mapping[str, Sequence[Lesson]]
"""Of each environment parameter; one lesson where it never changes."""


@dataclass(frozen=True)
class Change:
    """What the players have to be told."""

    parameters: Mapping[str, Parameter]
    """Of the new lessons."""
    must_reset: bool


class Curriculum:
    """Where training stands in the lessons of each parameter.

    Args:
        lessons: of each parameter.
        seed: of samplers whose file gives none; each gets one of its own, counted up.
    """

    def __init__(self, lessons: Lessons, seed: int) -> None:
        self._lessons = seeded(lessons, seed)
        self._number = dict.fromkeys(lessons, 0)
        self._smoothed = dict.fromkeys(lessons, 0.0)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """What holds now."""
        return {name: lessons[self._number[name]].value for name, lessons in self._lessons.items()}

    @property
    def lesson_numbers(self) -> dict[str, int]:
        """Of each parameter that has more than one, from 0."""
        return {name: self._number[name] for name, lessons in self._lessons.items() if len(lessons) > 1}

    def episodes_kept(self, behavior: str) -> int:
        """Of how many latest episodes of a behavior the mean return is taken."""
        criteria = (lesson.completion for lessons in self._lessons.values() for lesson in lessons)
        lengths = [one.min_lesson_length for one in criteria if one is not None and one.behavior == behavior]
        return max([1, *lengths])

    def update(self, progress: Mapping[str, float], returns: Mapping[str, Sequence[float]]) -> Change | None:
        """Go on to the next lessons where this is due; None where nothing changes.

        Args:
            progress: share of its training that each behavior has done.
            returns: of each behavior's latest episodes since a lesson changed last, `episodes_kept` at most.
        """
        ended = [name for name in self._lessons if self._is_over(name, progress, returns)]
        if not ended:
            return None
        completed = [self._lesson(name).completion for name in ended]
        for name in ended:
            self._number[name] += 1
        parameters = {name: self._lesson(name).value for name in ended}
        return Change(parameters, any(one is not None and one.require_reset for one in completed))

    def get_state(self) -> dict[str, Any]:
        """What `set_state` needs."""
        return {"number": dict(self._number), "smoothed": dict(self._smoothed)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Stand where training stood. A parameter whose lessons became fewer is in its last one."""
        for name, lessons in self._lessons.items():
            self._number[name] = min(state["number"].get(name, 0), len(lessons) - 1)
            self._smoothed[name] = state["smoothed"].get(name, 0.0)

    def _lesson(self, name: str) -> Lesson:
        return self._lessons[name][self._number[name]]

    def _is_over(self, name: str, progress: Mapping[str, float], returns: Mapping[str, Sequence[float]]) -> bool:
        criterion = self._lesson(name).completion
        if criterion is None or criterion.behavior not in progress:
            return False
        if self._number[name] + 1 == len(self._lessons[name]):
            return False
        latest = returns.get(criterion.behavior, ())
        if len(latest) < criterion.min_lesson_length:
            return False
        if criterion.measure == "progress":
            return progress[criterion.behavior] > criterion.threshold
        mean = float(np.mean(latest)) if len(latest) else math.nan
        if math.isnan(mean):
            return False
        if criterion.signal_smoothing:
            mean = self._smoothed[name] = 0.25 * self._smoothed[name] + 0.75 * mean
        return mean > criterion.threshold


def seeded(lessons: Lessons, seed: int) -> dict[str, tuple[Lesson, ...]]:
    """The lessons with a seed for each sampler that has none: the run's, counted up, constants counting too."""
    number = seed
    found: dict[str, tuple[Lesson, ...]] = {}
    for name, chain in lessons.items():
        given: list[Lesson] = []
        for lesson in chain:
            value = lesson.value
            if isinstance(value, float | int):
                number += 1
            elif value.seed == UNSET_SEED:
                lesson = replace(lesson, value=replace(value, seed=number))
                number += 1
            given.append(lesson)
        found[name] = tuple(given)
    return found
