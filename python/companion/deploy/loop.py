"""The runtime: at a fixed rate it reads the robot, asks the policy, filters, commands the robot and takes it all down.

`Runtime.tick` is the whole of one tick. Whichever way `run` ends, the last that the robot hears is to stand still.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Protocol  # noqa: UP035 (Python 3.8)

import numpy as np

from companion.deploy import senses
from companion.deploy.arm_guard import ArmGuard
from companion.deploy.base_guard import BaseGuard
from companion.deploy.black_box import Entry
from companion.deploy.clock import Clock, Deadlines
from companion.deploy.link import Link, LinkLost, Measurement
from companion.deploy.profiles import MobileProfile
from companion.deploy.safety import Mode, Operator, SafetyFilter, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from companion.deploy.freshness import View
    from companion.deploy.profiles import Profile
    from companion.deploy.safety import Guard
    from companion.deploy.senses._sense import Sense
    from companion.policy_card import PolicyCard

MOST_GAP = 3
"""Deadlines missed in a row; after more than these a recurrent policy's memory is of another time."""
DONE_S = 1.0
"""After having succeeded for so long the robot rests, until there is something to do again."""
LAST_WORDS = 3
"""Times that the command to stand still is sent at the end: one may be lost."""
KEPT_TICKS = 100_000
"""Ticks whose durations are kept for the figures at the end."""


class Actor(Protocol):
    """A policy that was checked against its card."""

    @property
    def card(self) -> PolicyCard: ...
    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """The action `[1, n]` for an observation `[1, size]`."""
        ...

    def reset(self) -> None:
        """Forget what was seen: an episode begins."""
        ...


class Box(Protocol):
    """What takes every tick down."""

    @property
    def failed(self) -> str:
        """Why the last one could not be taken down; "" where it was."""
        ...

    def add(self, entry: Entry) -> None:
        """Take a tick down; it never raises."""
        ...


@dataclass(frozen=True)
class Parts:
    """What a runtime is made of."""

    actor: Actor
    sense: Sense
    safety: SafetyFilter
    link: Link
    clock: Clock


@dataclass(frozen=True)
class Options:
    """How it runs."""

    operator: Callable[[], Operator] = Operator
    """What the person beside the runtime asks for now."""
    box: Box | None = None
    heartbeat: Callable[..., str] = lambda *, may_move: ""
    """Tells the watchdog that the runtime lives and whether it may be moving the robot; why it must not move, or ""."""
    shadow: bool = False
    """Compute and take down, send nothing."""


@dataclass(frozen=True)
class Heard:
    """All that one tick goes by."""

    measured: Mapping[str, Measurement]
    operator: Operator
    now_s: float
    external: tuple[str, ...]
    """What speaks against moving that is no measurement."""


@dataclass(frozen=True)
class Tick:
    """What one tick came to."""

    heard: Heard
    view: View
    verdict: Verdict
    signals: dict[str, NDArray[np.float64]] | None
    action: NDArray[np.float64] | None
    wanted: NDArray[np.float64] | None
    """What the action stands for, in the robot's units."""
    sent: NDArray[np.float64] | None
    """What the robot was really told."""
    is_start: bool
    """The policy began anew."""
    work_s: float
    """From reading to sending."""
    late_s: float
    """After its deadline it began."""
    missed: int
    """Deadlines, up to now."""


@dataclass
class Report:
    """What happened while the robot was run."""

    ended_by: str = ""
    ticks: int = 0
    missed: int = 0
    """Deadlines."""
    starts: int = 0
    """How often the policy began anew."""
    mode_s: dict[str, float] = field(default_factory=dict)
    """Time in each mode."""
    interventions: dict[str, int] = field(default_factory=dict)
    stops: dict[str, int] = field(default_factory=dict)
    out_of_range: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    tick_ms: dict[str, float] = field(default_factory=dict)
    """The work of a tick: p50, p99, max."""


