"""Running sums of each copy's episode: reward, terms and metrics, weighted by real steps."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from companion.rewards.recipe import ConstraintSpec
from companion.tasks import Metric
from companion.worlds._step import Episodes


class Valued(Protocol):
    """What a reward engine gives per step: values of every term and constraint, `[copies, terms]`."""

    @property
    def raw(self) -> NDArray[np.float32]: ...
    @property
    def weighted(self) -> NDArray[np.float32]: ...
    @property
    def cost(self) -> NDArray[np.float32]: ...


class Tally:
    """Adds up steps and hands out the sums of the episodes that ended."""

    def __init__(
        self,
        metrics: Sequence[Metric],
        terms: Sequence[str],
        copies: int,
        constraints: Sequence[ConstraintSpec] = (),
    ) -> None:
        self._metrics, self._terms, self._constraints = tuple(metrics), tuple(terms), tuple(constraints)
        self._total = np.zeros(copies)
        self._raw = np.zeros((copies, len(self._terms)))
        self._weighted = np.zeros((copies, len(self._terms)))
        self._metric = np.zeros((copies, len(self._metrics)))
        self._cost = np.zeros((copies, len(self._constraints)))

    def clear(self, which: NDArray[np.bool_]) -> None:
        """An episode starts in these copies."""
        for sums in (self._total, self._raw, self._weighted, self._cost):
            sums[which] = 0.0
        self._metric[which] = [_START[metric.how] for metric in self._metrics]

    def add(self, signals: Mapping[str, NDArray[Any]], rewards: Valued, reward: NDArray[np.float32]) -> None:
        """Take in one step of every copy."""
        self._total += reward
        self._raw += rewards.raw
        self._weighted += rewards.weighted
        self._cost += rewards.cost
        for column, metric in enumerate(self._metrics):
            _take(self._metric[:, column], metric, signals[metric.name])

    def finished(self, ended: NDArray[np.bool_], length: NDArray[np.int64], success: NDArray[np.bool_]) -> Episodes:
        """The sums of the copies whose episode ended."""
        which = np.flatnonzero(ended)
        steps = np.maximum(length[which], 1)
        raw, weighted = self._raw[which] / steps[:, None], self._weighted[which]
        return Episodes(
            copy=which,
            length=length[which],
            total_reward=self._total[which].astype(np.float32),
            success=success[which],
            terms={name: weighted[:, column].astype(np.float32) for column, name in enumerate(self._terms)},
            raw_terms={name: raw[:, column].astype(np.float32) for column, name in enumerate(self._terms)},
            metrics={
                metric.name: (
                    self._metric[which, column] / (steps if metric.how in ("mean", "mean_size") else 1)
                ).astype(np.float32)
                for column, metric in enumerate(self._metrics)
            },
            costs={
                one.name: (self._cost[which, column] / (1 if one.is_counted else steps)).astype(np.float32)
                for column, one in enumerate(self._constraints)
            },
        )

    def get_state(self) -> dict[str, NDArray[np.float64]]:
        """The sums."""
        return {name: getattr(self, name).copy() for name in _ARRAYS}

    def set_state(self, state: Mapping[str, NDArray[np.float64]]) -> None:
        """Go on from saved sums."""
        for name in _ARRAYS:
            if name in state:  # runs of before there were constraints have no costs
                getattr(self, name)[...] = state[name]


_ARRAYS = ("_total", "_raw", "_weighted", "_metric", "_cost")
_START = {"last": 0.0, "mean": 0.0, "mean_size": 0.0, "sum": 0.0, "max": -np.inf, "min": np.inf}


def _take(column: NDArray[np.float64], metric: Metric, signal: NDArray[Any]) -> None:
    """Put a step's signal into a metric's column."""
    value = np.abs(signal).mean(axis=1) if metric.how == "mean_size" else signal[:, 0]
    if metric.how == "last":
        column[:] = value
    elif metric.how == "max":
        np.maximum(column, value, out=column)
    elif metric.how == "min":
        np.minimum(column, value, out=column)
    else:
        column += value
