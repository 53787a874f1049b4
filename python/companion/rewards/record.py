"""What was measured in whole episodes, step by step, and what a recipe pays for it.

Rows stand in the order of time, one episode after the other. The first row of an episode holds the signals that it
started from, on which nothing is paid; each further row is one decision, with the signals before any reset.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from companion.rewards.recipe import Recipe, TermSpec
from companion.rewards.terms import functions
from companion.tasks import Task

BLOCK_ROWS = 16_384
"""Rows that are scored together: few enough to stay in a processor's cache."""


@dataclass(frozen=True)
class Record:
    """Rows of whole episodes; arrays over rows."""

    signals: Mapping[str, NDArray[np.float32]]
    """`[rows, size]` each."""
    episode: NDArray[np.int64]
    """A number that no other episode of the same ledger has; the rows of one stand together."""
    step: NDArray[np.int32]
    """Decisions taken so far in the episode; 0 marks its start."""
    terminated: NDArray[np.bool_]
    """True on the last row of an episode that came to a true end."""
    success: NDArray[np.bool_]
    """True on the last row of an episode that succeeded."""
    reward: NDArray[np.float32]
    """What was paid when it was recorded; 0 on starts."""
    transitions: NDArray[np.int64]
    """Decisions that all copies of the world had taken by then, those that were not recorded included."""

    def __len__(self) -> int:
        return len(self.step)

    @property
    def starts(self) -> NDArray[np.intp]:
        """The row on which each episode starts `[episodes]`."""
        return np.flatnonzero(self.step == 0)

    @property
    def lasts(self) -> NDArray[np.intp]:
        """The last row of each episode `[episodes]`."""
        return np.append(self.starts[1:], len(self)) - 1

    @property
    def succeeded(self) -> NDArray[np.bool_]:
        """Whether each episode succeeded `[episodes]`."""
        return self.success[self.lasts]

    @property
    def decisions(self) -> NDArray[np.int64]:
        """Decisions of each episode `[episodes]`."""
        return (self.lasts - self.starts).astype(np.int64)

    def rows(self, chosen: slice | NDArray[np.intp]) -> "Record":
        """Some rows; they should make up whole episodes."""
        columns = {name: value[chosen] for name, value in vars(self).items() if name != "signals"}
        return Record({name: value[chosen] for name, value in self.signals.items()}, **columns)

    def of(self, episodes: Sequence[int] | NDArray[np.intp]) -> "Record":
        """The episodes at these places, counted from 0, in this order."""
        parts = [np.arange(self.starts[place], self.lasts[place] + 1) for place in episodes]
        return self.rows(np.concatenate(parts) if parts else np.zeros(0, np.intp))

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[slice]:
        """Slices of whole episodes with so many rows each, or one more episode."""
        ends = self.lasts + 1
        begin = 0
        while begin < len(self):
            end = int(ends[min(np.searchsorted(ends, begin + rows), len(ends) - 1)])
            yield slice(begin, end)
            begin = end


def joined(records: Sequence[Record]) -> Record:
    """The rows of all of these; of their signals those that every one has.

    Raises:
        ValueError: if there are none to join.
    """
    if not records:
        raise ValueError("there are no recorded episodes")
    shared = [name for name in records[0].signals if all(name in record.signals for record in records)]
    signals = {name: np.concatenate([record.signals[name] for record in records]) for name in shared}
    names = [name for name in vars(records[0]) if name != "signals"]
    return Record(signals, **{name: np.concatenate([getattr(record, name) for record in records]) for name in names})


@dataclass(frozen=True)
class Scores:
    """What a recipe pays on each row of a record, and for what; 0 on the starts of episodes."""

    names: tuple[str, ...]
    """The terms, in the order of the columns."""
    total: NDArray[np.float32]
    raw: NDArray[np.float32]
    """What the terms measured `[rows, terms]`: a rate per second, a potential its change."""
    weighted: NDArray[np.float32]
    """What each term adds to `total` `[rows, terms]`."""

    def returns(self, record: Record, discount: float = 1.0) -> NDArray[np.float64]:
        """The return of each episode `[episodes]`, discounted per decision."""
        return self.term_returns(record, discount).sum(axis=1)

    def term_returns(self, record: Record, discount: float = 1.0) -> NDArray[np.float64]:
        """What each term adds to the return of each episode `[episodes, terms]`, discounted per decision."""
        if not len(record):
            return np.zeros((0, len(self.names)))
        # The reward of the first decision, which stands on the row of step 1, counts in full.
        factor = discount ** np.maximum(record.step.astype(np.float64) - 1.0, 0.0)
        return np.add.reduceat(self.weighted * factor[:, None], record.starts, axis=0)


