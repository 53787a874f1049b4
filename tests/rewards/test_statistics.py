"""The statistics of a few seeds, against numbers worked out by hand and scipy's own tests."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from companion.rewards import statistics
from companion.rewards.statistics import (
    compare,
    estimate,
    holm,
    interquartile_mean,
    paired_probability_of_improvement,
    paired_t_p,
    probability_of_improvement,
    rate_deviation,
    seeds_needed,
    sign_flip_p,
)


def student_p(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(stats.ttest_1samp(differences, 0.0, axis=-1)[1])


def test_the_interquartile_mean_leaves_out_the_lowest_and_the_highest_of_five() -> None:
    assert interquartile_mean(np.array([1000.0, 1.0, 2.0, 3.0, -1000.0])) == 2.0


def test_the_interquartile_mean_of_three_is_their_mean() -> None:
    assert interquartile_mean(np.array([1.0, 2.0, 6.0])) == 3.0


def test_an_interval_holds_the_figure_and_lies_within_the_scores() -> None:
    found = estimate(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert 1 <= found.low < found.value == 3.0 < found.high <= 5


def test_the_interval_of_three_seeds_goes_from_the_lowest_to_the_highest() -> None:
    # one in 27 resamples is three times the lowest, which is more than 2.5 %
    found = estimate(np.array([0.9, 0.7, 0.8]))
    assert (found.low, found.high) == (pytest.approx(0.7), pytest.approx(0.9))


def test_equal_scores_have_an_interval_of_no_width() -> None:
    assert estimate(np.full(5, 500.0)).told(".1f") == "500.0 [500.0, 500.0]"


def test_ties_count_half_in_the_probability_of_improvement() -> None:
    # of the pairs (1,1) (1,3) (2,1) (2,3): one tie, one better, two worse
    assert probability_of_improvement(np.array([1.0, 2.0]), np.array([1.0, 3.0])) == (1 + 0.5) / 4
    assert paired_probability_of_improvement(np.array([0.1, 0.0, -0.2, 0.3])) == (2 + 0.5) / 4


def test_the_sign_flip_test_counts_the_signs_that_look_as_extreme() -> None:
    # of the 8 ways to sign 1, 2, 3 the sums ±6 are 2, and |1 + 2 - 3| = 0 or more are all
    assert sign_flip_p(np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / 8)
    assert sign_flip_p(np.array([-1.0, -2.0, -3.0])) == pytest.approx(2 / 8)
    assert sign_flip_p(np.array([1.0, 2.0, -3.0])) == pytest.approx(1.0)
    # |-1 + 2 + 3| = 4 is reached by ±(−1 2 3) and ±(1 2 3)
    assert sign_flip_p(np.array([-1.0, 2.0, 3.0])) == pytest.approx(4 / 8)
    assert sign_flip_p(np.full(6, 0.1)) == pytest.approx(2 / 64)
    assert sign_flip_p(np.zeros(3)) == sign_flip_p(np.array([0.5])) == 1.0


def test_the_paired_test_is_students() -> None:
    ours, theirs = np.array([0.7, 0.9, 0.5, 0.8]), np.array([0.6, 0.6, 0.45, 0.7])
    assert paired_t_p(ours - theirs) == pytest.approx(student_p(ours - theirs))


def test_seeds_that_agree_by_chance_prove_nothing_where_more_spread_is_known() -> None:
    differences = np.array([0.0120, 0.0121, 0.0119])
    assert paired_t_p(differences) < 0.001
    assert paired_t_p(differences, least_deviation=0.014) > 0.2
    assert paired_t_p(np.array([0.5])) == 1.0
    assert paired_t_p(np.full(3, 0.5)) == 1.0


@pytest.mark.parametrize(("effect", "seeds"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_the_seeds_needed_are_those_of_the_tables(effect: float, seeds: int) -> None:
    # G*Power 3.1, t-test of two dependent means, two tails, α 0.05, power 0.8
    differences = np.array([-1.0, 0.0, 1.0]) + effect
    assert np.std(differences, ddof=1) == pytest.approx(1.0)
    assert seeds_needed(differences) == seeds


@pytest.mark.parametrize("effect", [0.6, 1.2, 1.6, 3.0])
def test_so_many_seeds_see_the_difference_four_times_in_five_and_one_less_do_not(effect: float) -> None:
    seeds = seeds_needed(np.array([-1.0, 0.0, 1.0]) - effect)
    assert seeds is not None
    drawn = np.random.default_rng(0).normal(effect, 1.0, (40_000, seeds))
    seen = [np.mean(student_p(drawn[:, :count]) <= 0.05) for count in (seeds - 1, seeds)]
    assert seen[0] < 0.805 and seen[1] > 0.795


def test_no_number_of_seeds_shows_a_difference_that_is_not_there() -> None:
    assert seeds_needed(np.array([-1.0, 0.0, 1.0])) is None
    assert seeds_needed(np.array([1.0])) is None
    assert seeds_needed(np.array([1.0, 1.001, 0.999])) == 3


def test_a_rate_counted_over_few_episodes_is_uncertain_even_at_all_or_nothing() -> None:
    assert rate_deviation([0.5, 0.5], 100) == pytest.approx(0.05)
    assert rate_deviation([1.0], 96) == pytest.approx(np.sqrt(0.98 * 0.02 / 96))
    assert rate_deviation([0.0], 96) == pytest.approx(rate_deviation([1.0], 96))


def test_holm_multiplies_the_smallest_by_their_number_and_keeps_the_order() -> None:
    # 0.01 x 4, 0.02 x 3, then 0.03 x 2 and 0.04 x 1, which may not fall below what stood before
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]).size == 0


def test_a_comparison_is_corrected_for_the_number_of_sides() -> None:
    baseline = np.array([0.95, 0.96, 0.94])
    scores = {"a": baseline - np.array([0.4, 0.5, 0.45]), "b": baseline + np.array([0.01, -0.01, 0.0])}
    found = compare(scores, dict.fromkeys(scores, baseline))
    assert found["a"].p == pytest.approx(2 * student_p(np.array([0.4, 0.5, 0.45])))
    assert found["a"].p_sign_flip == pytest.approx(2 * 0.25)
    assert found["a"].is_significant and not found["b"].is_significant
    assert found["a"].difference.value == pytest.approx(-0.45) and found["a"].improvement == 0.0
    assert found["b"].seeds_needed is None and found["b"].improvement == 0.5
    assert found["a"].seeds == 3 and statistics.SIGNIFICANT == 0.05
