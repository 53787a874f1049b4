"""Judging a policy by what it achieves in fresh episodes, independent of every reward term."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from companion.rewards import ConstraintSpec
from companion.tasks import Task
from companion.worlds._step import Step

if TYPE_CHECKING:
    from rich.console import Console

SEED = 1_000_000
"""Seeds of judging begin here, far from those of training."""

COPIES = 256
"""Copies stepped together where nobody says otherwise."""

EPISODES = 500
"""Fresh episodes by default: zero failures among them put the success rate above 99.2 % with 95 % confidence."""

TEST_EPISODES = 1000
"""Those of `companion evaluate`."""

SAMPLES = 16
"""Observations kept as golden vectors."""

RESAMPLES = 5000
"""Of the bootstrap: the interval's ends then differ by about 1 % of its width from draw to draw."""

LONGEST = 10_000
"""Decisions that an episode may take where nobody limits it."""


class World(Protocol):
    """What judging asks of a world."""

    @property
    def num_envs(self) -> int: ...
    @property
    def action_mask(self) -> NDArray[np.bool_] | None: ...
    def reset(self, seed: int) -> NDArray[np.float32]: ...
    def step(self, action: NDArray[np.float32]) -> Step: ...
    def close(self) -> None: ...


class Policy(Protocol):
    """What is judged: it may remember, row by row, what it saw since the row's episode began."""

    def act(self, observation: NDArray[np.float32], mask: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """The action `[rows, m]` for an observation `[rows, n]`; `mask` says which choices are open."""
        ...

    def restart(self, rows: NDArray[np.bool_] | None = None) -> None:
        """Forget what these rows have seen; all of them without an argument."""
        ...

    def take_back(self, rows: NDArray[np.bool_]) -> None:
        """Remember in these rows what was remembered before the last `act`, because they made no decision."""
        ...


@dataclass(frozen=True)
class Exam:
    """What a policy is judged at."""

    name: str
    max_episode_steps: int | None
    """None where nobody says."""
    period_s: float | None = None
    """Time between two decisions; without it, times are told in decisions."""
    metrics: tuple[tuple[str, str], ...] = ()
    """Names and units of the task's own."""
    success_means: str = ""
    constraints: tuple[ConstraintSpec, ...] = ()
    """Of the recipe, whose limits are to hold."""

    @staticmethod
    def of(task: Task, constraints: tuple[ConstraintSpec, ...] = ()) -> "Exam":
        """That of a robot's task."""
        metrics = tuple((metric.name, metric.unit) for metric in task.metrics)
        steps, period_s = task.max_episode_steps, task.control_period_s
        return Exam(task.name, steps, period_s, metrics, task.success_means, constraints)

    @property
    def most_steps(self) -> int:
        """Decisions after which an episode is over, or never will be."""
        return self.max_episode_steps or LONGEST


@dataclass(frozen=True)
class Figure:
    """One measurement over the episodes that were judged."""

    unit: str
    mean: float
    p05: float
    median: float
    p95: float


@dataclass(frozen=True)
class Held:
    """Whether a constraint's limit held."""

    unit: str
    cost: float
    """The mean over all the time of the episodes, or per episode where it is counted; NaN where nobody tells."""
    limit: float

    @property
    def held(self) -> bool:
        """Whether the cost was within the limit."""
        return self.cost <= self.limit


@dataclass(frozen=True)
class Evaluation:
    """What a policy achieved."""

    task: str
    model: str
    episodes: int
    seed: int
    success_rate: float
    """NaN where nobody says what success is."""
    success_ci95: tuple[float, float]
    """Wilson's interval."""
    return_ci95: tuple[float, float]
    """The mean return's, by bootstrap."""
    metrics: Mapping[str, Figure]
    """Of the task, and the episodes' duration and return."""
    set: Mapping[str, Any]
    """Perturbations that were fixed from outside, or an environment's own settings."""
    invalid_episodes: int
    """Ended because the physics went numerically bad; they are in no other figure."""
    constraints: Mapping[str, Held] = field(default_factory=dict)

    @property
    def has_success(self) -> bool:
        """Whether anybody says what success is."""
        return math.isfinite(self.success_rate)

    def to_json(self) -> dict[str, Any]:
        """Plain data: `metrics` holds means, `quantiles` 5 %, 50 % and 95 %.

        A figure that no episode had (time to success without a success) is None.
        """
        plain = {name: value for name, value in asdict(self).items() if name not in ("metrics", "constraints")}
        figures = self.metrics.items()
        limits = {
            name: {"unit": one.unit, "cost": _known(one.cost), "limit": one.limit, "held": one.held}
            for name, one in self.constraints.items()
        }
        return {
            **plain,
            "success_rate": _known(self.success_rate),
            "success_ci95": [_known(end) for end in self.success_ci95] if self.has_success else None,
            "return_ci95": [_known(end) for end in self.return_ci95],
            "metrics": {name: _known(figure.mean) for name, figure in figures},
            "quantiles": {
                name: [_known(value) for value in (figure.p05, figure.median, figure.p95)] for name, figure in figures
            },
            "units": {name: figure.unit for name, figure in figures},
            **({"constraints": limits} if limits else {}),
        }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Request:
    """What to judge and how much of it."""

    exam: Exam
    model: str
    episodes: int = EPISODES
    seed: int = SEED
    set: Mapping[str, Any] = field(default_factory=dict)
    by_copy: bool = True
    """Each copy contributes the same number of episodes. Else those that end first count: where rows are places for
    agents that come and go, nobody can say beforehand which will have episodes."""


class UnfinishedError(ValueError):
    """A world that does not bring its episodes to an end."""

    def __init__(self, message: str, observed: "Observed") -> None:
        super().__init__(message)
        self.observed = observed


@dataclass(frozen=True)
class Observed:
    """What the policy saw while it was judged."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    samples: NDArray[np.float32]
    """Some real observations `[rows, n]`."""
    masks: NDArray[np.bool_] | None = None
    """Which choices were open at the samples, `[rows, choices]`; None where all always were."""


def evaluate(policy: Policy, world: World, request: Request) -> tuple[Evaluation, Observed]:
    """The policy's success, return and metrics over `request.episodes` fresh episodes, and what it saw.

    How many episodes each copy contributes is fixed beforehand: taking those that end first would favour short ones.

    Raises:
        UnfinishedError: if the world does not bring its episodes to an end; holds what was seen.
    """
    ledger = _Ledger(request, world.num_envs)
    observation = world.reset(request.seed)
    policy.restart()
    watch = _Watch(observation, world.action_mask, every=max(1, request.exam.most_steps // SAMPLES))
    for _ in range(ledger.most_steps):
        if ledger.complete:
            return ledger.evaluation(_invalid(world)), watch.observed()
        step = world.step(policy.act(observation, world.action_mask))
        ledger.add(step)
        observation = step.observation
        _remind(policy, step)
        watch.add(observation, world.action_mask)
    bad = f" ({_invalid(world)} were numerically bad)" if _invalid(world) else ""
    raise UnfinishedError(
        f"only {ledger.counted} of {request.episodes} episodes came to an end in {ledger.most_steps} steps{bad}",
        watch.observed(),
    )


def _remind(policy: Policy, step: Step) -> None:
    """Let the policy remember what its rows did and nothing else: idle rows decided nothing, ended ones begin anew."""
    idle, ended = ~step.active, step.terminated | step.truncated
    if idle.any():
        policy.take_back(idle)
    if ended.any():
        policy.restart(ended)


def _invalid(world: World) -> int:
    """Numerically bad episodes, as far as the world tells."""
    return int(getattr(world, "invalid_count", 0))


def wilson_interval(successes: int, episodes: int) -> tuple[float, float]:
    """The 95 % interval of a success rate."""
    from scipy.stats import binomtest

    interval = binomtest(successes, episodes).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def gain_interval(first: Evaluation, second: Evaluation) -> tuple[float, float]:
    """The 95 % interval of how much more often the first succeeds (Newcombe 1998, method 10, from Wilson's)."""
    (low, high), (other_low, other_high) = first.success_ci95, second.success_ci95
    rate, other = first.success_rate, second.success_rate
    return (
        rate - other - math.hypot(rate - low, other_high - other),
        rate - other + math.hypot(high - rate, other - other_low),
    )


def bootstrap_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % percentile-bootstrap interval of the mean (Efron 1979); NaN for fewer than two values."""
    if len(values) < 2:
        return float("nan"), float("nan")
    random = np.random.default_rng(0)
    means = [values[random.integers(0, len(values), len(values))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def print_table(evaluation: Evaluation, exam: Exam) -> None:
    """Show an evaluation to a person."""
    from rich.console import Console
    from rich.table import Table

    table = Table("per episode", "mean", "5 %", "median", "95 %", "unit", box=None, header_style="bold")
    for name, figure in evaluation.metrics.items():
        if math.isfinite(figure.mean):
            table.add_row(
                name, *(f"{value:.4g}" for value in (figure.mean, figure.p05, figure.median, figure.p95)), figure.unit
            )
    console = Console(emoji=False)  # a behavior Runner would be shown as one
    _print_verdict(console, evaluation, exam, evaluation.task)
    for name, one in evaluation.constraints.items():
        verdict, unit = "held" if one.held else "broken", "" if one.unit == "1" else f" {one.unit}"
        console.print(
            f"limit of {name}: {one.cost:.4g}, at most {one.limit:g}{unit}: {verdict}",
            style=None if one.held else "red",
            highlight=False,
        )
    console.print(table)


def print_both(policy: Evaluation, baseline: Evaluation, exam: Exam, *, as_json: bool) -> None:
    """Show a policy beside its task's baseline, judged alike: how much more often it succeeds, and both metrics."""
    gain, (low, high) = policy.success_rate - baseline.success_rate, gain_interval(policy, baseline)
    if as_json:
        more = {"baseline": baseline.to_json(), "success_gain": gain, "success_gain_ci95": [low, high]}
        print(json.dumps({**policy.to_json(), **more}, allow_nan=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("mean per episode", "policy", "baseline", "unit", box=None, header_style="bold")
    for name, figure in policy.metrics.items():
        means = figure.mean, baseline.metrics[name].mean
        if any(map(math.isfinite, means)):
            table.add_row(name, *(f"{mean:.4g}" if math.isfinite(mean) else "-" for mean in means), figure.unit)
    for name, one in policy.constraints.items():
        other = baseline.constraints[name]
        table.add_row(f"{name}, at most {one.limit:g}", f"{one.cost:.4g}", f"{other.cost:.4g}", one.unit)
    console = Console(emoji=False)
    for one in (policy, baseline):
        _print_verdict(console, one, exam, one.model)
    told = f"the policy's success less the baseline's: {gain:+.2%} (95 % interval {low:+.2%} to {high:+.2%})"
    console.print(told, highlight=False, markup=False, soft_wrap=True)
    console.print(table)


def _print_verdict(console: "Console", evaluation: Evaluation, exam: Exam, name: str) -> None:
    console.print(f"{name}: {_verdict(evaluation, exam)}", highlight=False, markup=False, soft_wrap=True)
    if evaluation.invalid_episodes:
        console.print(
            f"{evaluation.invalid_episodes} episodes went numerically bad and are not counted", style="yellow"
        )


def _verdict(evaluation: Evaluation, exam: Exam) -> str:
    """The one line that matters: the success rate of a robot, elsewhere the return, and success where it is defined."""
    of = f"{evaluation.episodes} episode{'s' if evaluation.episodes > 1 else ''}"
    low, high = evaluation.success_ci95
    share = f"{evaluation.success_rate:.2%} of {of} succeed (95 % interval {low:.2%} to {high:.2%})"
    if evaluation.has_success and exam.period_s is not None:
        return share
    low, high = evaluation.return_ci95
    interval = f" (95 % interval {low:.4g} to {high:.4g})" if math.isfinite(low) else ""
    told = f"mean return {evaluation.metrics['return'].mean:.4g} over {of}{interval}"
    means = f", by {exam.success_means}" if exam.success_means else ""
    return f"{told}; {evaluation.success_rate:.0%} succeed{means}" if evaluation.has_success else told


class _Ledger:
    """Counts the first episodes of each copy, up to its share."""

    def __init__(self, request: Request, copies: int) -> None:
        self._request = request
        self._open = np.full(copies, request.episodes)
        if request.by_copy:
            self._open[:] = request.episodes // copies
            self._open[: request.episodes % copies] += 1
        self._columns: dict[str, list[NDArray[Any]]] = {}
        self.counted = 0
        # A numerically bad episode is made up for by another one, so more may be needed than there are shares.
        shares = int(self._open.max()) if request.by_copy else 0
        self.most_steps = 3 * (shares + 1) * request.exam.most_steps

    @property
    def complete(self) -> bool:
        return self.counted == self._request.episodes

    def add(self, step: Step) -> None:
        episodes = step.episodes
        counts = self._open[episodes.copy] > 0
        counts &= np.cumsum(counts) <= self._request.episodes - self.counted
        if not counts.any():
            return
        np.subtract.at(self._open, episodes.copy[counts], 1)
        self.counted += int(counts.sum())
        columns = {"success": episodes.success, "length": episodes.length, "return": episodes.total_reward}
        costs = {_COST + name: values for name, values in episodes.costs.items()}
        for name, values in {**columns, **episodes.metrics, **costs}.items():
            self._columns.setdefault(name, []).append(np.asarray(values)[counts])

    def evaluation(self, invalid: int) -> Evaluation:
        columns = {name: np.concatenate(parts).astype(np.float64) for name, parts in self._columns.items()}
        success = columns["success"]
        known = success[~np.isnan(success)] > 0
        request = self._request
        return Evaluation(
            task=request.exam.name,
            model=request.model,
            episodes=len(success),
            seed=request.seed,
            success_rate=float(known.mean()) if len(known) else math.nan,
            success_ci95=wilson_interval(int(known.sum()), len(known)) if len(known) else (math.nan, math.nan),
            return_ci95=bootstrap_interval(columns["return"]),
            metrics=_figures(request.exam, columns, success > 0),
            set=dict(request.set),
            invalid_episodes=invalid,
            constraints=_held(request.exam, columns),
        )


_COST = "cost/"
"""What stands before a constraint's name among the columns."""


def _held(exam: Exam, columns: Mapping[str, NDArray[np.float64]]) -> dict[str, Held]:
    found = {}
    for one in exam.constraints:
        costs = columns.get(_COST + one.name, np.array([np.nan]))
        weights = None if one.is_counted or len(costs) == 1 else columns["length"]
        found[one.name] = Held(one.unit, float(np.average(costs, weights=weights)), one.limit)
    return found


class _Watch:
    """The range of the observations, and samples spread over the episodes, with the masks that belonged to them."""

    def __init__(self, observation: NDArray[np.float32], mask: NDArray[np.bool_] | None, every: int) -> None:
        self._every = every
        self._low, self._high = observation.min(axis=0), observation.max(axis=0)
        self._samples = [observation[:1].copy()]
        self._masks = [] if mask is None else [mask[:1].copy()]
        self._steps = 0

    def add(self, observation: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> None:
        np.minimum(self._low, observation.min(axis=0), out=self._low)
        np.maximum(self._high, observation.max(axis=0), out=self._high)
        self._steps += 1
        if self._steps % self._every == 0 and len(self._samples) < SAMPLES:
            row = self._steps % len(observation)
            self._samples.append(observation[row : row + 1].copy())
            if mask is not None:
                self._masks.append(mask[row : row + 1].copy())

    def observed(self) -> Observed:
        masks = np.concatenate(self._masks) if self._masks else None
        return Observed(self._low, self._high, np.concatenate(self._samples), masks)


def _figures(exam: Exam, columns: Mapping[str, NDArray[np.float64]], success: NDArray[np.bool_]) -> dict[str, Figure]:
    figures = {name: _figure(unit, columns[name]) for name, unit in exam.metrics if name in columns}
    if exam.period_s is None:
        figures["length"] = _figure("decisions", columns["length"])
    else:
        duration = columns["length"] * exam.period_s
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
