"""How recipes rank recorded episodes, against numbers worked out by hand."""

import numpy as np
import pytest

from companion import tasks
from companion.rewards import recipe_from_text
from companion.rewards.rescoring import disagreements, extremes, judge, rank_agreement, success_outranks
from tests.rewards.test_record import ARM, record

TEXT = """
task: arm_reach
description: one term
terms:
  {term}: {{kind: rate, weight: {weight}, rationale: to see}}
"""


def view(term: str, weight: float):
    rows = record([[0.9, 0.2], [0.9, 0.4], [0.9, 0.3, 0.3]], [True, False, True])
    return judge(recipe_from_text(ARM, term, TEXT.format(term=term, weight=weight)), ARM, rows, 0.99), rows


def test_returns_ranks_and_order() -> None:
    judgement, rows = view("distance_to_goal", -20.0)  # a decision of 0.05 s: the distance itself
    np.testing.assert_allclose(judgement.returns, [-0.2, -0.4, -0.3 - 0.99 * 0.3], atol=1e-6)
    np.testing.assert_allclose(judgement.ranks, [1.0, 0.5, 0.0])
    assert extremes(judgement, 1) == ([0], [2])
    # Of the two successes one returns more than the failure: of two pairs one is won.
    assert success_outranks(judgement, rows) == 0.5


def test_two_recipes_are_compared_by_ranks_and_the_term_that_moved_an_episode_is_named() -> None:
    first, _ = view("distance_to_goal", -20.0)
    second, _ = view("time_passing", 1.0)
    # Orders 2 > 1 > 0 against 2 = 1 < 0's opposite: pairs (0,1) tied in the second, (0,2) and (1,2) reversed.
    assert rank_agreement(first, second) == pytest.approx(-2 / np.sqrt(3 * 2))
    found = disagreements(first, second, 5)
    assert found[0].place == 2 and (found[0].first_rank, found[0].second_rank) == (0.0, 1.0)
    assert found[0].term == "time_passing"
    assert not disagreements(first, first, 5)


def test_shares_are_of_all_that_is_paid_and_charged() -> None:
    text = """
task: arm_reach
description: two terms
terms:
  time_passing: {kind: rate, weight: -3.0, rationale: to see}
  distance_to_goal: {kind: rate, weight: 10.0, rationale: to see}
"""
    rows = record([[0.9, 0.3], [0.9, 0.3]], [True, True])
    judgement = judge(recipe_from_text(tasks.load("arm_reach"), "two", text), ARM, rows, 0.99)
    np.testing.assert_allclose(judgement.shares, [0.5, 0.5], atol=1e-6)
    assert np.isnan(success_outranks(judgement, rows))


def test_a_potential_ranks_a_way_by_its_end_however_long_it_took() -> None:
    """Undiscounted, the one that stayed two decisions longer where it pays would come last."""
    text = TEXT.replace("kind: rate", "kind: potential").format(term="closeness", weight=10.0)
    rows = record([[0.5, 0.1], [0.5, 0.1, 0.1, 0.1], [0.5, 0.4]], [False, False, False])
    judgement = judge(recipe_from_text(ARM, "way", text), ARM, rows, 0.9)
    closeness = {distance: 1 - distance / 5 for distance in (0.1, 0.4, 0.5)}
    ends = [0.9 * closeness[0.1], 0.9**3 * closeness[0.1], 0.9 * closeness[0.4]]
    np.testing.assert_allclose(judgement.returns, [10 * end for end in ends], atol=1e-5)


def test_where_an_episode_starts_is_not_its_doing() -> None:
    text = TEXT.replace("kind: rate", "kind: potential").format(term="closeness", weight=10.0)
    rows = record([[4.0, 0.5, 0.1], [1.0, 0.5, 0.1]], [False, False])
    judgement = judge(recipe_from_text(ARM, "way", text), ARM, rows, 0.9)
    np.testing.assert_allclose(judgement.returns, [10 * 0.9**2 * 0.98] * 2, atol=1e-5)
