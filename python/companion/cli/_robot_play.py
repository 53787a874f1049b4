"""A simulated robot at its end of a wire, in real time, with whatever is to go wrong in between."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from companion.deploy.links._robot_end import RobotEnd, Taken
from companion.deploy.safety import ARMING_S, RECOVERY_S
from companion.simulator.faults import FaultyWire, Plan
from companion.simulator.robot import Episode, Reading, RobotSimulator
from companion.tasks import Task

MOST_BEHIND_S = 0.25
"""A robot that has fallen behind its time by more than this leaves the missing time out, and counts it."""
OPERATOR_PERIOD_S = 0.1
RELEASED_S = 0.1
"""A simulated operator presses the enabling switch when an episode has lasted so long, and somebody commands."""


def with_time_to_start(task: Task, released_s: float = RELEASED_S) -> Task:
    """The task with longer episodes, by what a runtime takes to start, so that the policy has as much time as usual."""
    return replace(task, max_episode_s=task.max_episode_s + released_s + RECOVERY_S + ARMING_S)


class Time(Protocol):
    """A clock that one can wait for."""

    def now(self) -> float: ...
    def wait_until(self, time_s: float) -> None: ...


class WallTime:
    """The machine's own monotonic clock."""

    def now(self) -> float:
        return time.monotonic()

    def wait_until(self, time_s: float) -> None:
        time.sleep(max(0.0, time_s - time.monotonic()))


@dataclass
class Tally:
    """What a run of a simulated robot came to, beside its episodes."""

    commands: int = 0
    stops: int = 0
    left_out_s: float = 0.0
    """Time that the machine was too slow for."""


@dataclass(frozen=True)
class Robot:
    """A simulated robot and what stands between it and its runtime."""

    simulator: RobotSimulator
    end: RobotEnd
    plan: Plan
    seed: int = 0
    is_enabled: bool = False
    """Whether an operator is simulated, who presses the enabling switch early in every episode and holds it."""


class Play:
    """Plays a robot; `step` is one physics step."""

    def __init__(self, robot: Robot) -> None:
        self.tally = Tally()
        self._robot = robot
        self._wire: FaultyWire[Taken] = FaultyWire(robot.plan, robot.seed)
        self._operator_due_s = 0.0
        self._commanded_s = math.inf
        """When the first command came; before it nobody would see the switch released."""
        self._speed = 1.0

    def run(self, until: Callable[[], bool], clock: Time, speed: float = 1.0) -> None:
        """Go on in step with a clock, `speed` times as fast, until the condition holds."""
        step_s = self._robot.simulator.task.physics_step_s / speed
        self._speed = speed
        due_s = clock.now()
        while not until():
            due_s += step_s
            behind_s = clock.now() - due_s
            if behind_s > MOST_BEHIND_S:
                self.tally.left_out_s += behind_s
                due_s += behind_s
            clock.wait_until(due_s)
            self.step()

    def step(self) -> None:
        """Take in commands, take one physics step, send what was measured."""
        simulator, plan = self._robot.simulator, self._robot.plan
        now_s = simulator.time_s
        if self._wire.restarts(now_s):
            self._robot.end.restart()
            simulator.stop()
        # A process that hangs does not empty its sockets either.
        waiting = [] if plan.is_out(now_s) else self._robot.end.commands()
        for command in self._wire.incoming(waiting, now_s):
            self._obey(command)
        readings = simulator.advance()
        for reading in self._wire.outgoing([*readings, *self._operator()], simulator.time_s):
            is_wrong = self._wire.is_wrong_type(reading.sensor, simulator.time_s)
            publish = self._robot.end.publish_wrong if is_wrong else self._robot.end.publish
            # Its clock goes on in step with everybody else's, also when it lives faster, or falls behind.
            publish(reading.values, reading.stamp_s / self._speed + self.tally.left_out_s)

    def _obey(self, command: Taken) -> None:
        self._commanded_s = min(self._commanded_s, self._robot.simulator.time_s)
        if command.is_stop:
            self.tally.stops += 1
            self._robot.simulator.stop()
        else:
            self.tally.commands += 1
            self._robot.simulator.command(command.values, command.over_s)

    def _operator(self) -> list[Reading]:
        """An operator who holds the switch, where there is one."""
        now_s, episode_s = self._robot.simulator.time_s, self._robot.simulator.episode_s
        if not self._robot.is_enabled or not episode_s or now_s < self._operator_due_s:
            return []
        self._operator_due_s = now_s + OPERATOR_PERIOD_S
        held = float(min(episode_s, now_s - self._commanded_s) > RELEASED_S)
        return [Reading("operator", {"operator": np.array((held, 0.0, 0.0))}, now_s)]


def told(number: int, episode: Episode) -> str:
    """One line about an episode."""
    ways = {
        "success": "success",
        "time": "out of time",
        "contact": "contact",
        "invalid": "the physics went bad; not counted",
    }
    line = f"episode {number}: {ways[episode.ended_by]} after {episode.duration_s:.1f} s"
    if episode.contact is not None:
        whom = " with a person who walked in" if episode.contact.has_walked_in else ""
        whom = whom or (" with a person" if episode.contact.is_person else "")
        line += f"{whom} at {episode.contact.speed_mps:.2f} m/s"
    return line
