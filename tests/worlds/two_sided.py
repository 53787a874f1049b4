"""A two-sided task in one file: a keeper moves along a goal line, and who plays against it aims at the line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.signals import Signal
from companion.tasks import ActionEntry, Metric, Perturbation, Task
from companion.tasks._other_side import OtherSide, Seats, Turn, everywhere
from companion.tasks._scene import Ends, Floats, ModelEdit, Names, Physics, Which

POINTS = 3
"""An episode is over after so many."""
REACH = 0.5
"""Balls that pass the keeper further aside are points of the other side."""
_MJCF = """
<mujoco>
  <option timestep="0.05"/>
  <worldbody>
    <body name="ball" mocap="true"><geom size="0.1" contype="0" conaffinity="0"/></body>
    <body name="keeper"><joint name="slide" type="slide" axis="0 1 0"/><geom size="0.1" mass="1"/></body>
  </worldbody>
  <sensor><jointpos joint="slide"/></sensor>
</mujoco>"""


@dataclass
class KeeperState:
    """Arrays `[copies]`."""

    keeper: Floats
    aim: Floats
    left: Floats
    """Decisions until the ball passes; copy c takes 2 + c % 3."""
    points: Floats
    lost: Floats
    difficulty: Floats


class KeeperScene:
    """The action moves the keeper by 0.1 at most; everything else happens in numpy."""

    state: KeeperState

    def __init__(self, seats: Seats = everywhere(lambda sight, random: np.zeros((len(sight), 1)))) -> None:  # noqa: B008
        self.seats = seats

    def mjcf(self) -> str:
        return _MJCF

    def allocate(self, copies: int, names: Names) -> None:
        self.state = KeeperState(*(np.zeros(copies) for _ in range(6)))

    def start(
        self, which: NDArray[np.intp], physics: Physics, perturbation: Mapping[str, Floats], random: np.random.Generator
    ) -> list[ModelEdit]:
        state = self.state
        state.points[which] = state.lost[which] = 0.0
        state.difficulty[which] = perturbation["difficulty"]
        state.keeper[which] = perturbation["start"]
        self._ask(which, np.zeros(len(which)), random, begins=True)
        return []

    def answer(self, which: NDArray[np.intp], decision: Floats) -> None:
        self.state.aim[which] = decision[:, 0]

    def drive(self, physics: Physics, action: Floats, random: np.random.Generator) -> None:
        state = self.state
        state.keeper += 0.1 * action[:, 0]
        state.left -= 1
        over = np.flatnonzero(state.left <= 0)
        if len(over):
            lost = np.abs(state.aim[over] - state.keeper[over]) > REACH
            state.points[over] += 1
            state.lost[over] += lost
            self._ask(over, np.where(lost, 1.0, -1.0), random, begins=False)

    def measure(self, which: Which, physics: Physics, random: np.random.Generator) -> dict[str, Floats]:
        state = self.state
        names = {"keeper": state.keeper, "lost": state.lost, "points": state.points}
        return {name: values[which, None].copy() for name, values in names.items()}

    def ends(self, signals: Mapping[str, Floats]) -> Ends:
        over = signals["points"][:, 0] >= POINTS
        return Ends(over, over & (signals["lost"][:, 0] == 0))

    def _ask(self, which: NDArray[np.intp], score: Floats, random: np.random.Generator, *, begins: bool) -> None:
        state = self.state
        sight = np.stack((state.keeper[which], state.difficulty[which]), axis=1)
        state.aim[which] = self.seats(Turn(which, sight, score, begins), random)[:, 0]
        state.left[which] = 2 + which % 3


def limited(free: Floats, sight: Floats) -> Floats:
    """At difficulty 0 nothing may be aimed further aside than 0.2."""
    return np.clip(free, -1, 1) * (0.2 + 0.8 * sight[:, 1:])


OTHER = OtherSide(
    name="shooter",
    sight=(Signal("keeper", 1, "m", "Where the keeper is."), Signal("difficulty", 1, "1", "How hard.")),
    decision=(ActionEntry("aim", "m", -1.0, 1.0),),
    point_means="the ball passes the keeper",
    scripted=lambda sight, random: np.zeros((len(sight), 1)),
    limited=limited,
    make_scene=KeeperScene,
)

TASK = Task(
    name="keeper",
    robot="ur5e",
    description="Keeps a goal.",
    success_means="no ball passes",
    control_period_s=0.05,
    physics_step_s=0.05,
    max_episode_s=5.0,
    signals=(
        Signal("keeper", 1, "m", "Where the keeper is."),
        Signal("lost", 1, "1", "Points of the other side."),
        Signal("points", 1, "1", "Points in all."),
        Signal("previous_action", 1, "1", "Last action."),
        Signal("action_change", 1, "1", "Its change."),
    ),
    observation=("keeper",),
    action=(ActionEntry("aside", "m", -0.1, 0.1),),
    perturbations=(
        Perturbation("action_delay_steps", "steps", 0, 0, 0, (0, 1), "Delay.", True),
        Perturbation("difficulty", "1", 1, 1, 1, (0, 1), "How hard."),
        Perturbation("start", "m", 0.25, 0.25, 0.25, (-1, 1), "Where the keeper begins."),
    ),
    metrics=(Metric("lost", "1", "Points of the other side.", "last"),),
    make_scene=KeeperScene,
    other_side=OTHER,
)


class Still:
    """A robot that does nothing."""

    def act(self, observation: NDArray[np.float32], mask: Any = None) -> NDArray[np.float32]:
        return np.zeros((len(observation), 1), np.float32)

    def restart(self, rows: NDArray[np.bool_] | None = None) -> None:
        """It remembers nothing."""