def guard_of(profile: Profile, period_s: float) -> Guard:
    """What keeps this kind of robot within its limits."""
    return BaseGuard(profile, period_s) if isinstance(profile, MobileProfile) else ArmGuard(profile, period_s)


def parts_of(actor: Actor, profile: Profile, link: Link, clock: Clock, *, shadow: bool = False) -> Parts:
    """All that a runtime is made of, for a policy on a robot.

    Raises:
        ValueError: if there are no senses for the policy's task, or the policy is for another kind of robot.
    """
    card = actor.card
    entries = profile.interface.command.size
    if card.branches or len(card.action) != entries:
        raise ValueError(
            f"the policy of {card.task} gives {len(card.action)} continuous entries and {len(card.branches)} choices;"
            f" the robot profile '{profile.name}' takes {entries} continuous entries"
        )
    if not card.control_period_s:
        raise ValueError(f"the policy of {card.task} has no control period, so nobody knows how often it should act")
    guard = guard_of(profile, card.control_period_s)
    return Parts(actor, senses.load(card), SafetyFilter(profile, card, guard, shadow=shadow), link, clock)


@contextlib.contextmanager
def _spared_of_garbage() -> Iterator[None]:
    """Let Python's collector leave alone what is there by now, modules and model; looking through it delays a tick."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Runtime:
    """One robot and its policy."""

    def __init__(self, parts: Parts, options: Options) -> None:
        self._parts, self._options = parts, options
        card = parts.actor.card
        self._layout = card.layout
        self._deadlines = Deadlines(parts.clock, card.control_period_s or np.inf)
        self._report, self._durations = Report(), deque(maxlen=KEPT_TICKS)
        self._asked_to_end = ""
        self._done_since_s: float | None = None

    def run(self, until: Callable[[Tick], bool] = lambda tick: False) -> Report:
        """Run until something ends it: `until`, SIGINT, SIGTERM, `end`, a lost link, or an error, which is raised."""
        self._asked_to_end = ""
        with self._signals(), _spared_of_garbage():
            try:
                while not self._asked_to_end:
                    if until(self.tick(self._deadlines.gap)):
                        self._asked_to_end = "done"
                    else:
                        self._deadlines.wait()
            except LinkLost as lost:
                self._asked_to_end = f"link lost: {lost}"
            finally:
                self.halt()
        return self.report()

    def end(self, why: str) -> None:
        """Let `run` come to its end after this tick."""
        self._asked_to_end = self._asked_to_end or why

    def tick(self, gap: int = 0) -> Tick:
        """Read, feel, act, filter, send, take down.

        Args:
            gap: deadlines missed since the tick before.
        """
        parts, began = self._parts, time.perf_counter()
        heard = Heard(parts.link.read(), self._options.operator(), parts.clock.now_s(), self._external())
        view = parts.safety.look(heard.measured, heard.operator, heard.now_s, heard.external)
        starts = self._starts(view, gap)
        signals = self._feel(view)
        view = self._checked(signals, view)
        action = self._act(signals, view)
        wanted = None if action is None else parts.sense.command(action, view)
        verdict = parts.safety.step(wanted, view)
        sent = self._send(verdict)
        work_s, deadlines = time.perf_counter() - began, self._deadlines
        outcome = (signals, action, wanted, sent, starts)
        tick = Tick(heard, view, verdict, *outcome, work_s, deadlines.late_s, deadlines.missed)
        self._take_down(tick)
        return tick

    def halt(self) -> None:
        """Tell the robot to stand still, whatever has happened."""
        view = self._parts.safety.look({}, Operator(), self._parts.clock.now_s())
        command = self._parts.safety.rest(view)
        if command is None or self._options.shadow:
            return
        for _ in range(LAST_WORDS):
            with contextlib.suppress(LinkLost, OSError):
                self._parts.link.send(command)

    def report(self) -> Report:
        """What happened so far."""
        report, safety = self._report, self._parts.safety
        report.ended_by, report.missed = self._asked_to_end, self._deadlines.missed
        report.interventions, report.stops = dict(safety.tally.interventions), dict(safety.tally.stops)
        report.out_of_range, report.refused = dict(safety.tally.out_of_range), safety.refused
        if self._durations:
            p50, p99, most = np.quantile(np.array(self._durations), (0.5, 0.99, 1.0)) * 1e3
            report.tick_ms = {"p50": float(p50), "p99": float(p99), "max": float(most)}
        return report

    def _external(self) -> tuple[str, ...]:
        """What speaks against moving that is no measurement."""
        box, found = self._options.box, []
        if box is not None and box.failed:
            found.append(f"black box: {box.failed}")
        # Before it moves the robot it is ARMED, so that the watchdog knows before.
        may_move = self._parts.safety.mode in (Mode.ARMED, Mode.RUN, Mode.STOP)
        if told := self._options.heartbeat(may_move=may_move):
            found.append(f"watchdog: {told}")
        return tuple(found)

    def _starts(self, view: View, gap: int) -> bool:
        """Whether the policy begins anew; then nothing of before is remembered."""
        safety = self._parts.safety
        begins = safety.may_act(view) and (safety.mode != Mode.RUN or gap > MOST_GAP)
        if begins:
            self._parts.sense.restart(view)
            self._parts.actor.reset()
            self._report.starts += 1
        return begins

    def _feel(self, view: View) -> dict[str, NDArray[np.float64]] | None:
        """The signals; None as long as something they need has not come."""
        if not view.is_complete:
            return None
        with np.errstate(all="ignore"):
            return self._parts.sense.feel(view)

    def _checked(self, signals: dict[str, NDArray[np.float64]] | None, view: View) -> View:
        """With what speaks against acting on these signals."""
        if signals is None:
            return view
        view = self._parts.safety.check_observation(self._layout.pack(signals)[0], view)
        succeeds = "success" in signals and signals["success"][0, 0] > 0.5
        self._done_since_s = (
            (self._done_since_s if self._done_since_s is not None else view.now_s) if succeeds else None
        )
        if self._done_since_s is not None and view.now_s - self._done_since_s >= DONE_S:
            return view.with_problem("task: done")
        return view

    def _act(self, signals: dict[str, NDArray[np.float64]] | None, view: View) -> NDArray[np.float64] | None:
        """The policy's action `[n]`; None where it is not to act."""
        if signals is None or not self._parts.safety.may_act(view):
            return None
        return self._parts.safety.check_action(self._parts.actor.act(self._layout.pack(signals))[0])

    def _send(self, verdict: Verdict) -> NDArray[np.float64] | None:
        if verdict.command is None or self._options.shadow:
            return None
        sent = self._parts.link.send(verdict.command)
        self._parts.sense.sent(sent)
        return sent

    def _take_down(self, tick: Tick) -> None:
        self._report.ticks += 1
        mode, mode_s = tick.verdict.mode.name, self._report.mode_s
        mode_s[mode] = mode_s.get(mode, 0.0) + self._deadlines.period_s
        self._durations.append(tick.work_s)
        if self._options.box is None:
            return
        heard, operator = tick.heard, tick.heard.operator
        self._options.box.add(
            Entry(
                now_s=heard.now_s,
                mode=int(tick.verdict.mode),
                is_start=tick.is_start,
                tick_s=tick.work_s,
                late_s=tick.late_s,
                signals=tick.signals,
                ages_s=tick.view.age_s,
                action=tick.action,
                wanted=tick.wanted,
                sent=tick.sent,
                note="; ".join((*tick.verdict.reasons, *tick.verdict.interventions)),
                measured=heard.measured,
                operator=(operator.enabled, operator.stop, operator.reset),
                external="; ".join(heard.external),
            )
        )

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end the run after the tick at hand."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        caught = (signal.SIGINT, signal.SIGTERM)
        before = {one: signal.signal(one, lambda number, _: self.end(signal.Signals(number).name)) for one in caught}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
