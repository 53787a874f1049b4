"""One copy of a task as a physical robot: it lives in its own time, measures at its sensors' own rates, and does what
it was told last.

`RobotSimulator.advance` is the whole of one physics step: people walk on, the robot follows its command, what is due is
measured, and at the end of each of the task's decisions the episode is judged as in training. What a sensor gives is
raw, as the machine's driver has it; to make an observation of it is the runtime's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from companion.menu import pick
from companion.simulator import bodies
from companion.simulator.batch import CONTROLS, FULL_STATE, Frame, Simulator
from companion.simulator.models import names_of
from companion.tasks import Task
from companion.tasks._scene import Floats


@dataclass(frozen=True)
class Sensor:
    """Something that measures at a rate of its own."""

    name: str
    period_s: float


@dataclass(frozen=True)
class Reading:
    """What a sensor gave."""

    sensor: str
    values: Mapping[str, Floats]
    """By the names that the quantities have on every wire, `[size]` each."""
    stamp_s: float
    """When it was measured, by the robot's clock."""


@dataclass(frozen=True)
class Moment:
    """The physics of the one copy at a moment."""

    position: Floats
    """Generalised positions `[nq]`."""
    velocity: Floats
    """Generalised velocities `[nv]`."""
    mocap_position: Floats
    """Of the posed bodies in the world `[nmocap, 3]`, m."""


class Body(Protocol):
    """What a task's robot has: a file under `simulator/bodies/`, with a class `Body(scene, names)`."""

    sensors: tuple[Sensor, ...]
    rest_command: Floats | None
    """`[entries]`, what it falls back to without commands; None where it stays where it was told to be."""
    steps_within: int
    """So many shorter physics steps are taken in place of each of training's; 1 is the very physics of training."""

    def measure(self, sensor: str, moment: Moment, random: np.random.Generator) -> dict[str, Floats]:
        """What a sensor gives now."""
        ...

    def limited(self, command: Floats) -> Floats:
        """A command `[entries]` as the machine's own controller cuts it."""
        ...

    def control(self, command: Floats) -> Floats:
        """The actuators' controls `[nu]` for a command."""
        ...

    def standing(self, moment: Moment) -> Floats:
        """The command by which it stays where it is."""
        ...

    def speed(self, moment: Moment) -> float:
        """Of what could hurt, m/s."""
        ...


@dataclass(frozen=True)
class Contact:
    """The touch that ended an episode."""

    speed_mps: float
    """The robot's own, of what could hurt, just before."""
    is_person: bool
    has_walked_in: bool
    """The person was closing in faster than the robot."""


@dataclass(frozen=True)
class Episode:
    """How an episode went; it is judged as in training."""

    success: bool
    duration_s: float
    ended_by: str
    """success, contact, time or invalid (physics that went numerically bad)."""
    contact: Contact | None
    clearance_m: float
    """Nearest that the robot's hull came to anything; infinite where the task does not tell."""
    top_speed_mps: float


