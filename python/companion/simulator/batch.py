"""Many copies of one task, stepped together by MuJoCo's C++ threads.

`Simulator.step` is the whole of one decision: delay the action, drive, advance the physics, measure, judge, and
start the finished copies anew. Randomness is drawn from one generator in the calling thread, so that a seed gives the
same trajectory at any number of threads.
"""

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from mujoco import rollout
from numpy.typing import NDArray

from companion.signals import WORLD, Signal
from companion.simulator.models import CopiedModels, names_of
from companion.simulator.poses import Poses
from companion.tasks import Task
from companion.tasks._scene import ALL, Floats, Physics, Scene, flat_arrays

Draw = Callable[[int], NDArray[Any]]
FULL_STATE = int(mujoco.mjtState.mjSTATE_FULLPHYSICS)
CONTROLS = int(mujoco.mjtState.mjSTATE_CTRL | mujoco.mjtState.mjSTATE_MOCAP_POS | mujoco.mjtState.mjSTATE_MOCAP_QUAT)


@dataclass(frozen=True)
class Frame:
    """What one decision led to; arrays over copies."""

    signals: dict[str, Floats]
    """The true signals of this step, `[copies, size]`, those of the old episode where one ended."""
    next_signals: dict[str, Floats]
    """What the next decision starts from: of the new episode where an old one ended, else `signals`."""
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    success: NDArray[np.bool_]
    invalid: NDArray[np.bool_]
    """The physics went numerically bad; the copy was started anew and nothing of this step may be learned from."""
    length: NDArray[np.int64]
    """Decisions taken so far in each copy's (old) episode."""

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Copies whose episode is over."""
        return self.terminated | self.truncated | self.invalid


class Simulator:
    """A batch of copies of one task."""

    def __init__(
        self,
        task: Task,
        copies: int,
        *,
        seed: int = 0,
        threads: int | None = None,
        overrides: Mapping[str, float] | None = None,
    ) -> None:
        """Build the copies; call `reset` before the first step.

        Args:
            task: what to simulate.
            copies: how many, at least 1.
            seed: of all randomness.
            threads: C++ threads, by default as many as this process may use.
            overrides: fixed values of perturbations, in their units.

        Raises:
            ValueError: on a number of copies or threads below 1, or a perturbation that may not be set so.
        """
        if copies < 1:
            raise ValueError(f"copies must be at least 1, not {copies}")
        threads = available_threads() if threads is None else threads
        if threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        self.task, self.copies = task, copies
        self.invalid_count = 0
        self._scene: Scene = task.make_scene()
        self._models = CopiedModels(mujoco.MjModel.from_xml_string(self._scene.mjcf()), copies)
        self._data = [mujoco.MjData(self._models.nominal) for _ in range(threads)]
        self._rollout = rollout.Rollout(nthread=threads)
        self._draws: dict[str, Draw] = {}
        self._last_signals: dict[str, Floats] = {}
        self._poses: Poses | None = None
        for name, value in (overrides or {}).items():
            number = task.check_perturbation(name, value)
            self._draws[name] = lambda count, number=number: np.full(count, number)
        self._allocate(copies)
        self._random = np.random.default_rng(seed)

    def set_perturbation(self, name: str, draw: Draw) -> None:
        """From now on `draw(n)` gives this perturbation in each of n starting episodes, cut to what is allowed."""
        self.task.perturbation(name)
        self._draws[name] = draw

    def watch(self, copies: int) -> tuple[Signal, ...]:
        """From the next `reset` or `set_state` on, let signals tell poses and perturbations too; what they add.

        The added ones have a row for each of the first `copies` copies only: they are wide, and cost.
        """
        self._poses = Poses(self.nominal_model, min(copies, self.copies))
        worlds = (Signal(WORLD + entry.name, 1, entry.unit, entry.description) for entry in self.task.perturbations)
        return (*self._poses.signals, *worlds)

    def reset(self, seed: int | None = None) -> dict[str, Floats]:
        """Start an episode in every copy; the signals that it starts with."""
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self._start(np.arange(self.copies))
        self._last_signals = {**self._measure(ALL), **self._watched()}
        return self._last_signals

    def step(self, action: NDArray[Any]) -> Frame:
        """Take one decision in every copy; `action` is `[copies, n]`, clipped to [-1, 1]."""
        self._take_action(action)
        self._scene.drive(self._physics, self._delayed_action(), self._random)
        return self._judge(self._advance())

    def _judge(self, invalid: NDArray[np.bool_]) -> Frame:
        """What a decision led to, whose physics went bad in some copies; the finished ones are started anew."""
        signals = self._measure(ALL)
        invalid |= self._not_finite(signals)
        self._replace(signals, invalid)
        ends = self._scene.ends(signals)
        terminated = ends.terminated & ~invalid
        truncated = (self._length >= self.task.max_episode_steps) & ~terminated & ~invalid
        length, watched = self._length.copy(), self._watched()
        next_signals = self._start_again(signals, terminated | truncated | invalid)
        self._last_signals = {**next_signals, **self._watched()} if watched else next_signals
        return Frame(
            {**signals, **watched},
            self._last_signals,
            terminated,
            truncated,
            ends.success & terminated,
            invalid,
            length,
        )

    def perturbations(self) -> dict[str, Floats]:
        """The value of every perturbation in each copy's present episode, `[copies]`."""
        return {name: values.copy() for name, values in self._perturbation.items()}

    def get_state(self) -> dict[str, Any]:
        """Everything that `set_state` needs to go on exactly from here."""
        return {
            "arrays": {name: getattr(self, name).copy() for name in _OWN_ARRAYS},
            "scene": {name: array.copy() for name, array in flat_arrays(self._scene.state).items()},
            "models": self._models.edited(),
            "perturbation": self.perturbations(),
            "last_signals": {name: value.copy() for name, value in self._last_signals.items()},
            "random": copy.deepcopy(self._random.bit_generator.state),
            "invalid_count": self.invalid_count,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state.

        Raises:
            ValueError: if the state is of another number of copies.
        """
        saved = state["arrays"]["_state"].shape
        if saved != self._state.shape:
            raise ValueError(f"the saved state holds {saved[0]} copies, this simulator {self.copies}")
        for name in _OWN_ARRAYS:
            getattr(self, name)[...] = state["arrays"][name]
        for name, array in flat_arrays(self._scene.state).items():
            array[...] = state["scene"][name]
        for name, values in state["perturbation"].items():
            self._perturbation[name][...] = values
        self._models.restore(state["models"])
        if self._poses is not None:
            self._poses.remember_sizes(self._rows, self._models.copies)
        known = {signal.name for signal in self.task.signals}
        saved_signals = {name: np.array(value) for name, value in state["last_signals"].items() if name in known}
        self._last_signals = {**saved_signals, **self._watched()}
        self._random.bit_generator.state = state["random"]
        self.invalid_count = state["invalid_count"]

    def close(self) -> None:
        """Stop the threads."""
        self._rollout.close()

    @property
    def signals(self) -> dict[str, Floats]:
        """What the next decision starts from, `[copies, size]` each."""
        return self._last_signals

    @property
    def nominal_model(self) -> mujoco.MjModel:
        """The model without perturbations."""
        return self._models.nominal

    def show(self, index: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """One copy's model and a fresh MjData at its present state, for rendering."""
        model = self._models.copies[index]
        data = mujoco.MjData(model)
        mujoco.mj_setState(model, data, self._state[index], FULL_STATE)
        mujoco.mj_setState(model, data, np.ascontiguousarray(self._control[index, -1]), CONTROLS)
        mujoco.mj_forward(model, data)
        return model, data

    def _allocate(self, copies: int) -> None:
        model, substeps, actions = self._models.nominal, self.task.substeps, len(self.task.action)
        states, nu, mocaps = mujoco.mj_stateSize(model, FULL_STATE), model.nu, model.nmocap
        self._state = np.zeros((copies, states))
        self._state_out = np.zeros((copies, substeps, states))
        self._control = np.zeros((copies, substeps, mujoco.mj_stateSize(model, CONTROLS)))
        self._control[:, :, nu + 3 * mocaps :: 4] = 1.0
        self._sensor = np.zeros((copies, substeps, model.nsensordata))
        self._physics = Physics(
            position=self._state[:, 1 : 1 + model.nq],
            velocity=self._state[:, 1 + model.nq : 1 + model.nq + model.nv],
            control=self._control[:, :, :nu],
            mocap_position=_split(self._control, nu, mocaps, 3),
            mocap_quaternion=_split(self._control, nu + 3 * mocaps, mocaps, 4),
            sensor=self._sensor,
        )
        depth = int(self.task.perturbation("action_delay_steps").allowed[1]) + 1
        self._action_history = np.zeros((copies, depth, actions))
        self._clock = np.zeros(1, np.int64)
        self._length = np.zeros(copies, np.int64)
        self._perturbation = {entry.name: np.zeros(copies) for entry in self.task.perturbations}
        self._rows = np.arange(copies)
        self._scene.allocate(copies, names_of(model))

    def _take_action(self, action: NDArray[Any]) -> None:
        self._clock += 1
        self._length += 1
        depth = self._action_history.shape[1]
        np.clip(action, -1.0, 1.0, out=self._action_history[:, self._clock[0] % depth])

    def _action_back(self, steps: NDArray[np.int64] | int) -> Floats:
        return self._action_history[self._rows, (self._clock[0] - steps) % self._action_history.shape[1]]

    def _delayed_action(self) -> Floats:
        return self._action_back(self._perturbation["action_delay_steps"].astype(np.int64))

    def _advance(self) -> NDArray[np.bool_]:
        """Step the physics of one decision; the copies in which it went bad."""
        start_s = self._state[:, 0].copy()
        self._rollout.rollout(
            self._models.copies,
            self._data,
            self._state,
            self._control,
            control_spec=CONTROLS,
            skip_checks=True,
            nstep=self.task.substeps,
            state=self._state_out,
            sensordata=self._sensor,
        )
        self._state[:] = self._state_out[:, -1]
        # On a warning MuJoCo's rollout stops stepping that copy, which shows in its clock.
        on_time = np.abs(self._state[:, 0] - start_s - self.task.control_period_s) < self.task.physics_step_s / 2
        return ~(on_time & np.isfinite(self._state).all(axis=1) & np.isfinite(self._sensor).all(axis=(1, 2)))

    def _measure(self, which: Any) -> dict[str, Floats]:
        signals = self._scene.measure(which, self._physics, self._random)
        now, before = self._action_back(0)[which], self._action_back(1)[which]
        return {**signals, "previous_action": now, "action_change": now - before}

    def _watched(self) -> dict[str, Floats]:
        """Poses and perturbations, where somebody wants to see them."""
        if self._poses is None:
            return {}
        rows = slice(self._poses.copies)
        worlds = {WORLD + name: value[rows, None].copy() for name, value in self._perturbation.items()}
        return {**self._poses.of(self._physics), **worlds}

    @staticmethod
    def _not_finite(signals: Mapping[str, Floats]) -> NDArray[np.bool_]:
        return np.logical_not(np.isfinite(np.concatenate(list(signals.values()), axis=1)).all(axis=1))

    def _replace(self, signals: dict[str, Floats], invalid: NDArray[np.bool_]) -> None:
        """Copies that went bad show their last good signals; nothing that is not finite leaves the simulator."""
        if invalid.any():
            self.invalid_count += int(invalid.sum())
            for name, value in signals.items():
                value[invalid] = self._last_signals[name][invalid]

    def _start_again(self, signals: dict[str, Floats], ended: NDArray[np.bool_]) -> dict[str, Floats]:
        which = np.flatnonzero(ended)
        if not len(which):
            return signals
        self._start(which)
        fresh = self._measure(which)
        following = {}
        for name, value in signals.items():
            following[name] = value.copy()
            following[name][which] = fresh[name]
        return following

    def _start(self, which: NDArray[np.intp]) -> None:
        for entry in self.task.perturbations:
            self._perturbation[entry.name][which] = self._drawn(entry.name, len(which))
        self._state[which] = 0.0
        self._sensor[which] = 0.0
        self._action_history[which] = self.task.rest_action
        self._length[which] = 0
        values = {name: self._perturbation[name][which] for name in self._perturbation}
        self._models.apply(which, self._scene.start(which, self._physics, values, self._random))
        if self._poses is not None:
            self._poses.remember_sizes(which, self._models.copies)

    def _drawn(self, name: str, count: int) -> Floats:
        entry = self.task.perturbation(name)
        if name in self._draws:
            return np.clip(np.asarray(self._draws[name](count), np.float64), *entry.allowed)
        if entry.is_integer:
            return self._random.integers(int(entry.low), int(entry.high) + 1, count).astype(np.float64)
        return self._random.uniform(entry.low, entry.high, count)


_OWN_ARRAYS = ("_state", "_control", "_sensor", "_action_history", "_clock", "_length")


def available_threads() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _split(control: Floats, start: int, mocaps: int, size: int) -> Floats:
    """A view `[copies, substeps, mocaps, size]` of part of the control array."""
    part = control[:, :, start : start + mocaps * size]
    return np.lib.stride_tricks.as_strided(
        part, (*part.shape[:2], mocaps, size), (*part.strides[:2], size * part.itemsize, part.itemsize)
    )
