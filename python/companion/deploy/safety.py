"""What stands between a policy and a robot: it never lets through what is not finite, too fast, too far or too near.

It knows nothing of how the policy came to its action. `SafetyFilter.step` is the whole of one tick; `next_mode` is its
state machine; how a base or an arm is held within its limits stands in `base_guard.py` and `arm_guard.py`.

Speeds and distances near people follow ISO/TS 15066:2016. It is for healthy adults at work: forces are halved here for
frail people, and no contact with the head is allowed. Laser scanners of small robots are not safety-rated; this filter
lowers a risk, and a wired emergency stop is needed all the same.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Mapping, Protocol  # noqa: UP035 (Python 3.8)

import numpy as np

from companion.deploy.freshness import View, Watches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from companion.deploy.link import Measurement
    from companion.deploy.profiles import Profile, Separation
    from companion.policy_card import PolicyCard

FRAIL_FACTOR = 0.5
"""On the forces that people may be touched with: a choice of this project, as no standard has numbers for the frail."""
TRANSIENT_FACTOR = 2.0
"""A bump may push this much harder than a squeeze (ISO/TS 15066, A.3.2), but not at the head."""
ARMING_S = 0.5
"""The enabling switch is held for so long before the robot moves."""
RECOVERY_S = 0.5
"""After a stop all has to be well for so long."""
OUT_OF_RANGE_S = 1.0
"""An observation may leave the range of training for so long; beyond, nobody knows what the policy does."""
RANGE_MARGIN_SHARE = 0.1
"""Of an entry's range in training; noise carries it a little beyond."""


# --- contact and separation ---


@dataclass(frozen=True)
class BodyPart:
    """What a part of the body bears, and how it gives way: ISO/TS 15066, tables A.2 and A.3."""

    force_n: float
    """Bearable in a squeeze, healthy adults."""
    stiffness_npm: float
    mass_kg: float
    is_head: bool = False


BODY_PARTS = {
    "skull": BodyPart(130, 150e3, 4.4, is_head=True),
    "face": BodyPart(65, 75e3, 4.4, is_head=True),
    "chest": BodyPart(140, 25e3, 40),
    "abdomen": BodyPart(110, 10e3, 40),
    "upper arm": BodyPart(150, 30e3, 3),
    "hand": BodyPart(140, 75e3, 0.6),
    "thigh": BodyPart(220, 50e3, 75),
    "lower leg": BodyPart(130, 60e3, 75),
}


def contact_speed_mps(part: BodyPart, robot_mass_kg: float, factor: float = FRAIL_FACTOR) -> float:
    """How fast a robot may bump into a part of the body: v = F / √(μ k), ISO/TS 15066, A.3.4; 0 for the head.

    Args:
        part: the part of the body.
        robot_mass_kg: what moves of the robot.
        factor: on the force that healthy adults bear; 1 for them.
    """
    if part.is_head and factor < 1.0:
        return 0.0
    reduced_mass_kg = 1.0 / (1.0 / robot_mass_kg + 1.0 / part.mass_kg)
    transient = 1.0 if part.is_head else TRANSIENT_FACTOR
    return factor * transient * part.force_n / math.sqrt(reduced_mass_kg * part.stiffness_npm)


def separation_m(speed: float, person_speed: float, keeps: Separation, age_s: float = 0.0) -> float:
    """The distance at which a robot at this speed must begin to brake: S = Sh + Sr + Ss + C + Z.

    Args:
        speed: of the robot towards the person, m/s.
        person_speed: of the person towards the robot, m/s.
        keeps: how the robot reacts and brakes.
        age_s: of the measurement that tells the distance; the person goes on walking meanwhile.
    """
    stopping_s = speed / keeps.braking_mps2
    person_m = person_speed * (age_s + keeps.reaction_s + stopping_s)
    robot_m = speed * keeps.reaction_s + speed * stopping_s / 2
    return person_m + robot_m + keeps.intrusion_m + keeps.uncertainty_m


def separation_speed_mps(
    distance: NDArray[np.float64] | float, person_speed: NDArray[np.float64] | float, keeps: Separation, age_s: float
) -> NDArray[np.float64]:
    """The greatest speed whose `separation_m` is no more than these distances; 0 where there is none.

    It is the greater root of v²/2a + v (T + vh/a) + vh (T + age) + C + Z - d = 0.
    """
    left = np.asarray(distance, np.float64) - keeps.intrusion_m - keeps.uncertainty_m
    left = left - np.asarray(person_speed) * (keeps.reaction_s + age_s)
    slope = keeps.reaction_s + np.asarray(person_speed) / keeps.braking_mps2
    root = np.sqrt(slope * slope + 2.0 * np.maximum(left, 0.0) / keeps.braking_mps2)
    return keeps.braking_mps2 * (root - slope)


