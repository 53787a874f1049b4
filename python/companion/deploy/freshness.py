"""Whether what a robot measured may be acted on: of the right size, possible, and not old by its stamp or its arrival.

The robot's clock and the runtime's differ by nobody knows how much. What is known is that nothing arrives before it was
measured: the least difference of arrival and stamp that was ever seen is the clocks' difference, give or take the
shortest way that a message took. So a message that was long on its way shows, and a stamp that stands still does too.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Mapping  # noqa: UP035 (Python 3.8)

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from companion.deploy.link import Measurement, Quantity
    from companion.deploy.profiles import Input

DRIFT = 2e-4
"""Clocks of small computers differ by up to 100 ppm each; by so much per second the least difference is forgotten."""
SET_BACK_STAMPS = 3
"""So many stamps in a row that go on from a time before the newest one are those of a clock that was set back."""
LARGEST_STAMP_S = 1e12
NEVER = math.inf


@dataclass(frozen=True)
class View:
    """What the runtime may act on at one tick."""

    now_s: float
    values: Mapping[str, NDArray[np.float64]]
    """The newest good value of every quantity that has come, however old."""
    age_s: Mapping[str, float]
    """How long ago that was measured; infinite where nothing has come."""
    problems: tuple[str, ...]
    """Why the robot must not move now, as "scan: old"."""
    is_complete: bool = True
    """Everything needed has come at least once, however long ago."""

    def is_fresh(self, name: str) -> bool:
        """Whether this quantity has come and is not old."""
        return name in self.values and not any(problem.startswith(f"{name}:") for problem in self.problems)

    def with_problem(self, *problems: str) -> View:
        """The same with these."""
        return replace(self, problems=(*self.problems, *problems))


class Watch:
    """Watches one quantity."""

    def __init__(self, entry: Input, quantity: Quantity) -> None:
        self.entry, self._size = entry, quantity.size
        self.refused: Counter[str] = Counter()
        self.value: NDArray[np.float64] | None = None
        self._newest_s = -math.inf
        self._seen: tuple[float, float] | None = None
        self._offset_s = math.inf
        self._arrived_s = -math.inf
        self._measured_s = -math.inf
        self._earlier = _Earlier()
        self.was_set_back = False
        """Its stamps have just shown that the robot's clock was set back."""

    def take(self, measurement: Any, now_s: float) -> None:
        """Look at the newest measurement, which may be anything at all; what can't be true is refused and counted."""
        try:
            stamp_s, arrived_s = float(measurement.stamp_s), min(float(measurement.arrived_s), now_s)
        except (TypeError, ValueError, AttributeError, OverflowError):
            self.refused["no stamp"] += 1
            return
        if self._seen == (stamp_s, arrived_s):
            return
        self._seen = (stamp_s, arrived_s)
        reason = self._refusal(measurement, stamp_s, arrived_s)
        if reason:
            self.refused[reason] += 1

    def age_s(self, now_s: float) -> float:
        """How old the newest good value is; infinite where there is none."""
        return max(now_s - self._measured_s, 0.0) if self.value is not None else NEVER

    def is_old(self, now_s: float) -> bool:
        """Whether it is too old to be acted on."""
        return not self.age_s(now_s) <= self.entry.fresh_s

    def forget_clock(self) -> None:
        """The robot's clock was set: its difference to ours is learned anew."""
        self._newest_s, self._offset_s, self.was_set_back = -math.inf, math.inf, False
        self._earlier = _Earlier()

    def _refusal(self, measurement: Measurement, stamp_s: float, arrived_s: float) -> str:
        """Take the measurement, and say nothing; or say why not."""
        if not (abs(stamp_s) <= LARGEST_STAMP_S and self._arrived_s <= arrived_s <= LARGEST_STAMP_S):
            return "no stamp"
        values = _as_floats(measurement.values)
        if values is None or values.shape != (self._size,):
            return "wrong size"
        finite = np.isfinite(values)
        if np.count_nonzero(~finite) > self.entry.may_miss_share * self._size:
            return "not finite"
        known = values[finite]
        if ((known < self.entry.low) | (known > self.entry.high)).any():
            return "impossible"
        return self._taken(values, stamp_s, arrived_s)

    def _taken(self, values: NDArray[np.float64], stamp_s: float, arrived_s: float) -> str:
        if stamp_s == self._newest_s:
            return "stamp stood still"
        if stamp_s < self._newest_s:
            if not self._earlier.goes_on(stamp_s):
                return "stamp went back"
            self.was_set_back = True
            self._offset_s = math.inf
        self._earlier = _Earlier()
        if self._offset_s < math.inf:
            self._offset_s += DRIFT * max(arrived_s - self._arrived_s, 0.0)
        self._offset_s = min(self._offset_s, arrived_s - stamp_s)
        self._newest_s, self._arrived_s = stamp_s, arrived_s
        self._measured_s = stamp_s + self._offset_s
        self.value = values
        return ""


@dataclass
class _Earlier:
    """Stamps from before the newest one that go on among themselves."""

    stamp_s: float = -math.inf
    count: int = 0

    def goes_on(self, stamp_s: float) -> bool:
        """Whether there have been enough of them for the clock to have been set back."""
        self.count = self.count + 1 if stamp_s > self.stamp_s else 1
        self.stamp_s = stamp_s
        return self.count >= SET_BACK_STAMPS


def _as_floats(values: Any) -> NDArray[np.float64] | None:
    """A copy of its own, so that nobody changes it later; None where it is no list of numbers."""
    try:
        with np.errstate(all="ignore"):
            return np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


class Watches:
    """Watches all that a robot measures."""

    def __init__(
        self, needed: tuple[Input, ...], optional: tuple[Input, ...], quantities: Mapping[str, Quantity]
    ) -> None:
        self._needed = {entry.name: Watch(entry, quantities[entry.name]) for entry in needed}
        self._optional = {entry.name: Watch(entry, quantities[entry.name]) for entry in optional}

    def look(self, measured: Mapping[str, Measurement], now_s: float) -> View:
        """What of the link's newest measurements may be acted on.

        An optional quantity that has come once is needed from then on: a sensor that falls silent is no sensor less.
        """
        watches = {**self._needed, **self._optional}
        for name, watch in watches.items():
            if name in measured:
                watch.take(measured[name], now_s)
        self._follow_clock()
        problems = [f"{name}: {_problem(watch)}" for name, watch in self._needed.items() if watch.is_old(now_s)]
        problems += [
            f"{name}: {_problem(watch)}"
            for name, watch in self._optional.items()
            if watch.value is not None and watch.is_old(now_s)
        ]
        return View(
            now_s,
            {name: watch.value for name, watch in watches.items() if watch.value is not None},
            {name: watch.age_s(now_s) for name, watch in watches.items()},
            tuple(problems),
            all(watch.value is not None for watch in self._needed.values()),
        )

    def _follow_clock(self) -> None:
        """All of a robot's stamps are by one clock: what the quickest quantity shows of it holds for the others."""
        watches = [*self._needed.values(), *self._optional.values()]
        setters = [watch for watch in watches if watch.was_set_back]
        for watch in watches if setters else ():
            if watch in setters:
                watch.was_set_back = False
            else:
                watch.forget_clock()

    @property
    def refused(self) -> dict[str, int]:
        """How many measurements were refused, by quantity and reason."""
        watches = {**self._needed, **self._optional}
        return {f"{name}: {why}": count for name, watch in watches.items() for why, count in watch.refused.items()}


def _problem(watch: Watch) -> str:
    return "nothing has come" if watch.value is None else "old"