class RobotSimulator:
    """A robot to be commanded from outside."""

    def __init__(
        self,
        task: Task,
        *,
        seed: int = 0,
        overrides: Mapping[str, float] | None = None,
        command_timeout_s: float | None = None,
        gap_s: float = 1.0,
    ) -> None:
        """Begin the first episode at time 0.

        Args:
            task: what to play.
            seed: of all randomness.
            overrides: fixed values of perturbations, in their units.
            command_timeout_s: the robot stops by itself when so long no command has come; None where it does not.
            gap_s: for so long nothing is measured between two episodes, as if the robot were carried away and put down.

        Raises:
            ValueError: if there is no such physical robot, or a perturbation may not be set so.
        """
        module = pick(bodies, task.name, "physical robot for task")
        self.task, self.time_s = task, 0.0
        self.episodes: list[Episode] = []
        self._command_timeout_s, self._gap_s = command_timeout_s, gap_s
        self._simulator = SteppedSimulator(task, seed, overrides, module.Body.steps_within)
        self._simulator.reset()
        self._body: Body = module.Body(self._simulator.scene, names_of(self._simulator.nominal_model))
        self._random = np.random.default_rng([seed, 1])
        self._steps = self._substep = self._gap_steps = self._began_step = 0
        self._begin_episode()

    def command(self, values: NDArray[Any], over_s: float = 0.0) -> None:
        """From the next physics step on do what `values` `[entries]` say, reached evenly within `over_s`."""
        self._from, self._to = self._asked(), self._body.limited(np.array(values, np.float64))
        self._told_s, self._over_s, self._is_held = self.time_s, over_s, False

    def stop(self) -> None:
        """Stand still, or stay where it is, from the next physics step on.

        Told so again it stays where it was told first: an arm that is held anew sinks a little each time.
        """
        if not self._is_held:
            self._hold()

    def advance(self) -> list[Reading]:
        """Take one physics step; what the sensors gave at its end."""
        self._steps += 1
        self.time_s = self._steps * self.task.physics_step_s
        if self._gap_steps:
            self._gap_steps -= 1
            return []
        if not self._substep:
            self._simulator.begin(self.task.rest_action)
        speed = self._body.speed(self._moment())
        self._simulator.physics_step(self._body.control(self._obeyed()))
        self._notice(speed)
        readings = self._due()
        self._substep = (self._substep + 1) % self.task.substeps
        if not self._substep:
            self._judge(self._simulator.judge())
        return readings

    @property
    def episode_s(self) -> float:
        """How long the present episode has lasted; 0 while the robot is carried to its start."""
        return (self._steps - self._began_step) * self.task.physics_step_s if not self._gap_steps else 0.0

    @property
    def quantities(self) -> set[str]:
        """The names of all that it measures."""
        aside, moment = np.random.default_rng(0), self._moment()
        return {name for sensor in self._body.sensors for name in self._body.measure(sensor.name, moment, aside)}

    @property
    def asked(self) -> Floats:
        """The command that the robot follows now `[entries]`."""
        return self._obeyed()

    @property
    def speed_mps(self) -> float:
        """Of what could hurt, now."""
        return self._body.speed(self._moment())

    def show(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """The model and its present state, for rendering."""
        return self._simulator.show(0)

    def close(self) -> None:
        """Stop the simulator's threads."""
        self._simulator.close()

    def _moment(self) -> Moment:
        return self._simulator.moment

    def _asked(self) -> Floats:
        share = min(1.0, (self.time_s - self._told_s) / self._over_s) if self._over_s > 0 else 1.0
        return self._from + share * (self._to - self._from)

    def _obeyed(self) -> Floats:
        rest = self._body.rest_command
        is_silent = self._command_timeout_s is not None and self.time_s - self._told_s > self._command_timeout_s
        return rest if is_silent and rest is not None else self._asked()

    def _hold(self) -> None:
        self._from = self._to = self._body.standing(self._moment())
        self._told_s, self._over_s, self._is_held = self.time_s, 0.0, True

    def _begin_episode(self) -> None:
        self._clearance_m, self._top_speed_mps, self._contact_speed_mps = np.inf, 0.0, np.nan
        self._hold()
        step_s = self.task.physics_step_s
        self._due_step = {
            sensor.name: self._steps + 1 + int(self._random.integers(round(sensor.period_s / step_s)))
            for sensor in self._body.sensors
        }

    def _notice(self, speed_before: float) -> None:
        self._top_speed_mps = max(self._top_speed_mps, speed_before)
        if np.isnan(self._contact_speed_mps) and self._simulator.is_touching:
            self._contact_speed_mps = speed_before

    def _due(self) -> list[Reading]:
        readings = []
        for sensor in self._body.sensors:
            if self._steps == self._due_step[sensor.name]:
                self._due_step[sensor.name] += round(sensor.period_s / self.task.physics_step_s)
                values = self._body.measure(sensor.name, self._moment(), self._random)
                readings.append(Reading(sensor.name, values, self.time_s))
        return readings

    def _judge(self, frame: Frame) -> None:
        signals = {name: value[0] for name, value in frame.signals.items()}
        self._clearance_m = min(self._clearance_m, float(signals["clearance"][0]) if "clearance" in signals else np.inf)
        if frame.ended[0]:
            self.episodes.append(self._episode(frame, signals))
            self._gap_steps = round(self._gap_s / self.task.physics_step_s)
            self._began_step = self._steps + self._gap_steps
            self._begin_episode()
            self._due_step = {name: step + self._gap_steps for name, step in self._due_step.items()}

    def _episode(self, frame: Frame, signals: Mapping[str, Floats]) -> Episode:
        has_touched = bool(signals["contact"][0] > 0)
        contact = Contact(
            speed_mps=float(self._contact_speed_mps),
            is_person=bool(signals.get("contact_person", np.zeros(1))[0]),
            has_walked_in=bool(signals.get("contact_person_walked_in", np.zeros(1))[0]),
        )
        ways = {"invalid": frame.invalid, "success": frame.success, "time": frame.truncated}
        return Episode(
            success=bool(frame.success[0]),
            duration_s=int(frame.length[0]) * self.task.control_period_s,
            ended_by=next((name for name, happened in ways.items() if happened[0]), "contact"),
            contact=contact if has_touched else None,
            clearance_m=self._clearance_m,
            top_speed_mps=self._top_speed_mps,
        )


class SteppedSimulator(Simulator):
    """A simulator of one copy whose decisions may be taken in single physics steps, with the very same outcome.

    Args:
        task: what to simulate.
        seed: of all randomness.
        overrides: fixed values of perturbations, in their units.
        steps_within: so many shorter steps are taken in place of each physics step; the outcome then is another one.
    """

    def __init__(
        self, task: Task, seed: int = 0, overrides: Mapping[str, float] | None = None, steps_within: int = 1
    ) -> None:
        super().__init__(task, 1, seed=seed, threads=1, overrides=overrides)
        self._steps_within = steps_within
        self._models.copies[0].opt.timestep /= steps_within
        self.scene: Any = self._scene
        """The task's own."""
        self._own = mujoco.MjData(self.nominal_model)
        self._taken = 0
        self._is_bad = False

    @property
    def moment(self) -> Moment:
        """The physics now."""
        place = max(self._taken - 1, 0)
        return Moment(self._physics.position[0], self._physics.velocity[0], self._physics.mocap_position[0, place])

    @property
    def is_touching(self) -> bool:
        """Whether the robot touched anything in the last physics step: every task's first sensor."""
        return bool(self._sensor[0, max(self._taken - 1, 0), 0] > 0)

    def begin(self, action: NDArray[Any]) -> None:
        """Begin a decision `[n]`: people walk, and the actuators get what the scene makes of the action."""
        self._take_action(action[None])
        self._scene.drive(self._physics, self._delayed_action(), self._random)
        self._taken, self._is_bad = 0, False
        # As mujoco.rollout begins: the state without the solver's last solution.
        mujoco.mj_setState(self._models.copies[0], self._own, self._state[0], FULL_STATE)
        self._own.qacc_warmstart[:] = 0.0

    def physics_step(self, control: Floats | None = None) -> None:
        """Take the next of the decision's physics steps, with other controls `[nu]` than the scene's if given."""
        place = self._taken
        self._taken += 1
        if self._is_bad:
            return
        if control is not None:
            self._physics.control[0, place] = control
        model, data = self._models.copies[0], self._own
        end_s = data.time + self._steps_within * model.opt.timestep
        mujoco.mj_setState(model, data, self._control[0, place], CONTROLS)
        mujoco.mj_step(model, data, self._steps_within)
        mujoco.mj_getState(model, data, self._state[0], FULL_STATE)
        self._sensor[0, place] = data.sensordata
        finite = np.isfinite(self._state[0]).all() and np.isfinite(data.sensordata).all()
        # MuJoCo starts anew at time 0 when its numbers go bad.
        self._is_bad = not (finite and abs(data.time - end_s) < model.opt.timestep / 2)

    def judge(self) -> Frame:
        """End the decision: measure, judge, and start anew if the episode is over."""
        frame = self._judge(np.array([self._is_bad]))
        self._taken = 0
        return frame
