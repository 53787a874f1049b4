"""A recipe's limits and stages around the embedded world: what changes, what is learned from, and going on exactly."""

from typing import Any

import numpy as np
import pytest

from companion import tasks
from companion.mlagents.parameters import Uniform
from companion.mlagents.samplers import Draw
from companion.rewards import Recipe, recipe_from_text
from companion.rewards.curriculum import Curriculum, Stages, Value
from companion.rewards.lagrangian import Gains, Lagrangian
from companion.worlds.constrained import ConstrainedWorld
from companion.worlds.embedded import EmbeddedWorld
from companion.worlds.staged import StagedWorld, tell_embedded, tell_players
from trainers.common import checkpoint

TASK = tasks.load("mobile_goto")
COPIES = 8
RECIPE = """
task: mobile_goto
description: For a test.
terms:
  reached: {kind: event, weight: 10, rationale: it is what it is for}
  time_passing: {kind: rate, weight: -0.5, rationale: sooner is better}
  near: {function: too_close, kind: constraint, limit: 0.01, rationale: keep a margin}
  collisions: {function: touched, kind: constraint, limit: 0.1, rationale: touch nothing}
curriculum:
  people_count: {by: success, up: 0.1, down: 0.05, episodes: 8, stages: [0, [1, 2]]}
  payload_kg: {by: steps, at: [320], stages: [[0.25, 0.5], [1, 2]]}
  reward/time_passing/weight: {by: steps, at: [160], stages: [-0.1, -0.5]}
"""


@pytest.fixture
def recipe() -> Recipe:
    return recipe_from_text(TASK, "limited", RECIPE)


def embedded(recipe: Recipe) -> EmbeddedWorld:
    return EmbeddedWorld(TASK, recipe, copies=COPIES, discount=0.99, seed=0, threads=1)


def learning(recipe: Recipe) -> StagedWorld:
    inner = embedded(recipe)
    limited = ConstrainedWorld(inner, Lagrangian(recipe.constraints, TASK.control_period_s, Gains(period=8)))
    return StagedWorld(limited, Curriculum(recipe.curriculum, COPIES), tell_embedded(inner, TASK), seed=3)


def actions(first: int, count: int) -> list[np.ndarray[Any, Any]]:
    """Driving on, with some turning: episodes end by contacts."""
    low = np.array([0.6, -0.3])
    return [np.random.default_rng(first + at).uniform(low, 1, (COPIES, 2)).astype(np.float32) for at in range(count)]


def test_settings_follow_their_stages_and_rewards_stay_the_recipes_own(recipe: Recipe) -> None:
    world = learning(recipe)
    world.reset(0)
    perturbations = world.simulator.perturbations
    assert set(perturbations()["people_count"]) == {0.0}
    first = perturbations()["payload_kg"]
    assert np.all((first >= 0.25) & (first < 0.5)) and len(set(first)) == COPIES
    ended = np.zeros(COPIES, bool)
    for action in actions(0, 40):
        assert set(perturbations()["payload_kg"][~ended]) == set(first[~ended])
        step = world.step(action)
        ended |= step.terminated | step.truncated
        cost, reward = step.episodes.costs, step.episodes.total_reward
        assert np.allclose(reward, sum(step.episodes.terms.values())) and set(cost) == {"near", "collisions"}
        assert np.array_equal(cost["collisions"], step.episodes.metrics["contact"])
    assert ended.any() and world.curriculum.number["payload_kg"] == 1
    for action in actions(40, 60):
        world.step(action)
    later = perturbations()["payload_kg"]
    assert np.all((later < 0.5) | (later >= 1)) and (later >= 1).any()
    world.close()


def test_the_learner_gets_the_reward_less_the_price_of_its_costs(recipe: Recipe) -> None:
    """Beside a plain world that takes the same actions."""
    plain = embedded(recipe)
    lagrangian = Lagrangian(recipe.constraints, TASK.control_period_s, Gains(period=8))
    limited = ConstrainedWorld(embedded(recipe), lagrangian)
    for world in (plain, limited):
        world.reset(0)
    for number, action in enumerate(actions(0, 24)):
        near, collisions = lagrangian.standings
        own, learned = plain.step(action), limited.step(action)
        assert np.array_equal(own.observation, learned.observation)
        assert own.costs is not None
        if number < 8:
            assert np.array_equal(own.reward, learned.reward)
            continue
        price = np.array([near.multiplier * TASK.control_period_s, collisions.multiplier])
        priced = own.reward - own.costs @ price
        scale = priced[np.abs(priced) > 1e-6] / learned.reward[np.abs(priced) > 1e-6]
        assert scale == pytest.approx(np.full(len(scale), scale[0]), rel=1e-4) and scale[0] > 1
    assert lagrangian.standings[0].multiplier > 0
    for world in (plain, limited):
        world.close()


def test_a_saved_world_goes_on_exactly(recipe: Recipe) -> None:
    world = learning(recipe)
    world.reset(0)
    for action in actions(0, 60):
        world.step(action)
    state = checkpoint.unpacked(checkpoint.packed(world.get_state()))
    other = learning(recipe)
    other.set_state(state)
    for action in actions(60, 80):
        one, two = world.step(action), other.step(action)
        assert np.array_equal(one.observation, two.observation) and np.array_equal(one.reward, two.reward)
    assert world.curriculum.number == other.curriculum.number
    for name, values in world.simulator.perturbations().items():
        assert np.array_equal(values, other.simulator.perturbations()[name]), name
    for each in (world, other):
        each.close()


def test_whole_numbers_are_drawn_whole_with_both_ends() -> None:
    told: dict[str, Draw] = {}

    class Listener:
        def set_parameter(self, name: str, draw: Draw) -> None:
            told[name] = draw

    random = np.random.default_rng(0)
    tell = tell_embedded(Listener(), TASK)
    tell("people_count", (0.0, 2.0), random)
    tell("payload_kg", 0.5, random)
    assert set(told["people_count"](200).tolist()) == {0, 1, 2}
    assert told["payload_kg"](3).tolist() == [0.5] * 3


def test_players_get_environment_parameters(tmp_path: Any) -> None:
    told: list[dict[str, Any]] = []

    class Players:
        num_envs = 1

        def set_parameters(self, parameters: dict[str, Any]) -> None:
            told.append(parameters)

        def get_state(self) -> None:
            return

    values: tuple[Value, ...] = ((0.0, 0.2), 1.0)
    curriculum = Curriculum([Stages("difficulty", "steps", values, at=(5,))], copies=1)
    world = StagedWorld(Players(), curriculum, tell_players(Players()), file=tmp_path / "curriculum.json")
    (first,) = told
    sampler = first["difficulty"]
    assert isinstance(sampler, Uniform) and (sampler.minimum, sampler.maximum) == (0.0, 0.2)
    assert world.get_state() is None
