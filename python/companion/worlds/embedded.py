"""The embedded world: MuJoCo in this process, as a VecEnv."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.menu import no_such
from companion.rewards.engine import RewardEngine
from companion.rewards.recipe import Recipe
from companion.rewards.recorder import Recorder, Taken
from companion.simulator.batch import Frame, Simulator
from companion.tasks import Task
from companion.worlds._step import Episodes, Step
from companion.worlds._tally import Tally

Draw = Callable[[int], NDArray[Any]]


class EmbeddedWorld:
    """Many copies of a task in this process, rewarded by a recipe."""

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        *,
        copies: int,
        discount: float,
        seed: int = 0,
        threads: int | None = None,
        overrides: Mapping[str, float] | None = None,
        discrete: bool = False,
    ) -> None:
        """Build the copies; call `reset` before the first step.

        Args:
            task: what to do.
            recipe: what is rewarded.
            copies: how many, at least 1.
            discount: the learner's, for potential terms.
            seed: of all randomness until `reset` gives another.
            threads: physics threads, by default as many as this process may use.
            overrides: fixed values of perturbations, in their units.
            discrete: an action is then the number of one of the task's motions.

        Raises:
            ValueError: as `Simulator` and `RewardEngine` do, and if the task has no motions to choose from.
        """
        self.task, self.recipe = task, recipe
        self.num_envs = copies
        self.overrides = dict(overrides or {})
        self._layout = task.layout
        self._motions = task.motion_table() if discrete else None
        self._simulator = Simulator(task, copies, seed=seed, threads=threads, overrides=overrides)
        self._engine = RewardEngine(recipe, task, copies, discount)
        self._reward_draws: dict[str, Draw] = {}
        self._tally = Tally(task.metrics, self._engine.names, copies, recipe.constraints)
        self._observation = np.zeros((copies, self._layout.size), np.float32)
        self._recorder: Recorder | None = None

    @property
    def observation_size(self) -> int:
        """Entries of the observation."""
        return self._layout.size

    @property
    def action_size(self) -> int:
        """Columns of the action: entries in [-1, 1], or one with the number of a motion."""
        return len(self.task.action) if self._motions is None else 1

    @property
    def discrete_branches(self) -> tuple[int, ...]:
        """One branch of the task's motions if actions are discrete."""
        return () if self._motions is None else (len(self._motions),)

    @property
    def action_mask(self) -> None:
        """None: every motion is always open."""
        return

    @property
    def simulator(self) -> Simulator:
        """What steps the copies, for rendering and recording."""
        return self._simulator

    @property
    def invalid_count(self) -> int:
        """How many episodes went numerically bad so far and were thrown away."""
        return self._simulator.invalid_count

    def record_with(self, recorder: Recorder) -> None:
        """Let it take down every step from the next `reset` or `set_state` on; it is closed with this world."""
        self._recorder = recorder

    def reset(self, seed: int | None = None) -> NDArray[np.float32]:
        """Start every copy anew; the first observation `[num_envs, observation_size]`."""
        signals = self._simulator.reset(seed)
        if self._recorder is not None:
            self._recorder.start(signals)
        self._draw_reward_parameters()
        everyone = np.ones(self.num_envs, np.bool_)
        self._engine.start(signals, everyone)
        self._tally.clear(everyone)
        self._observation = self._layout.pack(signals)
        return self._observation

    def step(self, action: NDArray[np.float32]) -> Step:
        """Take one decision in every copy; `action` is `[num_envs, action_size]`.

        Raises:
            ValueError: if the action has another shape, is not finite, or is no number of a motion.
        """
        if action.shape != (self.num_envs, self.action_size) or not np.isfinite(action).all():
            raise ValueError(f"an action must be finite and of shape {(self.num_envs, self.action_size)}")
        frame = self._simulator.step(action if self._motions is None else _chosen(self._motions, action[:, 0]))
        rewards = self._engine.step(frame.signals, frame.terminated)
        reward = np.where(frame.invalid, np.float32(0), rewards.total)
        self._tally.add(frame.signals, rewards, reward)
        self._record(frame, reward)
        episodes = self._finish(frame)
        final_observation = self._layout.pack(frame.signals)
        if not frame.ended.any():
            self._observation = final_observation
        else:
            self._draw_reward_parameters()
            self._engine.start(frame.next_signals, frame.ended)
            self._observation = self._layout.pack(frame.next_signals)
        return Step(
            observation=self._observation,
            reward=reward,
            terminated=frame.terminated,
            # A numerically bad episode is cut off, and its row is not active.
            truncated=frame.truncated | frame.invalid,
            final_observation=final_observation,
            active=~frame.invalid,
            episodes=episodes,
            costs=rewards.cost,
        )

    def advise(self) -> NDArray[np.float32]:
        """What the task's teacher would do now in every copy, `[num_envs, action_size]`.

        Raises:
            ValueError: if the task has none.
        """
        teacher = self.task.teacher or self.task.baseline
        if teacher is None:
            raise ValueError(f"task '{self.task.name}' has no classical controller to learn from")
        return np.asarray(teacher()(self._simulator.signals), np.float32)

    def parameter_names(self) -> list[str]:
        """What `set_parameter` takes: reward parameters, then perturbations."""
        return [*self._engine.parameter_names(), *(entry.name for entry in self.task.perturbations)]

    def set_parameter(self, name: str, draw: Draw) -> None:
        """Let `draw(n)` give a reward parameter whenever episodes start, or a perturbation for each of n that start.

        Raises:
            ValueError: if there is no parameter of that name; lists the choices.
        """
        if name not in self.parameter_names():
            raise ValueError(no_such("parameter", name, self.parameter_names()))
        if name in self._engine.parameter_names():
            self._reward_draws[name] = draw
        else:
            self._simulator.set_perturbation(name, draw)

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on exactly from here."""
        return {
            "simulator": self._simulator.get_state(),
            "engine": self._engine.get_state(),
            "tally": self._tally.get_state(),
            "observation": self._observation.copy(),
        }

    def set_state(self, state: Mapping[str, Any]) -> NDArray[np.float32]:
        """Go on from a saved state; the observation to act on."""
        self._simulator.set_state(state["simulator"])
        self._engine.set_state(state["engine"])
        self._tally.set_state(state["tally"])
        self._observation = np.array(state["observation"], np.float32)
        if self._recorder is not None:
            self._recorder.start(self._simulator.signals, midway=True)
        return self._observation

    def close(self) -> None:
        """Stop the physics threads, and hand over what was recorded."""
        self._simulator.close()
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def _record(self, frame: Frame, reward: NDArray[np.float32]) -> None:
        if self._recorder is not None:
            self._recorder.step(taken(frame, reward))

    def _draw_reward_parameters(self) -> None:
        for name, draw in self._reward_draws.items():
            self._engine.set_parameter(name, float(draw(1)[0]))

    def _finish(self, frame: Frame) -> Episodes:
        """The episodes that ended well or badly, but not numerically."""
        episodes = self._tally.finished(frame.ended & ~frame.invalid, frame.length, frame.success)
        self._tally.clear(frame.ended)
        return episodes


def taken(frame: Frame, reward: NDArray[np.float32]) -> Taken:
    """A decision as a recorder takes it down."""
    return Taken(
        signals=frame.signals,
        next_signals=frame.next_signals,
        ended=frame.ended,
        terminated=frame.terminated,
        success=frame.success,
        invalid=frame.invalid,
        reward=reward,
    )


def _chosen(motions: NDArray[np.float32], number: NDArray[np.float32]) -> NDArray[np.float32]:
    """The actions of the motions of these numbers.

    Raises:
        ValueError: naming a number that none has.
    """
    row = number.astype(np.intp)
    wrong = (row != number) | (row < 0) | (row >= len(motions))
    if wrong.any():
        raise ValueError(f"{number[wrong][0]:g} is no motion; choose whole numbers from 0 to {len(motions) - 1}")
    return motions[row]
