"""One copy of a task on a stage: it plays episode after episode, each begun with a seed of its own."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from companion.rewards import Recipe
from companion.rewards.engine import RewardEngine
from companion.rewards.record import Record, Scores, reweighted
from companion.rewards.recorder import Recorder, Taken
from companion.signals import WORLD, Signal, Signals
from companion.simulator.batch import Simulator
from companion.simulator.poses import PosedScene
from companion.tasks import Controller, Task
from companion.worlds.embedded import taken

PAUSE_S = 1.0
"""Between two episodes, so that one sees how the first one ended."""
MINUTE_S = 60.0
"""Of simulated time, that is remembered for curves."""

MakeController = Callable[[], Controller]


@dataclass(frozen=True)
class Play:
    """What is played and by what it is judged."""

    task: Task
    recipe: Recipe
    discount: float
    drivers: dict[str, MakeController] = field(default_factory=dict)
    """Who may drive, by name, the usual one first; more may come. Each is made anew for every episode."""
    clips: Mapping[str, Record] = field(default_factory=dict)
    """In place of drivers: recorded episodes to show again, by name, poses included."""

    @property
    def choices(self) -> tuple[str, ...]:
        """The names of all drivers, or of all clips."""
        return tuple(self.clips or self.drivers)

    def next_choice(self, choice: str) -> str:
        """What comes after it: clips follow each other, a driver goes on."""
        return self.choices[(self.choices.index(choice) + 1) % len(self.choices)] if self.clips else choice


@dataclass(frozen=True)
class Start:
    """How an episode begins: the same start gives the same episode."""

    seed: int
    driver: str
    """Or the clip."""
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


class Source(Protocol):
    """Where an episode comes from, decision by decision."""

    signals: tuple[Signal, ...]
    """What is known of every decision."""

    def begin(self, start: Start) -> Signals:
        """Begin an episode; the signals `[1, size]` that it starts from."""
        ...

    def step(self) -> Taken:
        """The next decision; what was paid for it is somebody else's."""
        ...

    def close(self) -> None:
        """No more is wanted."""
        ...


class Live:
    """One copy of the task, which somebody drives."""

    def __init__(self, play: Play, start: Start) -> None:
        self._play, self._fixed = play, start.fixed
        self._build()

    def begin(self, start: Start) -> Signals:
        """Reset to its seed; where other perturbations are fixed, in another simulator."""
        if start.fixed != self._fixed:
            self._fixed = start.fixed
            self._simulator.close()
            self._build()
        self._controller = self._play.drivers[start.driver]()
        return self._simulator.reset(start.seed)

    def step(self) -> Taken:
        """Let the driver decide."""
        frame = self._simulator.step(self._controller(self._simulator.signals))
        return taken(frame, np.zeros(1, np.float32))

    def close(self) -> None:
        """Stop the physics."""
        self._simulator.close()

    def _build(self) -> None:
        self._simulator = Simulator(self._play.task, 1, threads=1, overrides=self._fixed)
        self.signals = (*self._play.task.signals, *self._simulator.watch(1))