# --- changing speeds gently ---


@dataclass(frozen=True)
class Ramp:
    """How fast speeds may change; arrays over the entries of a command."""

    acceleration: NDArray[np.float64]
    braking: NDArray[np.float64]
    jerk: NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """Speeds, and how fast they are growing."""

    speed: NDArray[np.float64]
    growth: NDArray[np.float64]
    """Of the speeds' sizes, per second, at least 0: what is braking may begin to grow again from none."""

    @staticmethod
    def at_rest(size: int) -> Motion:
        """Of so many entries."""
        return Motion(np.zeros(size), np.zeros(size))


def ramped(before: Motion, wanted: NDArray[np.float64], ramp: Ramp, period_s: float) -> Motion:
    """The speeds one period later, on the way from `before` to `wanted`.

    A speed that is to turn round first comes to a stop, and grows in what is left of the period. Growing is limited in
    acceleration and jerk and slows down in time for the wanted speed; braking is limited in deceleration alone and
    begins at once.
    """
    size, goal, sign = np.abs(before.speed), np.abs(wanted), np.sign(before.speed)
    turns = wanted * sign < 0.0
    brakes = turns | (goal < size)
    braked = size - np.minimum(np.where(turns, size, size - goal), ramp.braking * period_s)
    left_s = np.where(turns, np.maximum(period_s - size / ramp.braking, 0.0), period_s)
    start = np.where(turns, 0.0, size)
    missing = np.maximum(goal - start, 0.0)
    growth = np.minimum(ramp.acceleration, np.where(turns, 0.0, before.growth) + ramp.jerk * left_s)
    growth = np.minimum(growth, np.sqrt(2.0 * ramp.jerk * missing))
    growth = np.minimum(growth, missing / np.maximum(left_s, 1e-9))
    grows = ~brakes | (turns & (left_s > 0.0))
    speed = np.where(grows, np.sign(wanted) * (start + growth * left_s), sign * braked)
    return Motion(speed, np.where(grows, growth, 0.0))


# --- the state machine ---


class Mode(IntEnum):
    """What the robot may do."""

    INIT = 0
    """Waits until everything needed is measured."""
    READY = 1
    """Waits for the enabling switch."""
    ARMED = 2
    """The enabling switch is held; about to move."""
    RUN = 3
    """The policy drives."""
    STOP = 4
    """Brakes, then waits until all is well again."""
    ESTOP = 5
    """Stands until the operator resets it."""


@dataclass(frozen=True)
class Operator:
    """What a person at the robot asks for."""

    enabled: bool = False
    """The enabling switch is held."""
    stop: bool = False
    """The emergency stop is pressed."""
    reset: bool = False


@dataclass(frozen=True)
class Facts:
    """What the state machine goes by."""

    well: bool
    """Nothing speaks against moving."""
    enabled: bool
    """The enabling switch is held, and was seen released before."""
    fatal: bool
    """The emergency stop is pressed, or something happened that must not happen again."""
    reset: bool
    standing: bool
    """The robot is seen to stand."""
    well_s: float
    """How long all has been well."""
    mode_s: float
    """How long the mode has lasted."""


def next_mode(mode: Mode, facts: Facts) -> Mode:
    """The mode of this tick."""
    if facts.fatal:
        return Mode.ESTOP
    if mode == Mode.ESTOP:
        return Mode.INIT if facts.reset else Mode.ESTOP
    if mode == Mode.RUN:
        return Mode.RUN if facts.well and facts.enabled else Mode.STOP
    if mode == Mode.STOP:
        return Mode.READY if facts.standing and facts.well and facts.well_s >= RECOVERY_S else Mode.STOP
    if not facts.well:
        return Mode.INIT
    if mode == Mode.INIT or not facts.enabled:
        return Mode.READY
    if mode == Mode.READY:
        return Mode.ARMED
    return Mode.RUN if facts.standing and facts.mode_s >= ARMING_S else Mode.ARMED


# --- the filter ---


