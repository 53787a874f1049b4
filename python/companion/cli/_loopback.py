"""The simulator as the robot, in simulated time: the runtime on the very world that policies are judged in.

The robot measures at its own sensors' rates and knows nothing of decisions; time goes by while the runtime sleeps.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from companion.cli._robot_play import with_time_to_start
from companion.deploy.link import Measurement
from companion.policy_card import PolicyCard
from companion.simulator.robot import Episode, RobotSimulator
from companion.tasks import Task

NOBODY_M = 5.5
"""What a safety scanner about an arm's table says where nobody is: the protective field of larger ones."""
NOBODY_PERIOD_S = 0.04


@dataclass(frozen=True)
class Setting:
    """Which robot in which world."""

    task: Task
    card: PolicyCard
    seed: int
    set: Mapping[str, float]


class Loopback:
    """A link to a simulated robot, and what lets it live on; commands come as late as actions took effect in training.

    How late is drawn anew for each episode, as in training. An episode may last longer than there by what it takes to
    start, so that the policy has as much time.
    """

    def __init__(self, setting: Setting) -> None:
        task, card = setting.task, setting.card
        delay = "action_delay_steps"
        longer = with_time_to_start(task, released_s=0.0)  # nobody has to press a switch here
        self._robot = RobotSimulator(longer, seed=setting.seed, overrides={**setting.set, delay: 0})
        self._random = np.random.default_rng([setting.seed, 2])
        fixed = setting.set.get(delay)
        self._delays = (
            (fixed, fixed) if fixed is not None else tuple(one / task.control_period_s for one in card.latency_s)
        )
        self._period_s, self._has_scanner = task.control_period_s, card.robot == "ur5e"
        self._latest: dict[str, Measurement] = {}
        self._commands: deque[tuple[float, NDArray[np.float64]]] = deque()
        self._nobody_s = -np.inf
        self._begin()

    @property
    def episodes(self) -> list[Episode]:
        """Those that ended."""
        return self._robot.episodes

    def read(self) -> Mapping[str, Measurement]:
        """The newest measurement of each quantity."""
        return dict(self._latest)

    def send(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        """Queue a command until its delay is over."""
        self._commands.append((self._robot.time_s + self._delay_s, np.array(command, np.float64)))
        return np.array(command, np.float64)

    def close(self) -> None:
        """Stop the simulator."""
        self._robot.close()

    def advance(self, to_s: float) -> None:
        """Let the robot live on until then."""
        while self._robot.time_s < to_s - 1e-9:
            self._deliver()
            count = len(self._robot.episodes)
            for reading in self._robot.advance():
                if self._is_carried:
                    self._is_carried = False
                    self._commands.clear()  # They were for where the robot was before.
                for name, values in reading.values.items():
                    self._latest[name] = Measurement(values, reading.stamp_s, self._robot.time_s)
            if len(self._robot.episodes) > count:
                self._begin()
            elif self._has_scanner and not self._is_carried:
                self._look_for_people()

    def _begin(self) -> None:
        """The robot is carried to where the next episode begins; what it was told before counts no more."""
        self._commands.clear()
        self._is_carried = True
        low, high = (round(one) for one in self._delays)
        self._delay_s = float(self._random.integers(low, high + 1)) * self._period_s

    def _deliver(self) -> None:
        while self._commands and self._commands[0][0] <= self._robot.time_s + 1e-9:
            command = self._commands.popleft()[1]
            if not self._is_carried:
                self._robot.command(command)

    def _look_for_people(self) -> None:
        """Nobody comes near the table of arm_reach; a scanner would say so."""
        now_s = self._robot.time_s
        if now_s >= self._nobody_s + NOBODY_PERIOD_S - 1e-9:
            self._nobody_s = now_s
            self._latest["person_distance"] = Measurement(np.array([NOBODY_M]), now_s, now_s)
