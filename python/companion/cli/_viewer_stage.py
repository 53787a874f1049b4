"""One copy of a task on a stage: it plays episode after episode, each begun with a seed of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.rewards import Recipe
from companion.rewards.engine import RewardEngine
from companion.rewards.record import Record, Scores, reweighted
from companion.rewards.recorder import Recorder
from companion.simulator.batch import Simulator
from companion.tasks import Controller, Task
from companion.worlds.embedded import taken

PAUSE_S = 1.0
"""Between two episodes, so that one sees how the first one ended."""

MakeController = Callable[[], Controller]


@dataclass(frozen=True)
class Play:
    """What is played and by what it is judged."""

    task: Task
    recipe: Recipe
    discount: float
    drivers: Mapping[str, MakeController]
    """Who may drive, by name, the usual one first. Each is made anew for every episode."""


@dataclass(frozen=True)
class Start:
    """How an episode begins: the same start gives the same episode."""

    seed: int
    driver: str
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Perturbations that are not drawn."""


@dataclass(frozen=True)
class Finished:
    """An episode that came to its end."""

    start: Start
    record: Record
    """Of this one episode."""

    @property
    def succeeded(self) -> bool:
        """Whether it was a success."""
        return bool(self.record.succeeded[0])

    @property
    def outcome(self) -> str:
        """In one word."""
        if self.succeeded:
            return "success"
        return "failure" if self.record.terminated[-1] else "time is up"


class Stage:
    """One copy of a task, its rewards measured and its episodes recorded."""

    def __init__(self, play: Play, start: Start) -> None:
        """Begin the first episode.

        Raises:
            ValueError: on a driver or a perturbation that there is not.
        """
        task = play.task
        self.play, self.start = play, start
        self.is_over = False
        self.rested = 0
        """Decisions that its stage has stood still since it was over."""
        self._finished: list[Record] = []
        self._recorder = Recorder(task.signals, 1, 1, self._finished.append, lot_rows=1)
        self._engine = RewardEngine(play.recipe, task, 1, play.discount)
        self._simulator = self._build(start)
        self.begin(start)

    @property
    def seconds(self) -> float:
        """Time since the episode began, in the simulated world."""
        return len(self._raw) * self.play.task.control_period_s

    @property
    def perturbations(self) -> dict[str, float]:
        """The values in this episode, drawn ones included."""
        return dict(self._perturbations)

    def begin(self, start: Start) -> None:
        """Begin an episode; one that is under way is forgotten."""
        if start.fixed != self.start.fixed:
            self._simulator.close()
            self._simulator = self._build(start)
        signals = self._simulator.reset(start.seed)
        self._recorder.start(signals)
        self._engine.start(signals, np.ones(1, np.bool_))
        self._controller = self.play.drivers[start.driver]()
        self._perturbations = {name: float(value[0]) for name, value in self._simulator.perturbations().items()}
        self._raw: list[NDArray[np.float32]] = []
        self.start, self.is_over, self.rested = start, False, 0

    def step(self) -> Finished | None:
        """Take one decision; the episode if it ended with it, unless its physics went numerically bad."""
        frame = self._simulator.step(self._controller(self._simulator.signals))
        rewards = self._engine.step(frame.signals, frame.terminated)
        self._raw.append(rewards.raw[0])
        self._recorder.step(taken(frame, rewards.total))
        self.is_over = bool(frame.ended[0])
        return Finished(self.start, self._finished.pop()) if self._finished else None

    def paid(self, recipe: Recipe) -> Scores:
        """What the episode has been paid so far by a recipe that differs from the stage's in its weights only."""
        terms = self.play.recipe.terms
        raw = np.array(self._raw, np.float32).reshape(-1, len(terms))
        measured = Scores(tuple(term.name for term in terms), raw.sum(axis=1), raw, raw)
        return reweighted(measured, recipe, self.play.task)

    def show(self) -> Any:
        """Its MuJoCo model and data. An episode that is over is not shown any more: the next one waits there."""
        return self._simulator.show(0)

    def close(self) -> None:
        """Stop the physics."""
        self._simulator.close()

    def _build(self, start: Start) -> Simulator:
        return Simulator(self.play.task, 1, threads=1, overrides=start.fixed)


class Show:
    """Some stages that play at once, and what is wished for the next episodes."""

    def __init__(self, plays: list[Play], first: Start, remember: int) -> None:
        """Begin an episode on each stage.

        Args:
            plays: one per stage.
            first: how the first stage begins; the others take the seeds that follow.
            remember: how many finished episodes.
        """
        self.wish = first
        """How the next episode begins; its seed is one more with every episode."""
        self.finished: list[Finished] = []
        """The last ones, the latest at the end."""
        self.count = 0
        """How many have finished."""
        self._remember = remember
        self.stages = [Stage(play, self._next_start()) for play in plays]

    def begin_again(self) -> None:
        """Begin all stages anew, with the same seeds and the present wishes."""
        for stage in self.stages:
            stage.begin(replace(self.wish, seed=stage.start.seed))

    def begin_next(self, stage: Stage) -> None:
        """Begin the next episode on a stage."""
        stage.begin(self._next_start())

    def step(self) -> list[Finished]:
        """One decision on every stage; the episodes that ended with it. Where one is over, the next begins soon."""
        ended = [done for stage in self.stages if (done := self._step(stage)) is not None]
        self.count += len(ended)
        self.finished = [*self.finished, *ended][-self._remember :]
        return ended

    def close(self) -> None:
        """Stop the physics."""
        for stage in self.stages:
            stage.close()

    def _step(self, stage: Stage) -> Finished | None:
        if not stage.is_over:
            return stage.step()
        stage.rested += 1
        if stage.rested * stage.play.task.control_period_s >= PAUSE_S:
            self.begin_next(stage)
        return None

    def _next_start(self) -> Start:
        start = self.wish
        self.wish = replace(start, seed=start.seed + 1)
        return start