class Clip:
    """Recorded episodes, shown again as they were."""

    def __init__(self, play: Play) -> None:
        self._clips = play.clips
        first = next(iter(play.clips.values()))
        known = {signal.name: signal for signal in play.task.signals}
        self.signals = tuple(
            known.get(name, Signal(name, value.shape[1], "", "")) for name, value in first.signals.items()
        )

    def begin(self, start: Start) -> Signals:
        """From the clip's first row."""
        self._record, self._row = self._clips[start.driver], 0
        return self._signals()

    def step(self) -> Taken:
        """The clip's next row."""
        self._row += 1
        signals, row = self._signals(), slice(self._row, self._row + 1)
        return Taken(
            signals=signals,
            next_signals=signals,
            ended=np.array([self._row == len(self._record) - 1]),
            terminated=self._record.terminated[row],
            success=self._record.success[row],
            invalid=np.zeros(1, np.bool_),
            reward=np.zeros(1, np.float32),
        )

    def close(self) -> None:
        """Nothing runs."""

    def _signals(self) -> Signals:
        row = slice(self._row, self._row + 1)
        return {name: value[row] for name, value in self._record.signals.items()}


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
        self._minute: deque[NDArray[np.float64]] = deque(maxlen=round(MINUTE_S / task.control_period_s))
        self._source: Source = Clip(play) if play.clips else Live(play, start)
        self._scene = PosedScene(task)
        self._recorder = Recorder(self._source.signals, 1, 1, self._finished.append, lot_rows=1)
        self._engine = RewardEngine(play.recipe, task, 1, play.discount)
        self.begin(start)

    @property
    def seconds(self) -> float:
        """Time since the episode began, in the simulated world."""
        return len(self._raw) * self.play.task.control_period_s

    @property
    def signals(self) -> Signals:
        """Of its latest decision `[1, size]`, poses included; of an episode that is over, how it ended."""
        return self._signals

    @property
    def model(self) -> Any:
        """The MuJoCo model that is shown."""
        return self._scene.show(self._signals)[0]

    @property
    def perturbations(self) -> dict[str, float]:
        """The values in this episode, drawn ones included, as far as they are known."""
        worlds = {name: value for name, value in self._signals.items() if name.startswith(WORLD)}
        return {name.removeprefix(WORLD): float(value[0, 0]) for name, value in worlds.items()}

    def begin(self, start: Start) -> None:
        """Begin an episode; one that is under way is forgotten."""
        self._signals = self._source.begin(start)
        self._recorder.start(self._signals)
        self._engine.start(self._signals, np.ones(1, np.bool_))
        self._raw: list[NDArray[np.float32]] = []
        self._sum = np.zeros(len(self.play.recipe.terms))
        self._cost = np.zeros(len(self.play.recipe.constraints))
        self.start, self.is_over, self.rested = start, False, 0

    def step(self) -> Finished | None:
        """Take one decision; the episode if it ended with it, unless its physics went numerically bad."""
        decision = self._source.step()
        self._signals = decision.signals
        rewards = self._engine.step(decision.signals, decision.terminated)
        self._raw.append(rewards.raw[0])
        self._sum = self._sum + rewards.raw[0]
        self._minute.append(self._sum)
        self._cost = self._cost + rewards.cost[0]
        self._recorder.step(replace(decision, reward=rewards.total))
        self.is_over = bool(decision.ended[0])
        return Finished(self.start, self._finished.pop()) if self._finished else None

    def paid(self, recipe: Recipe) -> Scores:
        """What the episode has been paid so far by a recipe that differs from the stage's in its weights only."""
        return self._weighted(self._raw, recipe)

    def paid_lately(self, recipe: Recipe) -> Scores:
        """At each decision of the last minute, what its episode had been paid by then."""
        return self._weighted(list(self._minute), recipe)

    def costs(self) -> list[float]:
        """What each constraint of the recipe has cost in the episode so far: its mean over time, or its sum."""
        decisions, constraints = max(len(self._raw), 1), self.play.recipe.constraints
        return [
            float(cost if one.is_counted else cost / decisions)
            for one, cost in zip(constraints, self._cost, strict=True)
        ]

    def show(self) -> Any:
        """The MuJoCo model and data of its latest decision; the next call changes both."""
        return self._scene.show(self._signals)

    def close(self) -> None:
        """Stop the physics."""
        self._source.close()

    def _weighted(self, rows: Sequence[NDArray[Any]], recipe: Recipe) -> Scores:
        terms = self.play.recipe.terms
        raw = np.array(rows, np.float32).reshape(-1, len(terms))
        measured = Scores(tuple(term.name for term in terms), raw.sum(axis=1), raw, raw)
        return reweighted(measured, recipe, self.play.task)


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
        """How the next episode begins; its seed is one more with every episode, its clip the one that follows."""
        self.finished: list[Finished] = []
        """The last ones, the latest at the end."""
        self.count = 0
        """How many have finished."""
        self._remember, self._next_choice = remember, plays[0].next_choice
        self.stages = [Stage(play, self._next_start()) for play in plays]

    def begin_again(self) -> None:
        """Begin all stages anew, with the same seeds and the present wishes."""
        for stage in self.stages:
            stage.begin(stage.start if stage.play.clips else replace(self.wish, seed=stage.start.seed))

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
        self.wish = replace(start, seed=start.seed + 1, driver=self._next_choice(start.driver))
        return start
