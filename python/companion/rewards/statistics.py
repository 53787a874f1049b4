"""What a few seeds can tell about a difference, and how many it would take.

Scores are one number per training, and two sides are compared seed by seed. Reinforcement learning's few and skewed
scores are why these figures and not others: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the
Statistical Precipice", arXiv 2108.13264.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = NDArray[np.float64]

SIGNIFICANT = 0.05
"""A difference is called one where its p-value is at most this."""

POWER = 0.8
"""How likely a difference shall be seen that is as large as the one found."""

FEWEST_SEEDS = 3
"""With two, Student's t would have to be above 12.7, which hardly any difference reaches."""

RESAMPLES = 10_000


@dataclass(frozen=True)
class Estimate:
    """A figure with its bootstrap 95 % interval."""

    value: float
    low: float
    high: float

    def told(self, form: str) -> str:
        """As text, each number in that form."""
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"


def interquartile_mean(scores: Scores, axis: int = -1) -> Any:
    """The mean without the lowest and the highest quarter (Agarwal et al. 2021); of three scores, of all."""
    from scipy.stats import trim_mean

    return trim_mean(scores, 0.25, axis=axis)


def estimate(scores: Scores) -> Estimate:
    """The interquartile mean over the seeds and the percentile bootstrap's 95 % interval.

    Of three seeds the interval is from the lowest to the highest, which holds the true middle 3 times in 4.
    """
    from scipy.stats import bootstrap

    value = float(interquartile_mean(scores))
    if len(scores) < 2 or np.ptp(scores) == 0:
        return Estimate(value, value, value)
    found = bootstrap((scores,), interquartile_mean, n_resamples=RESAMPLES, method="percentile", rng=0)
    return Estimate(value, float(found.confidence_interval.low), float(found.confidence_interval.high))


def probability_of_improvement(scores: Scores, others: Scores) -> float:
    """P(one of these scores is above one of the others), over all pairs, ties counted half (Agarwal et al. 2021)."""
    return _share_above((scores[:, None] - others[None, :]).ravel())


def paired_probability_of_improvement(differences: Scores) -> float:
    """The same over the pairs of one seed each: the share of seeds that are better, ties counted half."""
    return _share_above(differences)


def _share_above(differences: Scores) -> float:
    return float(np.mean((differences > 0) + 0.5 * (differences == 0)))


def sign_flip_p(differences: Scores) -> float:
    """Two-sided p of Fisher's paired permutation test of the mean difference: which sign each seed has is luck.

    Exact up to 13 seeds, then from 10,000 draws. It assumes nothing, and of n seeds can't be below 2^(1-n).
    """
    from scipy.stats import permutation_test

    if len(differences) < 2 or not np.any(differences):
        return 1.0
    found = permutation_test(
        (differences,), np.mean, permutation_type="samples", vectorized=True, n_resamples=RESAMPLES, rng=0
    )
    return float(found.pvalue)


def paired_t_p(differences: Scores, least_deviation: float = 0.0) -> float:
    """Two-sided p of Student's paired t-test: that the mean difference is luck, if differences are spread normally.

    Args:
        differences: one per seed.
        least_deviation: what is known of their standard deviation beforehand; a handful of seeds may agree by chance.

    Returns:
        1 where nothing can be told: of one seed, or where the differences don't vary at all.
    """
    from scipy.stats import t

    deviation = _deviation(differences, least_deviation)
    if not deviation > 0:
        return 1.0
    statistic = abs(float(np.mean(differences))) / (deviation / math.sqrt(len(differences)))
    return float(2 * t.sf(statistic, len(differences) - 1))


def seeds_needed(differences: Scores, least_deviation: float = 0.0) -> int | None:
    """Seeds with which a paired t-test at 5 % sees the mean difference found here 4 times in 5; None if none will do.

    With s the standard deviation of the differences and d their mean: from n = ((z(1-α/2) + z(power)) s / d)² +
    z(1-α/2)²/2 (Guenther 1981, "Sample size formulas for normal theory t tests", The American Statistician 35(4)),
    which is right but for the very few, upwards until the power by the noncentral t distribution is there.
    """
    from scipy.stats import norm

    deviation, mean = _deviation(differences, least_deviation), abs(float(np.mean(differences)))
    if mean == 0 or not deviation > 0:
        return None
    significance, power = norm.isf(SIGNIFICANT / 2), norm.ppf(POWER)
    found = ((significance + power) * deviation / mean) ** 2 + significance**2 / 2
    seeds = max(FEWEST_SEEDS, math.ceil(found))
    while _power(seeds, mean / deviation) < POWER:
        seeds += 1
    return seeds


def _power(seeds: int, effect: float) -> float:
    """How likely a two-sided paired t-test sees a difference of so many standard deviations, on its own side."""
    from scipy.stats import nct, t

    return float(nct.sf(t.isf(SIGNIFICANT / 2, seeds - 1), seeds - 1, effect * math.sqrt(seeds)))


def _deviation(differences: Scores, least: float) -> float:
    """The sample's standard deviation, or what it is at least; NaN of a single seed."""
    return max(float(np.std(differences, ddof=1)), least) if len(differences) > 1 else math.nan


def rate_deviation(rates: ArrayLike, episodes: int) -> float:
    """The standard deviation that counting so many episodes gives to a rate of success like these, by itself.

    Two successes and two failures are added (Agresti and Coull 1998), so that rates of 0 and 1 have one too.
    """
    rate = (float(np.mean(np.asarray(rates, np.float64))) * episodes + 2) / (episodes + 4)
    return math.sqrt(rate * (1 - rate) / episodes)


def holm(p_values: ArrayLike) -> Scores:
    """Each p-value as it counts when it is one of several: any luck among them is at most as likely as the level.

    Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    given = np.asarray(p_values, np.float64)
    order = np.argsort(given, kind="stable")
    stepped = given[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


@dataclass(frozen=True)
class Comparison:
    """One side beside a baseline, over the seeds that both have."""

    seeds: int
    score: Estimate
    difference: Estimate
    """Score less the baseline's, seed by seed."""
    improvement: float
    """Probability of improvement: the share of seeds in which it is above the baseline."""
    p: float
    """Of the paired t-test, corrected for the number of sides by Holm's method."""
    p_sign_flip: float
    """Of the exact permutation test, corrected likewise."""
    seeds_needed: int | None
    """With which a difference like this is seen 4 times in 5; None if none will do."""

    @property
    def is_significant(self) -> bool:
        """Whether the difference is more than luck."""
        return self.p <= SIGNIFICANT


def compare(
    scores: Mapping[str, Scores], baseline: Mapping[str, Scores], least_deviation: Mapping[str, float] | None = None
) -> dict[str, Comparison]:
    """Every side beside the baseline.

    Args:
        scores: of each side, one per seed; at least one.
        baseline: the baseline's scores for the same seeds, by the side's name.
        least_deviation: as `paired_t_p` takes it, by the side's name.
    """
    least = least_deviation or {}
    differences = {name: scores[name] - baseline[name] for name in scores}
    p = holm([paired_t_p(found, least.get(name, 0.0)) for name, found in differences.items()])
    p_sign_flip = holm([sign_flip_p(found) for found in differences.values()])
    return {
        name: Comparison(
            seeds=len(found),
            score=estimate(scores[name]),
            difference=estimate(found),
            improvement=paired_probability_of_improvement(found),
            p=float(p[place]),
            p_sign_flip=float(p_sign_flip[place]),
            seeds_needed=seeds_needed(found, least.get(name, 0.0)),
        )
        for place, (name, found) in enumerate(differences.items())
    }
