"""Old, frozen, reordered and misdated measurements, with clocks that differ and step."""

import numpy as np
import pytest

from companion.deploy.freshness import Watch, Watches
from companion.deploy.link import Measurement, Quantity
from companion.deploy.profiles import Input

PERIOD_S, FRESH_S = 0.05, 0.3
AHEAD_S = 1234.5
"""Of the robot's clock."""


def watch() -> Watch:
    return Watch(Input("velocity", PERIOD_S, FRESH_S, -10.0, 10.0), Quantity("velocity", 2, "m/s"))


def take(one: Watch, measured_s: float, arrived_s: float, ahead_s: float = AHEAD_S) -> None:
    one.take(Measurement(np.array([measured_s % 1, 0.0]), measured_s + ahead_s, arrived_s), arrived_s)


def fed(one: Watch, start_s: float, end_s: float, delay_s: float = 0.01, ahead_s: float = AHEAD_S) -> None:
    for step in range(round((end_s - start_s) / PERIOD_S)):
        now_s = start_s + step * PERIOD_S
        take(one, now_s, now_s + delay_s, ahead_s)


def test_nothing_has_an_infinite_age() -> None:
    assert watch().age_s(5.0) == np.inf and watch().is_old(5.0)


def test_its_age_is_counted_from_when_it_was_measured_whatever_the_robots_clock() -> None:
    one = watch()
    fed(one, 0.0, 1.0)
    take(one, 1.0, 1.21)  # was 0.2 s longer on its way than the others
    assert one.age_s(1.21) == pytest.approx(0.2, abs=1e-3)
    assert not one.is_old(1.21) and one.is_old(1.35)


def test_a_delay_that_lasts_stays_visible() -> None:
    one = watch()
    fed(one, 0.0, 5.0, delay_s=0.01)
    fed(one, 5.0, 65.0, delay_s=0.26)
    # Of the 0.25 s that they are longer on their way now, 0.2 ms per second pass for a drift of the clocks.
    assert one.age_s(65.21) == pytest.approx(0.25 - 60 * 2e-4, abs=1e-3)


def test_a_frozen_stamp_grows_old() -> None:
    one = watch()
    fed(one, 0.0, 1.0)
    for step in range(20):
        take(one, 0.95, 1.0 + step * PERIOD_S)
    assert one.is_old(1.95) and one.refused == {"stamp stood still": 20}


def test_a_frozen_stamp_from_the_beginning_grows_old_too() -> None:
    one = watch()
    for step in range(20):
        take(one, 0.0, step * PERIOD_S)
    assert one.is_old(0.95)


def test_what_was_overtaken_on_its_way_is_dropped() -> None:
    one = watch()
    fed(one, 0.0, 1.0)
    take(one, 0.8, 1.0)
    assert one.value is not None and one.value[0] == pytest.approx(0.95)
    assert one.refused == {"stamp went back": 1}


@pytest.mark.parametrize("step_s", [1.0, -1.0, 3600.0, -3600.0])
def test_after_a_step_of_the_robots_clock_it_is_fresh_again_within_a_second(step_s: float) -> None:
    one = watch()
    fed(one, 0.0, 2.0)
    fed(one, 2.0, 3.0, ahead_s=AHEAD_S + step_s)
    assert not one.is_old(2.97)
    # And what grows old after the step shows as before.
    assert one.is_old(3.4)


def test_one_stamp_from_the_far_future_harms_for_a_moment_only() -> None:
    one = watch()
    fed(one, 0.0, 1.0)
    take(one, 1e6, 1.0)
    fed(one, 1.05, 2.0)
    assert not one.is_old(1.97)


def test_a_backlog_that_comes_all_at_once_is_as_old_as_its_newest() -> None:
    one = watch()
    fed(one, 0.0, 1.0)
    for step in range(10):
        take(one, 1.0 + step * PERIOD_S, 2.0)
    assert one.age_s(2.0) == pytest.approx(2.0 - 1.45 - 0.01, abs=1e-3)


def test_a_small_step_back_that_only_the_quickest_sensor_shows_is_known_of_all() -> None:
    """By 0.3 s: six stamps of odometry are from before, but at most two of the scanner."""
    quantities = {name: Quantity(name, 2, "1") for name in ("velocity", "scan")}
    inputs = Input("velocity", PERIOD_S, FRESH_S, -10.0, 10.0), Input("scan", 0.2, 0.5, -10.0, 10.0)
    watches, latest = Watches(inputs, (), quantities), {}
    view = watches.look(latest, 0.0)
    for step in range(200):
        now_s, ahead_s = step * PERIOD_S, AHEAD_S if step < 100 else AHEAD_S - 0.3
        for name, every in (("velocity", 1), ("scan", 4)):
            if step % every == 0:
                latest[name] = Measurement(np.zeros(2), now_s + ahead_s, now_s)
        view = watches.look(latest, now_s)
    assert view.problems == () and view.age_s["scan"] == pytest.approx(3 * PERIOD_S, abs=1e-3)


@pytest.mark.parametrize("stamp", [np.nan, np.inf, -np.inf, 1e300, None, "now"])
def test_a_stamp_that_is_none_is_refused(stamp: object) -> None:
    one = watch()
    one.take(Measurement(np.zeros(2), stamp, 1.0), 1.0)  # pyright: ignore[reportArgumentType] (wrong on purpose)
    assert one.value is None and one.refused == {"no stamp": 1}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros(3), "wrong size"), (np.zeros((1, 2)), "wrong size"), (0.0, "wrong size"), ("ab", "wrong size"),
        ([None, 1.0], "not finite"), ([np.nan, 0.0], "not finite"), ([0.0, np.inf], "not finite"),
        ([0.0, 11.0], "impossible"),
    ],
)  # fmt: skip
def test_values_that_can_not_be_are_refused(values: object, reason: str) -> None:
    one = watch()
    one.take(Measurement(values, 0.0, 1.0), 1.0)  # pyright: ignore[reportArgumentType] (wrong on purpose)
    assert one.value is None and one.refused == {reason: 1}


def test_what_was_taken_does_not_change_with_the_links_own_array() -> None:
    one, values = watch(), np.zeros(2)
    one.take(Measurement(values, 0.0, 1.0), 1.0)
    values[:] = 5.0
    assert one.value is not None and not one.value.any()
