"""Judging a policy by what it achieves in fresh episodes, independent of every reward."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from companion.tasks import Task
from companion.worlds._step import Step

ActorFunction = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""An observation `[batch, n]` to an action `[batch, m]` in [-1, 1]."""

SEED = 1_000_000
"""Seeds of judging begin here, far from those of training."""

COPIES = 256
"""Copies stepped together where nobody says otherwise."""

EPISODES = 500
"""Fresh episodes by default: zero failures among them put the success rate above 99.2 % with 95 % confidence."""

SAMPLES = 16
"""Observations kept as golden vectors."""


class World(Protocol):
    """What judging asks of a world."""

    @property
    def num_envs(self) -> int: ...
    def reset(self, seed: int) -> NDArray[np.float32]: ...
    def step(self, action: NDArray[np.float32]) -> Step: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Figure:
    """One measurement over the episodes that were judged."""

    unit: str
    mean: float
    p05: float
    median: float
    p95: float


@dataclass(frozen=True)
class Evaluation:
    """What a policy achieved."""

    task: str
    model: str
    episodes: int
    seed: int
    success_rate: float
    success_ci95: tuple[float, float]
    """Wilson's interval."""
    metrics: Mapping[str, Figure]
    """Of the task, and the episodes' duration and return."""
    set: Mapping[str, float]
    """Perturbations that were fixed from outside."""
    invalid_episodes: int
    """Ended because the physics went numerically bad; they are in no other figure."""

    def to_json(self) -> dict[str, Any]:
        """Plain data: `metrics` holds means, `quantiles` 5 %, 50 % and 95 %.

        A figure that no episode had (time to success without a success) is None.
        """
        plain = {name: value for name, value in asdict(self).items() if name != "metrics"}
        figures = self.metrics.items()
        return {
            **plain,
            "success_ci95": list(self.success_ci95),
            "metrics": {name: _known(figure.mean) for name, figure in figures},
            "quantiles": {
                name: [_known(value) for value in (figure.p05, figure.median, figure.p95)] for name, figure in figures
            },
            "units": {name: figure.unit for name, figure in figures},
        }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Request:
    """What to judge and how much of it."""

    task: Task
    model: str
    episodes: int = EPISODES
    seed: int = SEED
    set: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Observed:
    """What the policy saw while it was judged."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    samples: NDArray[np.float32]
    """Some real observations `[rows, n]`."""


def evaluate(actor: ActorFunction, world: World, request: Request) -> tuple[Evaluation, Observed]:
    """The policy's success and metrics over `request.episodes` fresh episodes, and what it saw.

    How many episodes each copy contributes is fixed beforehand: taking those that end first would favour short ones.

    Raises:
        ValueError: if the world does not bring its episodes to an end.
    """
    ledger = _Ledger(request, world.num_envs)
    observation = world.reset(request.seed)
    watch = _Watch(observation, every=max(1, request.task.max_episode_steps // SAMPLES))
    for _ in range(ledger.most_steps):
        if ledger.complete:
            return ledger.evaluation(_invalid(world)), watch.observed()
        step = world.step(actor(observation))
        ledger.add(step)
        observation = step.observation
        watch.add(observation)
    raise ValueError(
        f"only {ledger.counted} of {request.episodes} episodes came to an end in {ledger.most_steps} steps"
        f" ({_invalid(world)} were numerically bad)"
    )


def _invalid(world: World) -> int:
    """Numerically bad episodes, as far as the world tells."""
    return int(getattr(world, "invalid_count", 0))


def wilson_interval(successes: int, episodes: int) -> tuple[float, float]:
    """The 95 % interval of a success rate."""
    from scipy.stats import binomtest

    interval = binomtest(successes, episodes).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def print_table(evaluation: Evaluation) -> None:
    """Show an evaluation to a person."""
    from rich.console import Console
    from rich.table import Table

    low, high = evaluation.success_ci95
    table = Table("per episode", "mean", "5 %", "median", "95 %", "unit", box=None, header_style="bold")
    for name, figure in evaluation.metrics.items():
        table.add_row(
            name, *(f"{value:.4g}" for value in (figure.mean, figure.p05, figure.median, figure.p95)), figure.unit
        )
    console = Console()
    console.print(
        f"{evaluation.task}: {evaluation.success_rate:.2%} of {evaluation.episodes} episodes succeed"
        f" (95 % interval {low:.2%} to {high:.2%})",
        highlight=False,
    )
    if evaluation.invalid_episodes:
        console.print(
            f"{evaluation.invalid_episodes} episodes went numerically bad and are not counted", style="yellow"
        )
    console.print(table)


class _Ledger:
    """Counts the first episodes of each copy, up to its share."""

    def __init__(self, request: Request, copies: int) -> None:
        self._request = request
        self._open = np.full(copies, request.episodes // copies)
        self._open[: request.episodes % copies] += 1
        self._columns: dict[str, list[NDArray[Any]]] = {}
        self.counted = 0
        # A numerically bad episode is made up for by another one, so more may be needed than there are shares.
        self.most_steps = 3 * (int(self._open.max()) + 1) * request.task.max_episode_steps

    @property
    def complete(self) -> bool:
        return self.counted == self._request.episodes

    def add(self, step: Step) -> None:
        episodes = step.episodes
        counts = self._open[episodes.copy] > 0
        if not counts.any():
            return
        self._open[episodes.copy[counts]] -= 1
        self.counted += int(counts.sum())
        columns = {"success": episodes.success, "length": episodes.length, "return": episodes.total_reward}
        for name, values in {**columns, **episodes.metrics}.items():
            self._columns.setdefault(name, []).append(np.asarray(values)[counts])

    def evaluation(self, invalid: int) -> Evaluation:
        columns = {name: np.concatenate(parts).astype(np.float64) for name, parts in self._columns.items()}
        success = columns["success"] > 0
        request = self._request
        return Evaluation(
            task=request.task.name,
            model=request.model,
            episodes=len(success),
            seed=request.seed,
            success_rate=float(success.mean()),
            success_ci95=wilson_interval(int(success.sum()), len(success)),
            metrics=_figures(request.task, columns, success),
            set=dict(request.set),
            invalid_episodes=invalid,
        )


class _Watch:
    """The range of the observations, and samples spread over the episodes."""

    def __init__(self, observation: NDArray[np.float32], every: int) -> None:
        self._every = every
        self._low, self._high = observation.min(axis=0), observation.max(axis=0)
        self._samples = [observation[:1].copy()]
        self._steps = 0

    def add(self, observation: NDArray[np.float32]) -> None:
        np.minimum(self._low, observation.min(axis=0), out=self._low)
        np.maximum(self._high, observation.max(axis=0), out=self._high)
        self._steps += 1
        if self._steps % self._every == 0 and len(self._samples) < SAMPLES:
            row = self._steps % len(observation)
            self._samples.append(observation[row : row + 1].copy())

    def observed(self) -> Observed:
        return Observed(self._low, self._high, np.concatenate(self._samples))


def _figures(task: Task, columns: Mapping[str, NDArray[np.float64]], success: NDArray[np.bool_]) -> dict[str, Figure]:
    duration = columns["length"] * task.control_period_s
    told = [metric for metric in task.metrics if metric.name in columns]
    figures = {metric.name: _figure(metric.unit, columns[metric.name]) for metric in told}
    figures["episode_s"] = _figure("s", duration)
    figures["time_to_success_s"] = _figure("s", duration[success])
    figures["return"] = _figure("1", columns["return"])
    return figures


def _figure(unit: str, values: NDArray[np.float64]) -> Figure:
    known = values[np.isfinite(values)]
    if not known.size:
        return Figure(unit, *[float("nan")] * 4)
    p05, median, p95 = np.quantile(known, (0.05, 0.5, 0.95))
    return Figure(unit, float(known.mean()), float(p05), float(median), float(p95))
