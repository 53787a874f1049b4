"""The embedded world tells the truth about every step: rewards add up, ends and observations are the right ones."""

import numpy as np
import pytest

from companion import tasks
from companion.rewards.recipe import load_recipe, recipes_of
from companion.worlds._step import Step
from companion.worlds.embedded import EmbeddedWorld

ALL_RECIPES = pytest.mark.parametrize(
    ("task_name", "recipe_name"), [(task, recipe) for task in tasks.names() for recipe in recipes_of(task)]
)
ALL_TASKS = pytest.mark.parametrize("task_name", tasks.names())


def make(task_name: str, recipe_name: str = "full", copies: int = 8, **options: object) -> EmbeddedWorld:
    task = tasks.load(task_name)
    recipe = load_recipe(task, recipe_name)
    return EmbeddedWorld(task, recipe, copies=copies, discount=0.99, **options)  # pyright: ignore[reportArgumentType]


def wander(world: EmbeddedWorld, steps: int, seed: int = 0) -> list[Step]:
    random = np.random.default_rng(seed)
    action = np.zeros((world.num_envs, world.action_size), np.float32)
    steps_taken = []
    for step in range(steps):
        if step % 15 == 0:
            action = random.uniform(-1, 1, action.shape).astype(np.float32)
        steps_taken.append(world.step(action))
    return steps_taken


@ALL_RECIPES
def test_the_terms_of_an_episode_add_up_to_its_reward(task_name: str, recipe_name: str) -> None:
    world = make(task_name, recipe_name)
    world.reset(1)
    running, compared = np.zeros(8), 0
    for step in wander(world, 450):
        running += step.reward
        for row, copy in enumerate(step.episodes.copy):
            assert step.episodes.total_reward[row] == pytest.approx(running[copy], abs=1e-3)
            assert sum(values[row] for values in step.episodes.terms.values()) == pytest.approx(running[copy], abs=1e-3)
            compared += 1
        running[step.terminated | step.truncated] = 0
    assert compared >= 8


@ALL_TASKS
def test_its_teacher_does_what_the_classical_controller_does_unless_the_task_has_a_better_one(task_name: str) -> None:
    world = make(task_name)
    world.reset(3)
    teacher = world.task.teacher or world.task.baseline
    assert teacher is not None
    for _ in range(20):
        advice = world.advise()
        assert advice.dtype == np.float32
        np.testing.assert_allclose(advice, teacher()(world.simulator.signals), atol=1e-6)
        world.step(advice)
    world.close()


@ALL_TASKS
def test_the_last_observation_of_an_episode_is_kept_and_the_next_one_is_new(task_name: str) -> None:
    world = make(task_name)
    world.reset(2)
    ended_rows = 0
    for step in wander(world, 450):
        ended = step.terminated | step.truncated
        assert np.array_equal(step.observation[~ended], step.final_observation[~ended])
        assert not (step.observation[ended] == step.final_observation[ended]).all(axis=1).any()
        assert np.array_equal(np.flatnonzero(ended), step.episodes.copy)
        previous_action = world.task.layout.where("previous_action")
        rest_action = world.task.rest_action.astype(np.float32)
        assert (step.observation[ended][:, previous_action] == rest_action).all(), "nothing was asked before"
        ended_rows += ended.sum()
    assert ended_rows >= 8


@ALL_TASKS
def test_arrays_handed_out_are_not_changed_by_later_steps(task_name: str) -> None:
    world = make(task_name)
    world.reset(2)
    step = wander(world, 3)[-1]
    kept = {name: value.copy() for name, value in vars(step).items() if isinstance(value, np.ndarray)}
    wander(world, 30)
    assert all(np.array_equal(getattr(step, name), value) for name, value in kept.items())


@ALL_TASKS
def test_a_saved_state_goes_on_exactly(task_name: str) -> None:
    world = make(task_name)
    world.reset(3)
    wander(world, 40)
    state = world.get_state()
    expected = wander(world, 120, seed=4)
    other = make(task_name, seed=77)
    other.reset(77)
    observation = other.set_state(state)
    assert np.array_equal(observation, state["observation"])
    for first, second in zip(expected, wander(other, 120, seed=4), strict=True):
        assert np.array_equal(first.observation, second.observation)
        assert np.array_equal(first.reward, second.reward)
        assert np.array_equal(first.episodes.total_reward, second.episodes.total_reward)


