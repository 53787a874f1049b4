"""Only what changes the reward is a difference between two recipes."""

from collections.abc import Callable

import numpy as np
import pytest

from companion.rewards import load_recipe
from companion.rewards.difference import compare, differences, pay_the_same
from companion.rewards.record import Record
from companion.tasks import Task

FIRST = """\
task: toy
description: One.
terms:
  reached: {kind: event, weight: 10, rationale: the point}
  hint: {function: closeness, kind: rate, weight: 2, reach_m: 2, rationale: nearer}
  effort: {function: action_squared, kind: rate, weight: -1, rationale: calm}
"""
REORDERED = """\
task: toy
description: Another description.
terms:
  effort: {function: action_squared, kind: rate, weight: -1, rationale: gentle}
  hint: {function: closeness, kind: rate, weight: 2, reach_m: 2, rationale: nearer}
  reached: {kind: event, weight: 10, rationale: success}
training: {ppo: {steps: 5}}
"""
OTHER = """\
task: toy
description: Other.
terms:
  reached: {kind: terminal, weight: 5, rationale: the point}
  hint: {function: closeness, kind: rate, weight: 2, reach_m: 4, rationale: nearer}
  price: {function: time_passing, kind: rate, weight: -1, rationale: hurry}
"""


def test_words_and_order_are_no_difference(task: Task, write: Callable[[str], str]) -> None:
    first, second = load_recipe(task, write(FIRST)), load_recipe(task, write(REORDERED))
    assert pay_the_same(first, second) and differences(first, second) == []


def test_what_differs_is_told_by_term(task: Task, write: Callable[[str], str]) -> None:
    first, second = load_recipe(task, write(FIRST)), load_recipe(task, write(OTHER))
    found = {one.term: one for one in differences(first, second)}
    assert not pay_the_same(first, second)
    assert list(found) == ["reached", "hint", "effort", "price"]
    assert found["reached"].changes == {"kind": ("event", "terminal"), "weight": (10.0, 5.0)}
    assert found["reached"].pays == ("+10 per event", "+5 at a true end")
    assert found["hint"].changes == {"reach_m": (2.0, 4.0)}
    assert (found["effort"].found_in, found["price"].found_in) == ("first", "second")
    assert found["effort"].changes["weight"] == (-1.0, None) and found["price"].pays == (None, "-1 per second")


def test_on_a_record(task: Task, write: Callable[[str], str]) -> None:
    """Two episodes of two decisions; the first ends at the goal, the second stays away."""
    first, second = load_recipe(task, write(FIRST)), load_recipe(task, write(OTHER))
    step, last = np.array([0, 1, 2] * 2, np.int32), np.array([0, 0, 1, 0, 0, 0], bool)
    record = Record(
        signals={
            "distance": np.array([[1], [1], [0], [2], [2], [2]], np.float32),
            "previous_action": np.ones((6, 2), np.float32),
            "success": last[:, None].astype(np.float32),
            "contact": np.zeros((6, 1), np.float32),
        },
        episode=np.repeat([0, 1], 3),
        step=step,
        terminated=last,
        success=last,
        reward=np.zeros(6, np.float32),
        transitions=step.astype(np.int64),
    )
    found = compare(first, second, task, record, 0.99)
    # first: 10 for success; closeness 0.5 and 1 in one episode, 0 in the other, x 2 x 0.1 s; effort 4 x 0.1
    assert found.first_shares == pytest.approx({"reached": 10 / 10.7, "hint": 0.3 / 10.7, "effort": 0.4 / 10.7})
    # second: 5; closeness 0.75, 1, 0.5, 0.5 x 0.2; price 4 x 0.1
    assert found.second_shares == pytest.approx({"reached": 5 / 5.95, "hint": 0.55 / 5.95, "price": 0.4 / 5.95})
    assert found.kendall_tau == 1.0 and found.episodes == 2
