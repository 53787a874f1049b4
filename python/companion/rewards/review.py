"""What the terms of a recipe did in recorded episodes: their shares over time, and how they go with success."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from companion.rewards.record import Record
from companion.rewards.rescoring import Judgement

LATE_SHARE = 1 / 3
"""The last part of a training, in which the policy is nearly what it becomes."""


@dataclass(frozen=True)
class TermReview:
    """One term in some episodes."""

    name: str
    share: float
    """Of all that is paid and charged, Σ |weighted|."""
    per_episode: float
    """What it adds to the return, on average."""
    raw_mean: float
    """Of what it measures, over decisions."""
    firing: float
    """The share of decisions on which it is not 0."""
    correlation: float
    """Pearson's, of what it adds to an episode with the episode's success; NaN where either never changes."""


def review(judgement: Judgement, record: Record, episodes: NDArray[np.intp]) -> list[TermReview]:
    """Every term in these episodes, given by their places."""
    chosen = _rows(record, episodes)
    decisions = chosen & (record.step > 0)
    weighted, raw = judgement.scores.weighted[decisions], judgement.scores.raw[decisions]
    paid = np.abs(weighted).sum(axis=0, dtype=np.float64)
    returns = judgement.scores.term_returns(record)[episodes]
    succeeded = record.succeeded[episodes].astype(np.float64)
    return [
        TermReview(
            name=name,
            share=float(paid[column] / max(float(paid.sum()), 1e-30)),
            per_episode=float(returns[:, column].mean()) if len(episodes) else 0.0,
            raw_mean=float(raw[:, column].mean(dtype=np.float64)) if len(raw) else 0.0,
            firing=float((raw[:, column] != 0).mean()) if len(raw) else 0.0,
            correlation=_correlation(returns[:, column], succeeded),
        )
        for column, name in enumerate(judgement.scores.names)
    ]


@dataclass(frozen=True)
class Window:
    """Some of a training's episodes that ended one after another."""

    transitions: float
    """When they ended, in the middle."""
    episodes: NDArray[np.intp]
    """Their places in the record."""


def windows(record: Record, most: int = 20, fewest_episodes: int = 8) -> list[Window]:
    """A training's episodes in up to so many parts of like number, in the order in which they ended."""
    ended = record.transitions[record.lasts]
    order = np.argsort(ended, kind="stable")
    count = max(1, min(most, len(order) // fewest_episodes))
    return [Window(float(np.median(ended[part])), part) for part in np.array_split(order, count)]


def late_episodes(record: Record) -> NDArray[np.intp]:
    """The places of the episodes that ended in the last third of what was recorded."""
    ended = record.transitions[record.lasts]
    return np.flatnonzero(ended >= ended.max(initial=0) * (1 - LATE_SHARE))


def telling_episodes(judgement: Judgement, episodes: NDArray[np.intp]) -> dict[str, int]:
    """The places of the worst, the median and the best of these episodes by return."""
    order: Sequence[int] = episodes[np.argsort(judgement.returns[episodes], kind="stable")].tolist()
    return {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]} if order else {}


def _rows(record: Record, episodes: NDArray[np.intp]) -> NDArray[np.bool_]:
    chosen = np.zeros(len(record.starts), np.bool_)
    chosen[episodes] = True
    return np.repeat(chosen, record.decisions + 1)


def _correlation(values: NDArray[np.float64], succeeded: NDArray[np.float64]) -> float:
    if len(values) < 2 or np.ptp(values) == 0 or np.ptp(succeeded) == 0:
        return float("nan")
    return float(np.corrcoef(values, succeeded)[0, 1])
