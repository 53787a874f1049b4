"""The engine's arithmetic, against numbers worked out by hand and the identities that it promises."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from companion.rewards import ConstraintSpec, Recipe, RewardEngine, TermSpec, load_recipe
from companion.tasks import Task

ALL_KINDS = """\
task: toy
description: One of each kind.
terms:
  distance_to_goal: {kind: rate, weight: -2.0, rationale: hurry}
  reached: {kind: event, weight: 5, rationale: the point of it}
  touched: {kind: terminal, weight: -3, rationale: never}
  approach: {function: near_goal, kind: potential, weight: 4, margin_m: 1.0, rationale: a hint}
  action_squared: {kind: rate, weight: 0, rationale: watched only}
"""
NEVER = np.zeros(2, bool)


@pytest.fixture
def recipe(task: Task, write: Callable[[str], str]) -> Recipe:
    return load_recipe(task, write(ALL_KINDS))


def signals(distance: list[float], success: float = 0.0, contact: float = 0.0) -> dict[str, NDArray[np.float64]]:
    copies = len(distance)
    return {
        "distance": np.array(distance)[:, None],
        "previous_action": np.tile([1.0, 0.5], (copies, 1)),
        "success": np.full((copies, 1), success),
        "contact": np.full((copies, 1), contact),
    }


def random_signals(random: np.random.Generator, copies: int) -> dict[str, NDArray[np.float32]]:
    return {
        "distance": random.uniform(0, 3, (copies, 1)).astype(np.float32),
        "previous_action": random.uniform(-1, 1, (copies, 2)).astype(np.float32),
        "success": (random.random((copies, 1)) < 0.2).astype(np.float32),
        "contact": (random.random((copies, 1)) < 0.2).astype(np.float32),
    }


def test_one_step_of_every_kind(task: Task, recipe: Recipe) -> None:
    engine = RewardEngine(recipe, task, copies=2, discount=0.9)
    engine.start(signals([1.0, 0.0]), np.ones(2, bool))  # potentials 0.1 and 1
    step = engine.step(signals([0.0, 1.0], success=1.0, contact=1.0), np.array([False, True]))
    # copy 0 goes on: 0.9 * 1 - 0.1 = 0.8; copy 1 ends truly: 0 - 1 = -1; the terminal term counts in copy 1 alone
    assert step.raw == pytest.approx(np.array([[0, 1, 0, 0.8, 0.625], [1, 1, 1, -1, 0.625]]), abs=1e-6)
    assert step.weighted == pytest.approx(np.array([[0, 5, 0, 3.2, 0], [-0.2, 5, -3, -4, 0]]), abs=1e-6)
    assert step.total == pytest.approx([8.2, -2.2], abs=1e-6)


def test_a_time_out_uses_the_potential_of_the_real_last_state(task: Task, recipe: Recipe) -> None:
    engine = RewardEngine(recipe, task, copies=2, discount=0.9)
    engine.start(signals([1.0, 1.0]), np.ones(2, bool))
    step = engine.step(signals([0.0, 0.0]), NEVER)  # truncated or not, the episode did not truly end
    assert step.raw[:, 3] == pytest.approx([0.8, 0.8])


def test_starting_an_episode_touches_only_its_copy(task: Task, recipe: Recipe) -> None:
    engine = RewardEngine(recipe, task, copies=2, discount=1.0)
    engine.start(signals([1.0, 1.0]), np.ones(2, bool))
    engine.start(signals([0.0, 0.0]), np.array([True, False]))
    assert engine.step(signals([0.0, 0.0]), NEVER).raw[:, 3] == pytest.approx([0.0, 0.9])


def test_weights_times_terms_is_the_reward_to_the_last_bit(task: Task, recipe: Recipe) -> None:
    random = np.random.default_rng(1)
    engine = RewardEngine(recipe, task, copies=256, discount=0.99)
    engine.start(random_signals(random, 256), np.ones(256, bool))
    scale = np.array([-2.0 * 0.1, 5, -3, 4, 0])
    for _ in range(50):
        step = engine.step(random_signals(random, 256), random.random(256) < 0.1)
        assert np.array_equal(step.weighted, (step.raw * scale).astype(np.float32))
        assert np.array_equal(step.total, step.weighted.sum(axis=1, dtype=np.float64).astype(np.float32))


@pytest.mark.parametrize("ends_truly", [True, False])
def test_potentials_telescope(ends_truly: bool, task: Task, recipe: Recipe) -> None:
    """The discounted sum of F is discount^T Φ(s_T) - Φ(s_0), with Φ(s_T) = 0 at a true end."""
    random, discount, steps = np.random.default_rng(2), 0.97, 40
    engine = RewardEngine(recipe, task, copies=64, discount=discount)
    near_goal = [term.name for term in recipe.terms].index("approach")
    first = last = random_signals(random, 64)
    engine.start(first, np.ones(64, bool))
    total = np.zeros(64)
    for index in range(steps):
        last = random_signals(random, 64)
        done = np.full(64, ends_truly and index == steps - 1)
        total += discount**index * engine.step(last, done).raw[:, near_goal]

    def potential(of: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        return 0.1 ** (of["distance"][:, 0].astype(np.float64) ** 2)

    end = 0.0 if ends_truly else discount**steps * potential(last)
    assert total == pytest.approx(end - potential(first), abs=1e-6)


def test_a_weight_changes_with_the_next_step_and_a_setting_too(task: Task, recipe: Recipe) -> None:
    engine = RewardEngine(recipe, task, copies=1, discount=1.0)
    engine.start(signals([1.0]), np.ones(1, bool))
    engine.set_parameter("reward/reached/weight", 7.0)
    engine.set_parameter("reward/approach/margin_m", 2.0)
    step = engine.step(signals([2.0], success=1.0), np.zeros(1, bool))
    assert step.weighted[0, 1] == 7.0
    assert step.raw[0, 3] == pytest.approx(
        0.1 - 0.1
    )  # at its margin before under the old setting, and now under the new
    assert "reward/approach/within_m" in engine.parameter_names()
    with pytest.raises(
        ValueError, match=r"no reward parameter 'reward/reached/wieght'; choose from .*reward/reached/weight"
    ):
        engine.set_parameter("reward/reached/wieght", 1.0)
    with pytest.raises(ValueError, match="not a finite number"):
        engine.set_parameter("reward/reached/weight", float("nan"))
    with pytest.raises(ValueError, match="margin=-1"):
        engine.set_parameter("reward/approach/margin_m", -1.0)


def test_changing_a_parameter_leaves_the_recipe_alone(task: Task, recipe: Recipe) -> None:
    RewardEngine(recipe, task, copies=1, discount=1.0).set_parameter("reward/approach/margin_m", 2.0)
    assert recipe.terms[3].settings["margin_m"] == 1.0


def test_a_term_that_is_not_finite_is_named(task: Task, recipe: Recipe) -> None:
    engine = RewardEngine(recipe, task, copies=2, discount=1.0)
    engine.start(signals([1.0, 1.0]), np.ones(2, bool))
    bad = signals([1.0, np.nan])
    with pytest.raises(ValueError, match="'distance_to_goal' is nan in copy 1"):
        engine.step(bad, NEVER)
    with pytest.raises(ValueError, match="'approach' is nan in copy 1 at the start"):
        engine.start(bad, np.ones(2, bool))
    engine.start(bad, np.array([True, False]))  # copy 1 does not start


def test_an_episode_that_was_not_started_is_told(task: Task, recipe: Recipe) -> None:
    with pytest.raises(ValueError, match=r"'approach'.*not started"):
        RewardEngine(recipe, task, copies=2, discount=1.0).step(signals([1.0, 1.0]), NEVER)


def test_a_saved_state_goes_on_exactly(task: Task, recipe: Recipe) -> None:
    random = np.random.default_rng(3)
    engine, twin = (RewardEngine(recipe, task, copies=8, discount=0.9) for _ in range(2))
    engine.start(random_signals(random, 8), np.ones(8, bool))
    engine.step(random_signals(random, 8), np.zeros(8, bool))
    engine.set_parameter("reward/approach/margin_m", 2.0)
    engine.set_parameter("reward/reached/weight", 2.0)
    twin.set_state(engine.get_state())
    following = random_signals(random, 8)
    expected, found = (one.step(following, np.zeros(8, bool)) for one in (engine, twin))
    assert np.array_equal(expected.weighted, found.weighted)
    with pytest.raises(ValueError, match="of 8 copies, not 4"):
        RewardEngine(recipe, task, copies=4, discount=0.9).set_state(engine.get_state())


@pytest.mark.parametrize(("copies", "discount"), [(0, 0.9), (1, 0.0), (1, 1.1), (1, float("nan"))])
def test_senseless_sizes_are_refused(copies: int, discount: float, task: Task, recipe: Recipe) -> None:
    with pytest.raises(ValueError, match="copies"):
        RewardEngine(recipe, task, copies, discount)


def test_a_term_of_the_wrong_shape_is_named(task: Task, recipe: Recipe) -> None:
    engine = RewardEngine(recipe, task, copies=2, discount=1.0)
    with pytest.raises(ValueError, match="'approach' has shape"):
        engine.start(signals([1.0, 1.0, 1.0]), np.ones(2, bool))


def test_the_engine_wants_its_own_task(task: Task, recipe: Recipe) -> None:
    other = Recipe("other", "arm", "x", (TermSpec("a", "reached", "event", 1.0, {}, "x"),), {}, "", "")
    with pytest.raises(ValueError, match="is for task 'arm'"):
        RewardEngine(other, task, 1, 0.9)


@pytest.fixture
def limited(recipe: Recipe) -> Recipe:
    crowding = ConstraintSpec("crowding", "near_goal", 0.5, {"within_m": 0.0, "margin_m": 1.0}, "keep away")
    collisions = ConstraintSpec("collisions", "touched", 0.01, {}, "touch nothing")
    return replace(recipe, constraints=(crowding, collisions))


def test_what_constraints_cost_stands_apart_from_the_reward(task: Task, recipe: Recipe, limited: Recipe) -> None:
    """At 0 m a nearness of margin 1 m is 1, at 1 m 0.1; a touch counts on its step, at an end or not."""
    engines = [RewardEngine(one, task, 2, 0.9) for one in (recipe, limited)]
    for engine in engines:
        engine.start(signals([1.0, 0.0]), np.ones(2, bool))
    plain, other = (engine.step(signals([0.0, 1.0], contact=1.0), NEVER) for engine in engines)
    assert plain.cost.shape == (2, 0)
    assert other.cost == pytest.approx(np.array([[1.0, 1.0], [0.1, 1.0]]), abs=1e-6)
    assert np.array_equal(plain.weighted, other.weighted) and np.array_equal(plain.total, other.total)


def test_a_constraint_has_settings_to_change_and_no_weight(task: Task, recipe: Recipe, limited: Recipe) -> None:
    engine, other = (RewardEngine(limited, task, 2, 0.9) for _ in range(2))
    names = engine.parameter_names()
    assert "reward/crowding/margin_m" in names and "reward/crowding/weight" not in names
    engine.set_parameter("reward/crowding/margin_m", 2.0)
    other.set_state(engine.get_state())
    for one in (engine, other):
        one.start(signals([2.0, 0.0]), np.ones(2, bool))
        assert one.step(signals([2.0, 0.0]), NEVER).cost[:, 0] == pytest.approx([0.1, 1.0], abs=1e-6)
    with pytest.raises(ValueError, match="saved constraints crowding, collisions are not none"):
        RewardEngine(recipe, task, 2, 0.9).set_state(engine.get_state())


def test_a_state_of_before_there_were_constraints_is_still_good(task: Task, recipe: Recipe) -> None:
    engine = RewardEngine(recipe, task, copies=2, discount=0.9)
    old = {name: value for name, value in engine.get_state().items() if name != "constraints"}
    engine.set_state(old)
