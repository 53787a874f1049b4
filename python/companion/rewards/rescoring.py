"""What recipes would have paid for recorded episodes, and how they rank them.

It ranks behaviour that happened. What a policy would learn from a recipe, only training tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from companion.rewards.recipe import Recipe
from companion.rewards.record import Record, Scores, score, start_potentials
from companion.tasks import Task


@dataclass(frozen=True)
class Judgement:
    """One recipe's view of a record."""

    recipe: Recipe
    scores: Scores
    term_returns: NDArray[np.float64]
    """What each term gave `[episodes, terms]`, discounted per decision as the learner counts it.

    A potential counts from 0: what it takes for where an episode happened to start is not the episode's doing.
    """
    shares: NDArray[np.float64]
    """Each term's part in all that is paid or charged, of Σ |weighted| `[terms]`; they add up to 1."""

    @property
    def returns(self) -> NDArray[np.float64]:
        """Of each episode `[episodes]`, as the terms'."""
        return self.term_returns.sum(axis=1)

    @property
    def ranks(self) -> NDArray[np.float64]:
        """Each episode's place among all, 0 for the lowest return and 1 for the highest; equals share theirs."""
        from scipy.stats import rankdata

        return (rankdata(self.returns) - 1) / max(1, len(self.returns) - 1)


def judge(recipe: Recipe, task: Task, record: Record, discount: float) -> Judgement:
    """A recipe's view of a record.

    Episodes are ranked by what a learner with this discount would have made of them: potentials pay the same for every
    way to the same end only so.

    Raises:
        ValueError: if a signal that a term looks at was not recorded.
    """
    scores = score(recipe, task, record, discount)
    paid = np.abs(scores.weighted).sum(axis=0, dtype=np.float64)
    given = scores.term_returns(record, discount) + start_potentials(recipe, record)
    return Judgement(recipe, scores, given, paid / max(float(paid.sum()), 1e-30))


def success_outranks(judgement: Judgement, record: Record) -> float:
    """How likely a successful episode returns more than a failed one, ties counted half; NaN without both kinds.

    It is the area under the ROC curve, Mann and Whitney's U over the number of pairs.
    """
    from scipy.stats import rankdata

    succeeded = record.succeeded
    good, bad = int(succeeded.sum()), int((~succeeded).sum())
    if not good or not bad:
        return float("nan")
    return float((rankdata(judgement.returns)[succeeded].sum() - good * (good + 1) / 2) / (good * bad))


def rank_agreement(first: Judgement, second: Judgement) -> float:
    """Kendall's τ-b of the episodes' returns: 1 the same order, -1 the opposite, NaN if either pays all alike."""
    from scipy.stats import kendalltau

    agreement, _ = kendalltau(first.returns, second.returns)
    return float(agreement)  # pyright: ignore[reportArgumentType]  scipy has no types


@dataclass(frozen=True)
class Disagreement:
    """An episode that two recipes rank differently."""

    place: int
    """Of the episode in the record, counted from 0."""
    first_rank: float
    """0 lowest, 1 highest."""
    second_rank: float
    term: str
    """Of either recipe: the one whose pay for this episode, beside others', differs most that way between the two."""


def disagreements(first: Judgement, second: Judgement, most: int) -> list[Disagreement]:
    """The episodes whose rank differs most between two recipes, the largest difference first."""
    apart = second.ranks - first.ranks
    order = np.argsort(-np.abs(apart), kind="stable")[:most]
    names, moved = _moved(first, second)
    found = [
        Disagreement(
            int(place),
            float(first.ranks[place]),
            float(second.ranks[place]),
            names[int((moved[place] * np.sign(apart[place])).argmax())],
        )
        for place in order
    ]
    return [one for one in found if one.first_rank != one.second_rank]


def _moved(first: Judgement, second: Judgement) -> tuple[list[str], NDArray[np.float64]]:
    """The terms of both, and what each does more for an episode's standing in the second `[episodes, terms]`.

    Standing is counted in standard deviations of a recipe's returns: two recipes may pay on different scales.
    """
    names = list(dict.fromkeys((*first.scores.names, *second.scores.names)))
    before, after = (_standing(one, names) for one in (first, second))
    return names, after - before


def _standing(judgement: Judgement, names: list[str]) -> NDArray[np.float64]:
    found = np.zeros((len(judgement.returns), len(names)))
    columns = [names.index(name) for name in judgement.scores.names]
    returns = judgement.term_returns
    found[:, columns] = (returns - returns.mean(axis=0)) / max(float(judgement.returns.std()), 1e-12)
    return found


def recorded_difference(judgement: Judgement, record: Record) -> float:
    """The largest difference on any step to the reward that was paid when it was recorded."""
    return float(np.abs(judgement.scores.total - record.reward).max(initial=0.0))


def extremes(judgement: Judgement, most: int) -> tuple[Sequence[int], Sequence[int]]:
    """The places of the episodes with the highest returns, highest first, and with the lowest, lowest first."""
    order = np.argsort(judgement.returns, kind="stable")
    return [int(place) for place in order[::-1][:most]], [int(place) for place in order[:most]]
