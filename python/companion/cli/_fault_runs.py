"""One run of the whole runtime against the simulated robot with faults in between, in simulated time.

Nothing in it is left out but the wire itself: policy, senses, safety filter and loop are those of `companion deploy`,
the robot is `companion robot-sim`'s, and a watchdog watches as its process does. Time goes by while the runtime sleeps,
so a run repeats exactly and takes a fraction of its time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from companion import tasks
from companion.deploy import profiles
from companion.deploy.black_box import Entry
from companion.deploy.clock import SimulatedClock
from companion.deploy.link import Measurement
from companion.deploy.links._robot_end import Taken
from companion.deploy.loop import Actor, Options, Runtime, parts_of
from companion.deploy.safety import Operator
from companion.deploy.watchdog import LOOK_EVERY_S, MOVING, SAY_EVERY_S, STANDING, Guard
from companion.deploy.watchdog import Plan as WatchdogPlan
from companion.simulator.faults import FaultyWire, Plan
from companion.simulator.robot import Episode, RobotSimulator

RuntimeFault = Literal["", "runtime_hang", "runtime_kill", "disk_fails"]
RELEASED_S = 0.3
"""The operator presses the enabling switch then, and holds it."""
STANDING_MPS = 0.01


@dataclass(frozen=True)
class Case:
    """What goes wrong, when, and in which world."""

    plan: Plan
    onset_s: float
    """When the fault begins."""
    end_s: float
    """When the run ends."""
    runtime: RuntimeFault = ""
    """What happens to the runtime itself at the onset."""
    has_watchdog: bool = True
    command_timeout_s: float | None = None
    """The robot's own; a TurtleBot3 has none."""
    seed: int = 0
    set: Mapping[str, float] | None = None

    @property
    def over_s(self) -> float:
        """When the last fault is over, or the run."""
        ends = (fault.start_s + fault.value if fault.kind == "restart" else fault.end_s for fault in self.plan.faults)
        return self.end_s if self.runtime else min(self.end_s, max(ends, default=self.end_s))


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    was_moving: bool
    """When the fault began."""
    stopped_after_s: float | None
    """From the fault's begin until the robot stood and went on standing for as long as the fault lasted; None if it
    still moved when the fault was over."""
    stopping_distance_m: float | None
    """Its way meanwhile, standing and starting again included; None likewise."""
    moved_again: bool
    """Once the fault was over, or without one."""
    was_carried: bool
    """An episode ended while the fault lasted: the robot was put down elsewhere, and its standing says nothing."""
    episodes: tuple[Episode, ...]
    top_speed_mps: float
    stops: Mapping[str, int]
    """Why the runtime stopped."""

    @property
    def contact_mps(self) -> float:
        """The robot's own greatest speed in a contact; -1 if there was none."""
        return max((episode.contact.speed_mps for episode in self.episodes if episode.contact), default=-1.0)


class FullSpeedAhead:
    """A policy that wants nothing but forward, whatever it sees; with the card of a good one."""

    def __init__(self, actor: Actor) -> None:
        self._card = actor.card

    @property
    def card(self) -> Any:
        return self._card

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """Forward, and straight on."""
        action = np.zeros((1, len(self._card.action)), np.float32)
        action[0, 0] = 1.0
        return action

    def reset(self) -> None:
        """Nothing to forget."""


class _Disk:
    """A black box of which nothing is kept, and which can't be written while the condition holds."""

    def __init__(self, fails: Callable[[], bool]) -> None:
        self._fails, self.failed = fails, ""

    def add(self, entry: Entry) -> None:
        """Write a tick, or not."""
        self.failed = "No space left on device" if self._fails() else ""


