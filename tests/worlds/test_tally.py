"""What an episode's metrics are, by hand."""

from typing import Literal

import numpy as np
import pytest

from companion.rewards import ConstraintSpec
from companion.tasks import Metric
from companion.worlds._tally import Tally


class NoTerms:
    """A reward of no terms."""

    raw = weighted = cost = np.zeros((1, 0), np.float32)


@pytest.mark.parametrize(
    ("how", "expected"),
    [("last", 5.0), ("mean", 1.0), ("mean_size", 3.0), ("sum", 3.0), ("max", 5.0), ("min", -3.0)],
)
def test_a_metric_of_three_steps(
    how: Literal["last", "mean", "mean_size", "sum", "max", "min"], expected: float
) -> None:
    tally = Tally([Metric("x", "1", "", how)], [], 1)
    everyone = np.ones(1, np.bool_)
    tally.clear(everyone)
    for value in (1.0, -3.0, 5.0):
        tally.add({"x": np.array([[value]])}, NoTerms(), np.zeros(1, np.float32))
    assert tally.finished(everyone, np.array([3]), everyone).metrics["x"][0] == pytest.approx(expected)


@pytest.mark.parametrize(("function", "expected"), [("too_close", 0.5), ("touched", 1.5)])
def test_what_a_constraint_costs_an_episode_of_three_steps(function: str, expected: float) -> None:
    """Its mean over time, or its sum where it happens on single steps."""
    tally = Tally([], [], 1, [ConstraintSpec("limit", function, 1.0, {}, "for a test")])
    everyone = np.ones(1, np.bool_)
    tally.clear(everyone)
    for value in (1.0, 0.0, 0.5):
        step = NoTerms()
        step.cost = np.array([[value]], np.float32)
        tally.add({}, step, np.zeros(1, np.float32))
    assert tally.finished(everyone, np.array([3]), everyone).costs["limit"].tolist() == [expected]


def test_the_size_of_several_entries_is_their_mean_without_signs() -> None:
    tally = Tally([Metric("x", "1", "", "mean_size")], [], 1)
    everyone = np.ones(1, np.bool_)
    tally.clear(everyone)
    tally.add({"x": np.array([[1.0, -2.0]])}, NoTerms(), np.zeros(1, np.float32))
    tally.add({"x": np.array([[-4.0, 5.0]])}, NoTerms(), np.zeros(1, np.float32))
    assert tally.finished(everyone, np.array([2]), everyone).metrics["x"][0] == pytest.approx(3.0)
