"""Two-sided tasks to learn in: for the robot, against opponents drawn from a pool; for the opponent, against a robot.

What is a point and who sees what is the task's (`tasks/_other_side.py`); here it is drawn, counted and learned.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from companion.simulator.batch import Simulator
from companion.tasks import Task
from companion.tasks._other_side import Opponent, OtherSide, Turn, TwoSidedScene
from companion.tasks._scene import Floats
from companion.worlds._step import Episodes, Step
from companion.worlds.ratings import LEARNER, SCRIPTED, Ratings

# --- the robot learns ---


@dataclass(frozen=True)
class Pool:
    """Who may sit on the other side, by name, and how often."""

    window: tuple[str, ...] = ()
    """The last ones, the newest at the end."""
    scripted_ratio: float = 0.25
    """Share of the episodes against the task's own opponent; all of them while there is no other."""
    latest_ratio: float = 0.5
    """Share of the rest against the newest one; what is left goes to all of the window alike."""

    def draw(self, count: int, random: np.random.Generator) -> list[str]:
        """So many opponents, each drawn by itself."""
        by_script, by_age = random.random((2, count)).tolist()
        past = random.integers(max(len(self.window), 1), size=count).tolist()
        return [self._drawn(*one) for one in zip(by_script, by_age, past, strict=True)]

    def _drawn(self, by_script: float, by_age: float, past: int) -> str:
        if not self.window or by_script < self.scripted_ratio:
            return SCRIPTED
        return self.window[-1] if by_age < self.latest_ratio else self.window[past]


