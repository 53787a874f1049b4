"""Which of the episodes that were watched change places under other weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats  # noqa: F401  ranking needs it: loaded with the page, or the end of the first episode would wait for it
from numpy.typing import NDArray

from companion.rewards import Recipe
from companion.rewards.record import Record, joined
from companion.rewards.rescoring import disagreements, judge, rank_agreement, success_outranks
from companion.tasks import Task


@dataclass(frozen=True)
class Move:
    """An episode that changes places."""

    episode: int
    """Its place among those that were watched, 0 for the first."""
    before: int
    """Its place by return under the recipe, 1 for the highest."""
    now: int
    """And under the new weights."""
    return_before: float
    return_now: float
    term: str
    """Of those whose weight differs, what moved it most against the others."""


@dataclass(frozen=True)
class Ranking:
    """What other weights do to the order of episodes."""

    episodes: int
    agreement: float
    """Kendall's τ of both orders: 1 the same, -1 the opposite; NaN where all are alike."""
    success_before: float
    """How likely a success returns more than a failure under the recipe; NaN without both."""
    success_now: float
    moves: tuple[Move, ...]
    """The widest first."""


def ranking(recipe: Recipe, changed: Recipe, task: Task, records: Sequence[Record], discount: float) -> Ranking:
    """How a recipe that differs in its weights orders whole episodes, by discounted return.

    Raises:
        ValueError: if there are no episodes.
    """
    record = joined(records)
    first, second = (judge(each, task, record, discount) for each in (recipe, changed))
    before, now = places(first.returns), places(second.returns)
    gained = second.term_returns - first.term_returns
    gained -= gained.mean(axis=0)
    moves = [
        Move(
            one.place,
            int(before[one.place]),
            int(now[one.place]),
            float(first.returns[one.place]),
            float(second.returns[one.place]),
            second.scores.names[int((gained[one.place] * np.sign(one.second_rank - one.first_rank)).argmax())],
        )
        for one in disagreements(first, second, len(before))
    ]
    return Ranking(
        episodes=len(before),
        agreement=rank_agreement(first, second) if len(before) > 1 else float("nan"),
        success_before=success_outranks(first, record),
        success_now=success_outranks(second, record),
        moves=tuple(moves),
    )


def places(returns: NDArray[np.float64]) -> NDArray[np.int64]:
    """1 for the highest return; equals share the best of their places."""
    return 1 + (returns[None, :] > returns[:, None]).sum(axis=1)
