"""What every task file says: the one frozen `TASK` and the parts it is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from companion.signals import Layout, Signal

if TYPE_CHECKING:
    from companion.tasks._other_side import OtherSide
    from companion.tasks._scene import Scene


@dataclass(frozen=True)
class Perturbation:
    """One way in which an episode differs from the nominal world; drawn anew for every episode and copy."""

    name: str
    """Its name on the command line (`--set NAME=VALUE`) and as an ML-Agents environment parameter."""
    unit: str
    """SI unit, "1" for a factor or a share."""
    nominal: float
    """The value of the undisturbed world."""
    low: float
    """Lower end of the training range."""
    high: float
    """Upper end of the training range."""
    allowed: tuple[float, float]
    """What may be set from outside; wider than the training range."""
    description: str
    """One sentence for the engineer."""
    is_integer: bool = False
    """Drawn among the whole numbers from low to high, both included."""


@dataclass(frozen=True)
class ActionEntry:
    """One entry of the action, and the physical command that -1 and +1 stand for."""

    name: str
    unit: str
    low: float
    """The command at action -1."""
    high: float
    """The command at action +1."""


@dataclass(frozen=True)
class Motion:
    """One choice of a policy that picks motions by number instead of emitting a continuous action."""

    name: str
    action: tuple[float, ...]
    """The action that it stands for, each entry in [-1, 1]."""


@dataclass(frozen=True)
class Metric:
    """A figure that judges an episode, independent of every reward."""

    name: str
    unit: str
    description: str
    how: Literal["last", "mean", "mean_size", "sum", "max", "min"] = "mean"
    """How the signal of the same name, of one entry, becomes one number per episode; `mean_size` is the mean over
    steps and any number of entries, without their signs."""


@dataclass(frozen=True)
class Way:
    """Where an episode went, for drawings from above."""

    signal: str
    """The robot's or its tool's true position in a frame that stands still, x and y first, m."""
    goal: str
    """The goal's or target's in the same frame."""


Rank = Literal["good", "careless", "slow", "lazy", "unsafe"]
"""How well a way to behave does what the task is for; careless is right, but rough on people and machine."""

Controller = Callable[[Mapping[str, NDArray[Any]]], NDArray[np.float64]]
"""From the signals `[copies, size]` that a decision starts from to the actions `[copies, n]` in [-1, 1]."""


@dataclass(frozen=True)
class Probe:
    """A scripted way to behave that any recipe of the task must rank rightly; it may look at the true signals."""

    name: str
    rank: Rank
    description: str
    """One sentence that says what it does."""
    make_controller: Callable[[], Controller]
    """A new one for every run, in which all episodes begin together: it may count decisions."""


@dataclass(frozen=True)
class Task:
    """What a robot has to do, as data; `make_scene` builds the part that lives in MuJoCo."""

    name: str
    robot: str
    """The module under `companion.robots`."""
    description: str
    success_means: str
    """One sentence that says when an episode counts as success."""
    control_period_s: float
    """Time between two decisions."""
    physics_step_s: float
    """MuJoCo's time step; a whole number of them fits into a control period."""
    max_episode_s: float
    """After this an episode is truncated."""
    signals: tuple[Signal, ...]
    """All that is measured at each decision."""
    observation: tuple[str, ...]
    """The names of the signals that the policy sees, in order."""
    action: tuple[ActionEntry, ...]
    perturbations: tuple[Perturbation, ...]
    metrics: tuple[Metric, ...]
    make_scene: "Callable[[], Scene]"
    motions: tuple[Motion, ...] = ()
    """What a policy with discrete actions chooses from, by number; () where a task has none."""
    way: Way | None = None
    """Where its episodes go; None where that can't be drawn."""
    probes: tuple[Probe, ...] = ()
    """With which its recipes are tested; () where there are none."""
    baseline: Callable[[], Controller] | None = None
    """Makes the classical controller that learned policies are compared with; it looks at observed signals only."""
    teacher: Callable[[], Controller] | None = None
    """Makes what a policy may start from: it may look at true signals too; None where the baseline teaches."""
    other_side: "OtherSide | None" = None
    """Who plays against the robot and may learn, too; None where nobody does."""

    @property
    def behavior_name(self) -> str:
        """ML-Agents' name of it: `mobile_goto` is `MobileGoto`."""
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def layout(self) -> Layout:
        """The observation layout."""
        by_name = {signal.name: signal for signal in self.signals}
        return Layout(tuple(by_name[name] for name in self.observation))

    @property
    def substeps(self) -> int:
        """Physics steps per decision."""
        return round(self.control_period_s / self.physics_step_s)

    @property
    def max_episode_steps(self) -> int:
        """Decisions after which an episode is truncated."""
        return round(self.max_episode_s / self.control_period_s)

    def command(self, action: NDArray[Any]) -> NDArray[np.float64]:
        """What actions `[copies, n]` in [-1, 1] stand for, in the units of `action`."""
        low, high = (np.array([getattr(entry, end) for entry in self.action]) for end in ("low", "high"))
        return low + (action + 1) * (high - low) / 2

    @property
    def rest_action(self) -> NDArray[np.float64]:
        """The action `[n]` whose command is nearest to 0: what was asked of a robot before its episode began."""
        low, high = (np.array([getattr(entry, end) for entry in self.action]) for end in ("low", "high"))
        return np.clip(-(high + low) / (high - low), -1.0, 1.0)

    def motion_table(self) -> NDArray[np.float32]:
        """The actions of the motions `[motions, n]`, one row per choice.

        Raises:
            ValueError: if the task has no motions.
        """
        if not self.motions:
            raise ValueError(
                f"task '{self.name}' has no motions, so its actions can't be discrete; use continuous ones"
            )
        return np.array([motion.action for motion in self.motions], np.float32)

    def perturbation(self, name: str) -> Perturbation:
        """The perturbation of that name.

        Raises:
            ValueError: if the task has none of that name; lists the choices.
        """
        by_name = {entry.name: entry for entry in self.perturbations}
        if name not in by_name:
            raise ValueError(f"no perturbation '{name}' in task '{self.name}'; choose from {', '.join(by_name)}")
        return by_name[name]

    def check_perturbation(self, name: str, value: Any) -> float:
        """The value as a float, checked against what may be set from outside.

        Raises:
            ValueError: on an unknown name or a value outside the allowed range, naming both.
        """
        entry = self.perturbation(name)
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{name}={value!r} is not a number ({entry.unit})") from None
        low, high = entry.allowed
        if not low <= number <= high:
            raise ValueError(f"{name}={number:g} is outside what may be set, {low:g} to {high:g} {entry.unit}")
        if entry.is_integer and number != round(number):
            raise ValueError(f"{name}={number:g} must be a whole number")
        return number