class _World:
    """The robot, the wire with its faults, and a link at its end; it lives on while the runtime sleeps."""

    def __init__(self, actor: Actor, case: Case) -> None:
        task = tasks.load(actor.card.task)
        self.robot = RobotSimulator(
            task,
            seed=case.seed,
            overrides={"action_delay_steps": 0, **(case.set or {})},
            command_timeout_s=case.command_timeout_s,
        )
        self._case, self._wire = case, FaultyWire[Taken](case.plan, case.seed)
        self._latest: dict[str, Measurement] = {}
        self._waiting: list[Taken] = []
        self._guard = Guard(WatchdogPlan("", actor.card.robot))
        self._said_s = -np.inf
        self.track: list[tuple[float, float]] = []
        """Time and the robot's speed, at every physics step."""
        self.ended_s: list[float] = []
        """When episodes ended."""

    def read(self) -> Mapping[str, Measurement]:
        """The link's own: the newest measurement of each quantity."""
        return dict(self._latest)

    def send(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        """The link's own: on its way."""
        self._waiting.append(Taken(np.array(command)))
        return self._waiting[-1].values

    def close(self) -> None:
        """Stop the simulator."""
        self.robot.close()

    def beat(self, *, may_move: bool = True) -> str:
        """The runtime says that it lives."""
        self._guard.hear(MOVING if may_move else STANDING, self.robot.time_s)
        return ""

    def die(self) -> None:
        """The pipe to the watchdog breaks."""
        self._guard.hear(b"", self.robot.time_s)

    def advance(self, to_s: float) -> None:
        """Live on until then."""
        while self.robot.time_s < to_s - 1e-9:
            self._step()

    def _step(self) -> None:
        now_s, plan = self.robot.time_s, self._case.plan
        self._watch(now_s)
        if self._wire.restarts(now_s):
            self.robot.stop()
        waiting: list[Taken] = []
        if not plan.is_out(now_s):
            waiting, self._waiting = self._waiting, []
        for command in self._wire.incoming(waiting, now_s):
            if command.is_stop:
                self.robot.stop()
            else:
                self.robot.command(command.values)
        readings = self.robot.advance()
        for reading in self._wire.outgoing(readings, self.robot.time_s):
            is_wrong = self._wire.is_wrong_type(reading.sensor, self.robot.time_s)
            for name, values in ({} if is_wrong else reading.values).items():
                self._latest[name] = Measurement(values, reading.stamp_s, self.robot.time_s)
        self.track.append((self.robot.time_s, self.robot.speed_mps))
        if len(self.robot.episodes) > len(self.ended_s):
            self.ended_s.append(self.robot.time_s)

    def _watch(self, now_s: float) -> None:
        """As the watchdog's process: it looks every 20 ms and sends twenty stops a second."""
        looks = not self._case.has_watchdog or round(now_s / LOOK_EVERY_S) * LOOK_EVERY_S - now_s > 1e-9
        if not looks and self._guard.must_stop(now_s) and now_s - self._said_s >= SAY_EVERY_S - 1e-9:
            self._said_s = now_s
            self._waiting.append(Taken(np.zeros(0), is_stop=True))


def run(actor: Actor, case: Case) -> Outcome:
    """Run it to its end."""
    world = _World(actor, case)
    clock = SimulatedClock(world.advance)
    profile = profiles.load(actor.card.robot)
    disk = _Disk(lambda: case.runtime == "disk_fails" and clock.now_s() >= case.onset_s)
    options = Options(operator=lambda: Operator(enabled=clock.now_s() > RELEASED_S), box=disk, heartbeat=world.beat)
    runtime = Runtime(parts_of(actor, profile, world, clock), options)
    lives_on = case.runtime in ("", "disk_fails")
    end_s = case.end_s if lives_on else case.onset_s
    period_s = float(actor.card.control_period_s or 0.1)
    while clock.now_s() < end_s - 1e-9:
        runtime.tick()
        clock.sleep_until(clock.now_s() + period_s)
    if case.runtime == "runtime_kill":
        world.die()
    if not lives_on:
        clock.sleep_until(case.end_s)
    outcome = _judged(world, case, runtime)
    world.close()
    return outcome


def _judged(world: _World, case: Case, runtime: Runtime) -> Outcome:
    time_s, speed = np.array(world.track).T
    before_fault, faulty = time_s <= case.onset_s + 1e-9, time_s <= case.over_s + 1e-9
    during = faulty & ~before_fault
    moving = np.flatnonzero(during & (speed >= STANDING_MPS))
    last_s = float(time_s[moving[-1]]) if len(moving) else case.onset_s
    step_s = world.robot.task.physics_step_s
    has_stood = last_s < time_s[faulty][-1] - step_s / 2
    return Outcome(
        was_moving=bool(speed[before_fault][-1] >= STANDING_MPS),
        stopped_after_s=last_s - case.onset_s if has_stood else None,
        stopping_distance_m=float(speed[during].sum() * step_s) if has_stood else None,
        moved_again=bool((speed[~faulty] > 5 * STANDING_MPS).any()),
        was_carried=any(case.onset_s < end_s <= case.over_s + 1e-9 for end_s in world.ended_s),
        episodes=tuple(world.robot.episodes),
        top_speed_mps=float(speed.max()),
        stops=runtime.report().stops,
    )