class Table:
    """The seats of a two-sided task: draws who plays in a copy whenever an episode begins there, and counts points.

    Args:
        pool: whom to draw from; another one may take its place.
        opponent: finds an opponent by its name.
        ratings: of all of them.
        seed: of the draws.
    """

    def __init__(self, pool: Pool, opponent: Callable[[str], Opponent], ratings: Ratings, seed: int = 0) -> None:
        self.pool = pool
        self._opponent = opponent
        self._ratings = ratings
        self._random = np.random.default_rng(seed)
        self._seated: list[str] = []

    def __call__(self, turn: Turn, random: np.random.Generator) -> Floats:
        """The decisions of whoever sits there; `random` is for them alone."""
        copies = turn.copies.tolist()
        if turn.begins:
            self._seat(copies)
        names = np.array([self._seated[copy] for copy in copies])
        parts = [(name, np.flatnonzero(names == name)) for name in dict.fromkeys(names.tolist())]
        if not turn.begins:
            for name, rows in parts:
                self._ratings.note(name, turn.score[rows])
        decided = [(rows, self._opponent(name)(turn.sight[rows], random)) for name, rows in parts]
        decision = np.zeros((len(copies), decided[0][1].shape[1]))
        for rows, values in decided:
            decision[rows] = values
        return decision

    def get_state(self) -> dict[str, Any]:
        """Who sits where, and all else that `set_state` needs to go on exactly."""
        random = copy.deepcopy(self._random.bit_generator.state)
        return {"seated": list(self._seated), "random": random, "ratings": self._ratings.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self._seated = list(state["seated"])
        self._random.bit_generator.state = state["random"]
        self._ratings.set_state(state["ratings"])

    def _seat(self, copies: list[int]) -> None:
        self._seated += [SCRIPTED] * (max(copies) + 1 - len(self._seated))
        for copy_, name in zip(copies, self.pool.draw(len(copies), self._random), strict=True):
            self._seated[copy_] = name


class SeatedWorld:
    """A world whose task has this table for its other side; its state tells who sits there, too."""

    def __init__(self, world: Any, table: Table) -> None:
        self._world, self._table = world, table

    def __getattr__(self, name: str) -> Any:
        """All else is the world's own."""
        return getattr(self._world, name)

    def get_state(self) -> dict[str, Any] | None:
        """The world's and the table's."""
        state = self._world.get_state()
        return None if state is None else {"world": state, "table": self._table.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> NDArray[np.float32]:
        """Go on from a saved state; the observation to act on."""
        self._table.set_state(state["table"])
        return self._world.set_state(state["world"])


# --- the other side learns ---


class Robot(Protocol):
    """A policy that is played against: it may remember, row by row, what it saw since the row's episode began."""

    def act(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """The action `[rows, m]` for an observation `[rows, n]`."""
        ...

    def restart(self, rows: NDArray[np.bool_] | None = None) -> None:
        """Forget what these rows have seen; all of them without an argument."""
        ...


@dataclass(frozen=True)
class Match:
    """A two-sided task and the robot in it."""

    task: Task
    other: OtherSide
    robot: Robot
    robot_remembers: bool = False
    """Then the state of a world can't be told, and whoever is resumed begins new episodes."""
    overrides: Mapping[str, float] | None = None
    """Fixed values of perturbations, in their units."""


class _Desk:
    """Takes down what the other side is asked, for who answers a decision of the robot later."""

    def __init__(self, copies: int, other: OtherSide) -> None:
        self._other = other
        self.sight = np.zeros((copies, other.layout.size), np.float32)
        """At the last turn of each copy."""
        self.given = np.zeros((copies, len(other.decision)), np.float32)
        """The last answer."""
        self.is_asked = np.zeros(copies, np.bool_)
        self.is_playing = np.zeros(copies, np.bool_)
        """The answer is being played."""
        self.is_over = np.zeros(copies, np.bool_)
        """It has been, since the last `answer`."""
        self.score = np.zeros(copies)

    def __call__(self, turn: Turn, random: np.random.Generator) -> Floats:
        """Decide on the middle of all that may be decided, for the moment."""
        rows = turn.copies
        if not turn.begins:
            self.is_over[rows], self.score[rows] = self.is_playing[rows], turn.score
        self.is_playing[rows], self.is_asked[rows] = False, True
        self.sight[rows] = turn.sight
        return self._other.limited(np.zeros((len(rows), self.given.shape[1])), turn.sight)

    def answer(self, action: NDArray[np.float32], scene: TwoSidedScene) -> None:
        """Hand in the answers `[copies, entries]` of the copies that asked; those of others have no effect."""
        rows = np.flatnonzero(self.is_asked)
        self.given[rows] = action[rows]
        self.is_over[:] = self.is_asked[:] = False
        self.is_playing[rows] = True
        sight = self.sight[rows].astype(np.float64)
        scene.answer(rows, self._other.limited(action[rows].astype(np.float64), sight))


class OpponentWorld:
    """The other side's view of a two-sided task, as a VecEnv whose rows are copies.

    An episode is one decision and what came of it, scored 1 or -1 by the task. It takes many decisions of the robot; a
    step lasts until some copy asks again, and only the rows whose decision was then over are active.
    """

    discrete_branches: tuple[int, ...] = ()
    action_mask = None

    def __init__(
        self, match: Match, *, copies: int, seed: int = 0, threads: int | None = None, ratings: Ratings | None = None
    ) -> None:
        """Build the copies; call `reset` before the first step.

        Args:
            match: the task, and against whom.
            copies: how many, at least 1.
            seed: of all randomness until `reset` gives another.
            threads: physics threads, by default as many as this process may use.
            ratings: which change as the one who learns here wins and loses.
        """
        self.num_envs = copies
        self._match, self._ratings = match, ratings or Ratings()
        self._desk = _Desk(copies, match.other)
        self._scene = match.other.make_scene(self._desk)
        task = replace(match.task, make_scene=lambda: self._scene)
        self._simulator = Simulator(task, copies, seed=seed, threads=threads, overrides=match.overrides)

    @property
    def observation_size(self) -> int:
        """Entries of what the other side sees."""
        return self._match.other.layout.size

    @property
    def action_size(self) -> int:
        """Entries of its decision."""
        return len(self._match.other.decision)

    @property
    def invalid_count(self) -> int:
        """How many of the robot's episodes went numerically bad so far."""
        return self._simulator.invalid_count

    def reset(self, seed: int | None = None) -> NDArray[np.float32]:
        """Start every copy anew; what the other side sees there."""
        self._simulator.reset(seed)
        self._match.robot.restart()
        return self._desk.sight.copy()

    def step(self, action: NDArray[np.float32]) -> Step:
        """Decide where it was asked for, and let the robot play until it is asked for again.

        Raises:
            ValueError: if the action has another shape or is not finite.
        """
        if action.shape != (self.num_envs, self.action_size) or not np.isfinite(action).all():
            raise ValueError(f"an action must be finite and of shape {(self.num_envs, self.action_size)}")
        desk = self._desk
        desk.answer(action, self._scene)
        while not desk.is_asked.any():
            self._let_the_robot_decide()
        over, score = desk.is_over.copy(), np.where(desk.is_over, desk.score, 0.0)
        if over.any():
            self._ratings.note(LEARNER, score[over])
        sight = desk.sight.copy()
        return Step(
            observation=sight,
            reward=score.astype(np.float32),
            terminated=over,
            truncated=np.zeros_like(over),
            final_observation=sight,
            active=over,
            episodes=_points(over, score),
            taken=desk.given.copy(),
        )

    def get_state(self) -> dict[str, Any] | None:
        """All that `set_state` needs to go on exactly from here; None against a robot that remembers."""
        if self._match.robot_remembers:
            return None
        desk = {name: getattr(self._desk, name).copy() for name in _DESK}
        return {"simulator": self._simulator.get_state(), "desk": desk, "ratings": self._ratings.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> NDArray[np.float32]:
        """Go on from a saved state; what the other side sees."""
        self._simulator.set_state(state["simulator"])
        for name in _DESK:
            getattr(self._desk, name)[...] = state["desk"][name]
        self._ratings.set_state(state["ratings"])
        return self._desk.sight.copy()

    def close(self) -> None:
        """Stop the physics threads."""
        self._simulator.close()

    def _let_the_robot_decide(self) -> None:
        robot = self._match.robot
        frame = self._simulator.step(robot.act(self._match.task.layout.pack(self._simulator.signals)))
        if frame.ended.any():
            robot.restart(frame.ended)


_DESK = ("sight", "given", "is_asked", "is_playing")


def _points(over: NDArray[np.bool_], score: Floats) -> Episodes:
    """Each decision that came to something, as an episode; a success if it was the other side's point."""
    copies = np.flatnonzero(over)
    return Episodes(
        copy=copies,
        length=np.ones(len(copies), np.int64),
        total_reward=score[copies].astype(np.float32),
        success=score[copies] > 0,
    )