class Guard(Protocol):
    """Keeps one kind of robot within its limits; it remembers what was commanded last."""

    def rest(self, view: View) -> NDArray[np.float64] | None:
        """The command that lets the robot stand at once; from here a start is made without a bump.

        None where no command is known to do that, as long as an arm has not told where it is.
        """
        ...

    def limit(self, wanted: NDArray[np.float64] | None, view: View, told: set[str]) -> NDArray[np.float64] | None:
        """The command nearest to `wanted` that keeps all limits; without `wanted` the robot brakes gently.

        Names of limits that had to step in go into `told`.
        """
        ...

    def is_standing(self, view: View) -> bool:
        """Whether the robot is seen to stand."""
        ...

    def problems(self, view: View) -> list[str]:
        """Why the robot must not move, beyond what is old or missing."""
        ...


@dataclass(frozen=True)
class Verdict:
    """What one tick of the filter came to."""

    mode: Mode
    command: NDArray[np.float64] | None
    """To be sent; always finite and within the limits. None: nothing is to be sent, for no command is known to be."""
    interventions: tuple[str, ...]
    """Names of the limits that changed what the policy wanted."""
    reasons: tuple[str, ...]
    """Why the robot is not in RUN, or is about to leave it."""


@dataclass
class Tally:
    """What the filter did so far."""

    interventions: Counter[str] = field(default_factory=Counter)
    """Ticks on which a limit changed the command, by its name."""
    stops: Counter[str] = field(default_factory=Counter)
    """How often RUN was left, by the reason."""
    out_of_range: Counter[str] = field(default_factory=Counter)
    """Ticks on which a signal was outside the range of training."""


class SafetyFilter:
    """One robot's filter, used in this order on every tick: `look`, `check_observation`, `may_act`, `check_action`,
    `step`.
    """

    def __init__(self, profile: Profile, card: PolicyCard, guard: Guard, *, shadow: bool = False) -> None:
        """Nothing is known of the robot yet.

        Args:
            profile: of the robot.
            card: of the policy.
            guard: of the robot's kind.
            shadow: somebody else drives, so that nothing has to stand or to be enabled before the policy is asked.
        """
        quantities = {one.name: one for one in (*profile.interface.measured, *profile.interface.optional)}
        self._watches = Watches(profile.inputs, profile.optional, quantities)
        self._guard, self._range = guard, _TrainingRange(card)
        self.mode, self.tally = Mode.INIT, Tally()
        self._mode_since_s, self._well_since_s = -math.inf, math.inf
        self._released, self._fatal = False, ""
        self._operator, self._shadow = Operator(), shadow

    @property
    def refused(self) -> dict[str, int]:
        """How many measurements were refused, by quantity and reason."""
        return self._watches.refused

    def look(
        self,
        measured: Mapping[str, Measurement],
        operator: Operator,
        now_s: float,
        external: tuple[str, ...] = (),
    ) -> View:
        """What of the measurements may be acted on.

        Args:
            measured: the link's newest.
            operator: what the person at the robot asks for, beside what the link measures of it.
            now_s: by the runtime's clock.
            external: what else speaks against moving, as a full disk.
        """
        view = self._watches.look(measured, now_s)
        self._operator = _with_link(operator, view)
        self._released |= not self._operator.enabled
        return view.with_problem(*self._guard.problems(view), *external)

    def check_observation(self, observation: NDArray[np.float32], view: View) -> View:
        """The view, with why this observation `[size]` must not be acted on; what leaves the range is counted."""
        if not np.isfinite(observation).all():
            return view.with_problem("observation: not finite")
        names = self._range.outside(observation)
        self.tally.out_of_range.update(names)
        return view.with_problem(*self._range.too_long(names, view.now_s))

    def may_act(self, view: View) -> bool:
        """Whether the policy is to be asked for an action: this tick may end in RUN."""
        return next_mode(self.mode, self._facts(view)) == Mode.RUN

    def check_action(self, action: Any) -> NDArray[np.float64] | None:
        """The action with each entry in [-1, 1]; None, and an emergency stop, where it is no action at all."""
        try:
            values = np.array(action, np.float64)
        except (TypeError, ValueError, OverflowError):
            values = np.zeros(0)
        if values.shape != (self._range.actions,) or not np.isfinite(values).all():
            self._fatal = "action: not finite"
            return None
        if np.abs(values).max(initial=0.0) > 1.0:
            self.tally.interventions["action range"] += 1
        return np.clip(values, -1.0, 1.0)

    def fail(self, reason: str) -> None:
        """Stop for good, until the operator resets: something happened that must not happen again."""
        self._fatal = reason

    def step(self, wanted: NDArray[np.float64] | None, view: View) -> Verdict:
        """The command of this tick, for what the policy wants `[entries]` in physical units; None if it wants nothing.

        Whatever `wanted` holds, the command is finite and within the limits.
        """
        reasons = self._reasons(view)
        mode = next_mode(self.mode, self._facts(view))
        if mode == Mode.RUN and wanted is None:
            mode = Mode.STOP if self.mode == Mode.RUN else self.mode
            reasons = (*reasons, "policy: no action")
        if mode != self.mode:
            self._change(mode, reasons, view.now_s)
        told: set[str] = set()
        command = self._command(wanted, view, told)
        self.tally.interventions.update(told)
        return Verdict(mode, command, tuple(sorted(told)), reasons)

    def rest(self, view: View) -> NDArray[np.float64] | None:
        """The command that lets the robot stand at once; None where none is known to."""
        return self._guard.rest(view)

    def _command(self, wanted: NDArray[np.float64] | None, view: View, told: set[str]) -> NDArray[np.float64] | None:
        if self.mode == Mode.RUN:
            return self._guard.limit(wanted, view, told)
        return self._guard.limit(None, view, told) if self.mode == Mode.STOP else self._guard.rest(view)

    def _facts(self, view: View) -> Facts:
        well = not view.problems
        self._well_since_s = min(self._well_since_s, view.now_s) if well else math.inf
        operator = self._operator
        is_reset = operator.reset and self.mode == Mode.ESTOP
        return Facts(
            well=well,
            enabled=self._shadow or (operator.enabled and self._released),
            fatal=operator.stop or (bool(self._fatal) and not is_reset),
            reset=operator.reset,
            standing=self._shadow or self._guard.is_standing(view),
            well_s=view.now_s - self._well_since_s if well else 0.0,
            mode_s=view.now_s - self._mode_since_s,
        )

    def _change(self, mode: Mode, reasons: tuple[str, ...], now_s: float) -> None:
        if self.mode == Mode.RUN:
            self.tally.stops.update(reasons or ("enabling switch: released",))
        if self.mode == Mode.ESTOP:
            self._fatal, self._released = "", False
        self.mode, self._mode_since_s = mode, now_s

    def _reasons(self, view: View) -> tuple[str, ...]:
        operator = ("operator: emergency stop",) if self._operator.stop else ()
        return (*operator, *((self._fatal,) if self._fatal else ()), *view.problems)