def test_a_numerically_bad_copy_gives_an_inactive_row_and_no_episode() -> None:
    world = make("arm_reach")
    world.reset(0)
    wander(world, 3)
    world.simulator._physics.position[2] = np.inf
    step = world.step(np.zeros((8, 6), np.float32))
    assert step.active.tolist() == [True, True, False, True, True, True, True, True]
    assert step.truncated[2] and not step.terminated[2] and step.reward[2] == 0
    assert len(step.episodes.copy) == 0 and world.invalid_count == 1
    assert np.isfinite(step.observation).all() and np.isfinite(step.final_observation).all()


def test_a_weight_of_zero_silences_a_term_but_it_is_still_measured() -> None:
    world = make("arm_reach")
    world.set_parameter("reward/approach/weight", lambda count: np.zeros(count, np.float32))
    world.reset(0)
    episodes = [step.episodes for step in wander(world, 101) if len(step.episodes.copy)]
    assert all((episode.terms["approach"] == 0).all() for episode in episodes)
    assert any((episode.raw_terms["approach"] != 0).any() for episode in episodes)


def test_a_perturbation_parameter_is_drawn_for_each_episode() -> None:
    world = make("arm_reach")
    drawn: list[int] = []

    def draw(count: int) -> np.ndarray:
        drawn.append(count)
        return np.full(count, 2.0, np.float32)

    world.set_parameter("payload_kg", draw)
    world.reset(0)
    assert drawn == [8]
    assert (world.simulator.perturbations()["payload_kg"] == 2.0).all()


def test_an_unknown_parameter_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="no parameter 'reward/aproach/weight'; choose from reward/"):
        make("arm_reach").set_parameter("reward/aproach/weight", np.zeros)


@pytest.mark.parametrize("action", [np.zeros((8, 5), np.float32), np.full((8, 6), np.nan, np.float32)])
def test_a_wrong_action_is_refused(action: np.ndarray) -> None:
    world = make("arm_reach")
    world.reset(0)
    with pytest.raises(ValueError, match="must be finite and of shape"):
        world.step(action)


def test_a_discrete_action_is_the_motion_of_its_number() -> None:
    discrete, continuous = make("mobile_goto", discrete=True), make("mobile_goto")
    assert (discrete.action_size, discrete.discrete_branches, discrete.action_mask) == (1, (7,), None)
    assert (continuous.action_size, continuous.discrete_branches) == (2, ())
    ahead, bend_left, turn_right = (
        [motion.name for motion in discrete.task.motions].index(name) for name in ("ahead", "bend_left", "turn_right")
    )
    chosen = np.array([ahead, bend_left, turn_right, ahead, ahead, bend_left, turn_right, ahead], np.float32)[:, None]
    action = {ahead: (1.0, 0.0), bend_left: (1.0, 0.5), turn_right: (-1.0, -1.0)}
    same = np.array([action[int(number)] for number in chosen[:, 0]], np.float32)
    discrete.reset(5)
    continuous.reset(5)
    previous_action = discrete.task.layout.where("previous_action")
    for _ in range(30):
        first, second = discrete.step(chosen), continuous.step(same)
        assert np.array_equal(first.observation, second.observation)
        assert np.array_equal(first.reward, second.reward)
        seen = first.final_observation[:, previous_action]
        assert np.array_equal(seen, same), "the policy sees what the robot was asked for"


@ALL_TASKS
def test_motions_are_actions(task_name: str) -> None:
    task = tasks.load(task_name)
    for motion in task.motions:
        assert len(motion.action) == len(task.action) and np.abs(motion.action).max() <= 1
    assert len({motion.name for motion in task.motions}) == len(task.motions)


@pytest.mark.parametrize("number", [-1.0, 7.0, 2.5])
def test_a_number_of_no_motion_is_refused(number: float) -> None:
    world = make("mobile_goto", discrete=True)
    world.reset(0)
    with pytest.raises(ValueError, match="is no motion; choose whole numbers from 0 to 6"):
        world.step(np.full((8, 1), number, np.float32))


def test_a_task_without_motions_has_no_discrete_actions() -> None:
    with pytest.raises(ValueError, match="task 'arm_reach' has no motions"):
        make("arm_reach", discrete=True)
