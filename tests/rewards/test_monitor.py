"""The monitor raises the right alarm, names the right term, and keeps silent while a training goes well."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from companion.rewards import recipe_from_text
from companion.rewards.monitor import Alarm, Monitor, Seen
from tests.rewards.test_record import ARM

RECIPE = recipe_from_text(
    ARM,
    "watched",
    """
task: arm_reach
description: three terms
terms:
  approaching_twice: {function: closeness, kind: potential, weight: 2.0, rationale: the way}
  holding: {kind: event, weight: 1.0, rationale: being there}
  reached: {kind: event, weight: 10.0, rationale: success}
""",
)
Story = Callable[[float], Mapping[str, float]]
"""From the share of the training that is over to `success` and what the terms gave."""


def watch(story: Story, good: Mapping[str, float] | None = None, lines: int = 120, noise: float = 0.03) -> list[Alarm]:
    """The alarms of a training that logs 25 episodes a line."""
    random = np.random.default_rng(0)
    asked: list[int] = []

    def good_counts() -> Mapping[str, float]:
        asked.append(1)
        return good or {}

    monitor, found = Monitor(RECIPE, good_counts), []
    for line in range(lines):
        told = dict(story(line / lines))
        success = float(np.clip(told.pop("success") + noise * random.standard_normal(), 0, 1))
        terms = {name: value + noise * random.standard_normal() for name, value in told.items()}
        counts = {"holding": terms["holding"], "reached": terms["reached"] / 10}
        found += monitor.add(Seen(4096.0 * line, 25, success, sum(terms.values()), terms, counts))
    assert len(asked) <= 1
    return found


def test_a_training_that_goes_well_is_left_alone() -> None:
    assert not watch(
        lambda done: {"success": done, "approaching_twice": 2 * done, "holding": 0.5 * done, "reached": 10 * done}
    )


def test_a_policy_that_gets_worse_at_everything_is_no_alarm() -> None:
    assert not watch(
        lambda done: {
            "success": 1 - done,
            "approaching_twice": 2 - done,
            "holding": 0.5,
            "reached": 10 * (1 - done),
        }
    )


def test_success_that_falls_while_the_return_rises_names_the_term_that_paid_for_it() -> None:
    def hovers(done: float) -> Mapping[str, float]:
        success = min(1.0, 2 * done) if done < 0.5 else max(0.0, 2 - 2 * done)
        near = 0.5 if done < 0.5 else 0.5 + 40 * (done - 0.5)
        return {"success": success, "approaching_twice": near, "holding": 0.2, "reached": 10 * success}

    (alarm, *_) = [alarm for alarm in watch(hovers) if alarm.sign == "success falls"]
    assert alarm.term == "approaching_twice"
    assert 4096 * 60 < alarm.transitions < 4096 * 90
    assert "success fell from" in alarm.said and "'approaching_twice'" in alarm.said


def test_a_share_that_jumps_without_success_is_told_once() -> None:
    def jumps(done: float) -> Mapping[str, float]:
        return {
            "success": 0.1,
            "approaching_twice": 1.0,
            "holding": 0.1 if done < 0.5 else 0.9,
            "reached": 1.0 if done < 0.5 else 0.1,
        }

    (alarm,) = watch(lambda done: {**jumps(done), "approaching_twice": 0.3}, good={"holding": 5.0})
    assert (alarm.sign, alarm.term) == ("share jumps", "holding")


@pytest.mark.parametrize(("in_good_episodes", "alarms"), [(10.0, 0), (3.0, 1), (0.0, 1)])
def test_an_event_is_compared_with_episodes_that_do_the_task_right(in_good_episodes: float, alarms: int) -> None:
    found = watch(
        lambda done: {"success": 0.9, "approaching_twice": 1.0, "holding": 12.0, "reached": 9.0},
        good={"holding": in_good_episodes},
        lines=20,
    )
    assert [alarm.term for alarm in found] == ["holding"] * alarms


def test_few_episodes_say_nothing() -> None:
    monitor = Monitor(RECIPE, dict)
    terms = {"approaching_twice": 0.0, "holding": 9.0, "reached": 0.0}
    assert not any(monitor.add(Seen(at, 2, 0.0, 0.0, terms, {"holding": 9.0, "reached": 0.0})) for at in range(19))
    assert monitor.add(Seen(19, 2, 0.0, 0.0, terms, {"holding": 9.0, "reached": 0.0}))