def _with_link(operator: Operator, view: View) -> Operator:
    """Both the operator beside the runtime and the one that the robot's link tells of have to enable."""
    if "operator" not in view.values:
        return operator
    held, stop, reset = view.values["operator"] > 0.5
    fresh = view.is_fresh("operator")
    return Operator(
        operator.enabled and bool(held) and fresh, operator.stop or bool(stop), operator.reset or bool(reset)
    )


class _TrainingRange:
    """Whether observations are such as the policy was trained on."""

    def __init__(self, card: PolicyCard) -> None:
        layout, span = card.layout, card.observation_range
        self.actions = len(card.action)
        self._names = [name for name in layout.names for _ in range(layout.where(name).stop - layout.where(name).start)]
        low = np.full(layout.size, -np.inf) if span is None else np.array(span.low)
        high = np.full(layout.size, np.inf) if span is None else np.array(span.high)
        with np.errstate(invalid="ignore"):
            margin = np.nan_to_num(RANGE_MARGIN_SHARE * (high - low), posinf=0.0) + 1e-6
        self._low, self._high = low - margin, high + margin
        self._since_s = math.inf

    def outside(self, observation: NDArray[np.float32]) -> tuple[str, ...]:
        """The signals with an entry outside, each once."""
        wrong = np.flatnonzero((observation < self._low) | (observation > self._high))
        return tuple(dict.fromkeys(self._names[int(place)] for place in wrong))

    def too_long(self, names: tuple[str, ...], now_s: float) -> tuple[str, ...]:
        """Why not to go on, once something has been outside for too long."""
        if not names:
            self._since_s = math.inf
            return ()
        self._since_s = min(self._since_s, now_s)
        if now_s - self._since_s < OUT_OF_RANGE_S:
            return ()
        return tuple(f"{name}: outside the range of training" for name in names)
