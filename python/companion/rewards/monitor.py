"""Watches a training for signs that the reward is earned in another way than it was meant to be.

It sees what a trainer logs of the episodes that ended: success, return, and what each term gave. Three signs are looked
for: success falls while the return rises; one term's share of the reward jumps while success does not; an event is paid
more often per episode than in episodes that do the task right. An alarm is a reason to look, not a proof.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from companion.rewards.recipe import Recipe

POINT_EPISODES = 40
"""Episodes that are taken together to one point: few end in one update."""
WIDTH = 3
"""Points that are compared with as many others."""
FALL = 0.1
"""Of the success rate, 0 to 1, that counts."""
CERTAIN = 3.0
"""Standard errors of two success rates that a fall must exceed: 1 in 700 by chance, and there are many looks."""
RISE = 0.05
"""Of the return that counts, as a share of all that it has ranged over."""
JUMP = 0.25
"""Of a term's share that counts, 0 to 1."""
LARGE = 0.5
"""A share above this is most of the reward."""
OFTEN = 2.0
"""An event this many times as often as in good episodes is paid for itself."""
QUIET_POINTS = 12
"""After an alarm, the same one is not raised again for so many points."""

Sign = Literal["success falls", "share jumps", "event too often"]


@dataclass(frozen=True)
class Seen:
    """What a trainer logged of the episodes that ended since its last line."""

    transitions: float
    episodes: float
    success: float
    """Share, 0 to 1."""
    total: float
    """Mean return."""
    terms: Mapping[str, float]
    """What each term added to the return, on average."""
    counts: Mapping[str, float]
    """How often each event fired per episode."""


@dataclass(frozen=True)
class Alarm:
    """A reason to look."""

    transitions: float
    sign: Sign
    term: str
    """To look at first."""
    said: str
    """In one sentence, with the figures."""


class Monitor:
    """Raises alarms on one training.

    `good_counts` tells how often each event fires in an episode that does the task right; it is asked once, and only
    when an event fires more than once per episode.
    """

    def __init__(self, recipe: Recipe, good_counts: Callable[[], Mapping[str, float]]) -> None:
        self._names = tuple(term.name for term in recipe.terms)
        self._events = tuple(term.name for term in recipe.terms if term.kind == "event" and term.weight > 0)
        self._ask, self._good = good_counts, dict[str, float]()
        self._pending: list[Seen] = []
        self._points: list[Seen] = []
        self._last: dict[tuple[str, str], int] = {}

    def add(self, seen: Seen) -> list[Alarm]:
        """Take in a line of the log; the alarms that it gives reason to."""
        self._pending.append(seen)
        if sum(one.episodes for one in self._pending) < POINT_EPISODES:
            return []
        self._points.append(_together(self._pending))
        self._pending = []
        found = [alarm for alarm in (self._parting(), self._jump(), self._too_often()) if alarm is not None]
        return [alarm for alarm in found if self._is_news(alarm)]

    def _is_news(self, alarm: Alarm) -> bool:
        key, now = (alarm.sign, alarm.term), len(self._points)
        is_news = now - self._last.get(key, -QUIET_POINTS) >= QUIET_POINTS
        if is_news:
            self._last[key] = now
        return is_news

    def _parting(self) -> Alarm | None:
        """Success is clearly below what it was, at a higher return."""
        if len(self._points) < 2 * WIDTH:
            return None
        now = _together(self._points[-WIDTH:])
        before = max(
            (_together(self._points[at : at + WIDTH]) for at in range(len(self._points) - 2 * WIDTH + 1)),
            key=lambda one: one.success,
        )
        returns = [one.total for one in self._points]
        fall, rise = before.success - now.success, now.total - before.total
        if fall < max(FALL, CERTAIN * _standard_error(before, now)) or rise <= RISE * (max(returns) - min(returns)):
            return None
        term = max(self._names, key=lambda name: now.terms[name] - before.terms[name])
        gained = now.terms[term] - before.terms[term]
        said = (
            f"success fell from {before.success:.0%} to {now.success:.0%} while the return rose from "
            f"{before.total:.3g} to {now.total:.3g}, most of it from '{term}' ({gained:+.3g} per episode)"
        )
        return Alarm(now.transitions, "success falls", term, said)

    def _jump(self) -> Alarm | None:
        """One term became most of the reward while success stayed or fell."""
        if len(self._points) < 2 * WIDTH:
            return None
        now, before = _together(self._points[-WIDTH:]), _together(self._points[-2 * WIDTH : -WIDTH])
        shares = _shares(now, self._names), _shares(before, self._names)
        grown = shares[0] - shares[1]
        column = int(grown.argmax())
        if grown[column] < JUMP or shares[0][column] < LARGE or now.success > before.success + FALL / 2:
            return None
        name = self._names[column]
        said = (
            f"'{name}' went from {shares[1][column]:.0%} to {shares[0][column]:.0%} of the reward while success went "
            f"from {before.success:.0%} to {now.success:.0%}"
        )
        return Alarm(now.transitions, "share jumps", name, said)

    def _too_often(self) -> Alarm | None:
        """An event is collected again and again."""
        now = _together(self._points[-WIDTH:])
        often = [name for name in self._events if now.counts.get(name, 0.0) > 1.0]
        if not often:
            return None
        self._good = self._good or dict(self._ask())
        limits = {name: OFTEN * max(self._good.get(name, 0.0), 0.5) for name in often}
        worst = max(often, key=lambda name: now.counts[name] / limits[name])
        if now.counts[worst] <= limits[worst]:
            return None
        good = self._good.get(worst, 0.0)
        said = f"'{worst}' is paid {now.counts[worst]:.1f} times per episode, in good episodes {good:.1f} times"
        return Alarm(now.transitions, "event too often", worst, said)


def _together(points: Sequence[Seen]) -> Seen:
    """Several as one, weighted by their episodes."""
    weights = np.array([one.episodes for one in points])

    def mean(values: Sequence[float]) -> float:
        return float(np.average(values, weights=weights))

    return Seen(
        transitions=points[-1].transitions,
        episodes=float(weights.sum()),
        success=mean([one.success for one in points]),
        total=mean([one.total for one in points]),
        terms={name: mean([one.terms[name] for one in points]) for name in points[0].terms},
        counts={name: mean([one.counts[name] for one in points]) for name in points[0].counts},
    )


def _shares(point: Seen, names: Sequence[str]) -> NDArray[np.float64]:
    sizes = np.array([abs(point.terms[name]) for name in names])
    return sizes / max(float(sizes.sum()), 1e-30)


def _standard_error(first: Seen, second: Seen) -> float:
    """Of the difference of two success rates, pooled."""
    pooled = (first.success * first.episodes + second.success * second.episodes) / (first.episodes + second.episodes)
    return math.sqrt(pooled * (1 - pooled) * (1 / first.episodes + 1 / second.episodes))