def needed_signals(recipe: Recipe) -> tuple[str, ...]:
    """The signals that a recipe's terms and constraints look at, each once."""
    specs = (*recipe.terms, *recipe.constraints)
    names = (name for spec in specs for name in functions()[spec.function_name].signals)
    return tuple(dict.fromkeys(names))


def score(recipe: Recipe, task: Task, record: Record, discount: float) -> Scores:
    """What the recipe pays for a record: what `RewardEngine` would have paid, were it there.

    Exact up to the recorded signals' rounding to float32. It ranks behaviour that happened; it does not tell what a
    policy would learn from the recipe.

    Raises:
        ValueError: if the record lacks a signal that a term looks at, naming both.
    """
    for term in recipe.terms:
        missing = [name for name in functions()[term.function_name].signals if name not in record.signals]
        if missing:
            raise ValueError(f"reward term '{term.name}' looks at {', '.join(missing)}, which was not recorded")
    shape = (len(record), len(recipe.terms))
    raw = np.zeros(shape, np.float32)
    needed = needed_signals(replace(recipe, constraints=()))
    for block in record.blocks():
        signals = {name: record.signals[name][block].astype(np.float64) for name in needed}
        steps, terminated = record.step[block], record.terminated[block]
        for column, term in enumerate(recipe.terms):
            raw[block, column] = np.where(steps == 0, 0.0, _raw(term, signals, terminated, discount))
    weighted = (raw * per_decision(recipe, task)).astype(np.float32)
    total = weighted.sum(axis=1, dtype=np.float64).astype(np.float32)
    return Scores(tuple(term.name for term in recipe.terms), total, raw, weighted)


def costs(recipe: Recipe, task: Task, record: Record) -> NDArray[np.float64]:
    """What each constraint costs in each episode `[episodes, constraints]`: its mean over time, or its sum if counted.

    Raises:
        ValueError: if the record lacks a signal that a constraint looks at, naming both.
    """
    if not recipe.constraints or not len(record):
        return np.zeros((len(record.starts), len(recipe.constraints)))
    measured = replace(recipe, terms=tuple(one.measured for one in recipe.constraints), constraints=())
    raw = score(measured, task, record, discount=1.0).raw.astype(np.float64)
    sums = np.add.reduceat(raw, record.starts, axis=0)
    is_counted = np.array([one.is_counted for one in recipe.constraints])
    return np.where(is_counted, sums, sums / np.maximum(record.decisions, 1)[:, None])


def mean_costs(recipe: Recipe, costs: NDArray[np.floating], decisions: NDArray[np.int64]) -> NDArray[np.float64]:
    """The costs to be held against the limits `[constraints]`, from those of episodes `[episodes, constraints]`.

    A mean over time is one over all the time of these episodes, so that long ones count for more.
    """
    if not len(decisions):
        return np.full(len(recipe.constraints), np.nan)
    over_time = np.average(costs, axis=0, weights=np.maximum(decisions, 1))
    return np.where([one.is_counted for one in recipe.constraints], costs.mean(axis=0), over_time)


def start_potentials(recipe: Recipe, record: Record) -> NDArray[np.float64]:
    """The potential that each episode starts with, times its weight, `[episodes, terms]`; 0 for other kinds.

    An episode's potentials sum, discounted, to that of its end less this.
    """
    found = np.zeros((len(record.starts), len(recipe.terms)))
    for column, term in enumerate(recipe.terms):
        if term.kind == "potential":
            function = functions()[term.function_name]
            signals = [record.signals[name][record.starts].astype(np.float64) for name in function.signals]
            found[:, column] = term.weight * function.function(*signals, **term.settings)
    return found


def reweighted(scores: Scores, recipe: Recipe, task: Task) -> Scores:
    """The same measurements with the weights of a recipe that differs in nothing else."""
    weighted = (scores.raw * per_decision(recipe, task)).astype(np.float32)
    return replace(scores, total=weighted.sum(axis=1, dtype=np.float64).astype(np.float32), weighted=weighted)


def per_decision(recipe: Recipe, task: Task) -> NDArray[np.float64]:
    """What one unit of each term's raw value adds to a decision's reward `[terms]`: a rate counts per second."""
    return np.array([term.weight * (task.control_period_s if term.kind == "rate" else 1.0) for term in recipe.terms])


def _raw(
    term: TermSpec, signals: Mapping[str, NDArray[np.float64]], terminated: NDArray[np.bool_], discount: float
) -> NDArray[np.float64]:
    """What the term counts on each row, as the engine has it; whatever on starts."""
    function = functions()[term.function_name]
    measure: Callable[..., NDArray[np.float64]] = function.function
    value = measure(*[signals[name] for name in function.signals], **term.settings)
    if term.kind == "terminal":
        return np.where(terminated, value, 0.0)
    if term.kind == "potential":
        before = np.concatenate((value[:1], value[:-1]))
        return discount * np.where(terminated, 0.0, value) - before
    return value
