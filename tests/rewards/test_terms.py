"""The vocabulary: what it measures, and that every term in it is well formed."""

import math

import numpy as np
import pytest

from companion.rewards.terms import functions
from companion.rewards.terms._tolerance import Shape, tolerance
from companion.rewards.terms.contact import on_collision_course, too_close
from companion.rewards.terms.goal import closeness_by_way, near_goal
from companion.rewards.terms.handover import near_forearm
from companion.rewards.terms.motion import action_change_squared, joint_speed_squared
from companion.rewards.terms.rally import near_rail


@pytest.mark.parametrize("name", functions())
def test_every_term_says_what_it_is_and_measures_every_copy(name: str) -> None:
    term = functions()[name]
    assert term.description.endswith(".") and len(term.description) > 20
    random = np.random.default_rng(0)
    arrays = [random.random((5, 6), np.float32) for _ in term.signals]
    values = term.function(*arrays, **term.settings)
    assert values.shape == (5,) and np.isfinite(values).all()
    third = term.function(*[array[2:3] for array in arrays], **term.settings)
    assert third[0] == pytest.approx(values[2])  # one copy never looks at another


@pytest.mark.parametrize(
    ("shape", "halfway"),
    [("gaussian", math.exp(math.log(0.1) / 4)), ("long_tail", 1 / (1 + 9 / 4)), ("linear", 0.55)],
)
def test_tolerance_falls_from_its_bounds(shape: Shape, halfway: float) -> None:
    value = np.array([-2.0, 0.0, 1.0, 2.0, 3.0])  # bounds 0 to 1, margin 2: distances in margins 1, 0, 0, 0.5, 1
    found = tolerance(value, lower=0.0, upper=1.0, margin=2.0, shape=shape)
    assert found == pytest.approx([0.1, 1.0, 1.0, halfway, 0.1])


def test_tolerance_without_a_margin_is_a_step() -> None:
    assert list(tolerance(np.array([0.0, 1.0, 1.001]), upper=1.0)) == [1.0, 1.0, 0.0]
    assert tolerance(np.array([1e6]), lower=3.0, upper=math.inf, margin=1.0) == 1.0


@pytest.mark.parametrize(
    "wrong", [{"lower": 1.0}, {"margin": -1.0}, {"value_at_margin": 0.0}, {"value_at_margin": 1.0}]
)
def test_tolerance_refuses_senseless_bounds(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="tolerance"):
        tolerance(np.zeros(1), shape="gaussian", **wrong)


def test_terms_worked_out_by_hand() -> None:
    assert action_change_squared(np.array([[2.0, 0.0], [1.0, 1.0]])) == pytest.approx([2.0, 1.0])
    assert joint_speed_squared(np.array([[1.0, 2.0, 3.0]])) == pytest.approx([14 / 3])
    assert too_close(np.array([[0.6], [0.15], [-0.1]]), wanted_m=0.3) == pytest.approx([0.0, 0.5, 1.0])
    assert on_collision_course(np.array([[5.0], [1.5], [0.0]]), within_s=2.0) == pytest.approx([0.0, 0.25, 1.0])
    assert near_forearm(np.array([[0.08], [0.015], [0.0]]), wanted_m=0.06) == pytest.approx([0.0, 0.75, 1.0])
    assert near_goal(np.array([[0.1], [0.6]]), within_m=0.1, margin_m=0.5) == pytest.approx([1.0, 0.1])


def test_near_rail_rises_over_the_last_six_centimetres_on_either_side() -> None:
    pose = np.array([[0.5, aside, 0.0] for aside in (0.0, 0.3, -0.33, 0.36, -0.4)])
    assert near_rail(pose) == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])


def test_closeness_by_way_counts_the_way_round() -> None:
    assert closeness_by_way(np.array([[0.0], [1.0], [6.0]])) == pytest.approx([1.0, 0.8, 0.0])
