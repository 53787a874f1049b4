"""What terms did in recorded episodes, against numbers worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from companion.rewards import recipe_from_text
from companion.rewards.rescoring import judge
from companion.rewards.review import late_episodes, review, telling_episodes, windows
from tests.rewards.test_record import ARM, record

RECIPE = recipe_from_text(
    ARM,
    "three",
    """
task: arm_reach
description: three terms
terms:
  time_passing: {kind: rate, weight: -2.0, rationale: to see}
  reached: {kind: event, weight: 0.4, rationale: to see}
  distance_to_goal: {kind: rate, weight: 0.0, rationale: watched only}
""",
)


def recorded():
    # Two decisions and success, one decision and none; a decision of arm_reach takes 0.05 s.
    rows = record([[1.0, 0.5, 0.25], [0.5, 0.75]], [True, False])
    rows = replace(rows, transitions=np.array([0, 10, 20, 0, 90]))
    return judge(RECIPE, ARM, rows, 0.99), rows


def test_the_figures_of_each_term() -> None:
    judgement, rows = recorded()
    time, reached, distance = review(judgement, rows, np.array([0, 1]))
    # Paid and charged: 3 x 0.1 for time, 0.4 for the success.
    assert (time.share, reached.share, distance.share) == (pytest.approx(0.3 / 0.7), pytest.approx(0.4 / 0.7), 0)
    assert time.per_episode == pytest.approx(-0.15) and reached.per_episode == pytest.approx(0.2)
    assert distance.raw_mean == pytest.approx(0.5) and time.raw_mean == 1
    assert (time.firing, reached.firing) == (1, pytest.approx(1 / 3))
    # The successful episode lasts longer, so time goes against success here; two points make it exact.
    assert time.correlation == pytest.approx(-1) and reached.correlation == pytest.approx(1)
    assert math.isnan(distance.correlation)


def test_some_episodes_only() -> None:
    judgement, rows = recorded()
    time, reached, _ = review(judgement, rows, np.array([1]))
    assert time.per_episode == pytest.approx(-0.1) and reached.per_episode == 0 and math.isnan(time.correlation)


def test_late_episodes_ended_in_the_last_third_and_the_telling_ones_are_chosen_by_return() -> None:
    judgement, rows = recorded()
    assert late_episodes(rows).tolist() == [1]
    assert telling_episodes(judgement, np.array([0, 1])) == {"worst": 1, "median": 0, "best": 0}
    assert telling_episodes(judgement, np.zeros(0, np.intp)) == {}


def test_windows_follow_the_training_whatever_the_order_of_the_rows() -> None:
    rows = record([[0.5, 0.5]] * 40, [True] * 40)
    ended = np.arange(40)[::-1]
    rows = replace(rows, transitions=np.repeat(ended, 2))
    parts = windows(rows, most=20, fewest_episodes=8)
    assert [len(part.episodes) for part in parts] == [8] * 5
    assert [part.transitions for part in parts] == [3.5, 11.5, 19.5, 27.5, 35.5]
    assert parts[0].episodes.tolist() == [39, 38, 37, 36, 35, 34, 33, 32]
