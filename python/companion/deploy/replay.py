"""What the runtime would do today with what a robot measured then: a black box played through it, tick by tick.

Nothing is commanded and no time passes. Each tick hears what it heard then; the answers are held against those that the
black box has. What was really sent then is taken for sent now, so that each tick is judged by the same past.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Mapping  # noqa: UP035 (Python 3.8)

import numpy as np

from companion.deploy import profiles
from companion.deploy.black_box import ABSENT_S, BlackBoxError, Recording
from companion.deploy.link import Measurement
from companion.deploy.loop import Options, Runtime, parts_of
from companion.deploy.safety import Mode, Operator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from companion.deploy.loop import Actor, Tick
    from companion.deploy.profiles import Profile

TOLERANCE = 1e-4
"""Actions and commands that differ by less are alike: another machine rounds in another way."""
KEPT = 5
"""Of the ticks that differ, the first ones are told."""


@dataclass
class Comparison:
    """How the answers of now stand to those of then."""

    ticks: int = 0
    left_out: int = 0
    """At the beginning, where the robot was driving already and nobody knows since when."""
    lost: int = 0
    """Ticks in between that the black box has not whole."""
    modes_alike: int = 0
    acted_both: int = 0
    """Ticks on which the policy acted, then and now."""
    acted_then_only: int = 0
    acted_now_only: int = 0
    action_difference: float = 0.0
    """The greatest of any entry, where it acted then and now."""
    command_difference: float = 0.0
    """The greatest of any entry, in its unit, where something was sent then."""
    differing: int = 0
    """Ticks whose mode, action or command is another."""
    first_differing: list[str] = field(default_factory=list)

    @property
    def is_alike(self) -> bool:
        """Whether nothing is different."""
        return not self.differing


def replay(recording: Recording, actor: Actor, profile: Profile) -> Comparison:
    """Play a black box through a runtime with this policy.

    Raises:
        ValueError: if the black box is of another task, robot or rate, holds no raw measurements, or no beginning.
    """
    played = _Played(recording, _beginning(recording, actor, profile))
    page = recording.page
    for name in page.needed:
        profile = profiles.needing(profile, name)
    parts = parts_of(actor, profile, played, played, shadow=page.shadow)
    if played.place:
        parts.safety.mode = Mode(int(recording.records["mode"][played.place - 1]))
    if _was_released(recording, played.place):
        parts.safety.look({}, Operator(), played.now_s() - page.control_period_s)
    runtime = Runtime(parts, Options(operator=played.operator, heartbeat=played.heartbeat, shadow=page.shadow))
    found = Comparison(left_out=played.place)
    for place in range(played.place, len(recording.records)):
        played.place = place
        found.lost += played.lost()
        _compare(runtime.tick(played.gap()), recording.records[place], found)
    return found


def _beginning(recording: Recording, actor: Actor, profile: Profile) -> int:
    """The first tick of which all that the runtime remembers is known: the very first, or one after it waited."""
    page, card = recording.page, actor.card
    if not page.measured:
        raise BlackBoxError("the black box holds no raw measurements: it is from before they were kept")
    for what, then, now in (
        ("task", page.task, card.task),
        ("robot", page.robot, profile.name),
        ("control period", page.control_period_s, card.control_period_s),
    ):
        if then != now:
            raise BlackBoxError(f"the black box is of {what} {then}; the policy is for {now}")
    waits = np.flatnonzero(np.isin(recording.records["mode"], (Mode.INIT, Mode.READY)))
    if not len(waits) or waits[0] + 1 == len(recording.records):
        raise BlackBoxError("the black box holds no moment at which the robot waited to be enabled; nothing to go from")
    is_whole = recording.records["number"][0] == 1
    return 0 if is_whole else int(waits[0]) + 1


def _was_released(recording: Recording, place: int) -> bool:
    """Whether the enabling switch was seen released before this tick: else it could not have armed the robot later."""
    modes, held = recording.records["mode"][place:], recording.records["operator"][place:, 0] > 0
    armed = np.flatnonzero(modes == Mode.ARMED)
    return place > 0 and len(armed) > 0 and bool(held[: armed[0] + 1].all())


class _Played:
    """Link, clock, operator and watchdog of then, at the tick that is being played."""

    def __init__(self, recording: Recording, place: int) -> None:
        self._records, self._page, self.place = recording.records, recording.page, place
        self._first = place

    @property
    def _record(self) -> Any:
        return self._records[self.place]

    def read(self) -> Mapping[str, Measurement]:
        """What the link gave on this tick."""
        record, found = self._record, {}
        for place, quantity in enumerate(self._page.measured):
            stamp_s, arrived_s = float(record["stamp_s"][place]), float(record["arrived_s"][place])
            if arrived_s != ABSENT_S:
                values = np.array(record[f"measured.{quantity.name}"], np.float64)
                found[quantity.name] = Measurement(values, stamp_s, arrived_s)
        return found

    def send(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        """Nobody obeys; what was really sent then."""
        sent = np.array(self._record["sent"], np.float64)
        return sent if np.isfinite(sent).all() else command

    def close(self) -> None:
        """Nothing is open."""

    def now_s(self) -> float:
        return float(self._record["now_s"])

    def sleep_until(self, due_s: float) -> None:
        """No time passes here."""

    def operator(self) -> Operator:
        """What was asked for on this tick."""
        return Operator(*(bool(one) for one in self._record["operator"]))

    def heartbeat(self, *, may_move: bool) -> str:
        """What else spoke against moving."""
        text = bytes(self._record["external"]).rstrip(b"\0").decode("utf-8", "replace")
        return text[len("watchdog: ") :] if text.startswith("watchdog: ") else text

    def gap(self) -> int:
        """Deadlines missed before this tick."""
        if self.place == self._first:
            return 0
        due_s = [float(self._records[place]["now_s"]) - float(self._records[place]["late_s"]) for place in self._pair()]
        return max(round((due_s[1] - due_s[0]) / self._page.control_period_s) - 1, 0)

    def lost(self) -> int:
        """Ticks between this one and the one before."""
        if self.place == self._first:
            return 0
        before, now = (int(self._records[place]["number"]) for place in self._pair())
        return now - before - 1

    def _pair(self) -> tuple[int, int]:
        return self.place - 1, self.place


def _compare(tick: Tick, record: Any, found: Comparison) -> None:
    """Take one tick into account."""
    found.ticks += 1
    mode = tick.verdict.mode
    found.modes_alike += int(record["mode"] == mode)
    wrong = [] if record["mode"] == mode else [f"{Mode(int(record['mode'])).name} then, {mode.name} now"]
    acted_then = bool(np.isfinite(record["action"]).all())
    found.acted_both += acted_then and tick.action is not None
    found.acted_then_only += acted_then and tick.action is None
    found.acted_now_only += not acted_then and tick.action is not None
    if acted_then and tick.action is not None:
        apart = float(np.abs(tick.action - record["action"]).max())
        found.action_difference = max(found.action_difference, apart)
        wrong += [f"the action by {apart:.3g}"] if apart > TOLERANCE else []
    if np.isfinite(record["sent"]).all() and tick.verdict.command is not None:
        apart = float(np.abs(tick.verdict.command - record["sent"]).max())
        found.command_difference = max(found.command_difference, apart)
        wrong += [f"the command by {apart:.3g}"] if apart > TOLERANCE else []
    found.differing += bool(wrong)
    if wrong and len(found.first_differing) < KEPT:
        found.first_differing.append(f"tick {int(record['number'])}: {', '.join(wrong)}")
