"""Who plays against whom, how points change ratings, and an opponent that learns to win them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from companion.simulator.batch import Simulator
from companion.tasks._other_side import Opponent, Turn, against
from companion.worlds.ratings import LEARNER, ROBOT, SCRIPTED, Ratings, expected_share
from companion.worlds.self_play import Match, OpponentWorld, Pool, SeatedWorld, Table
from tests.worlds.two_sided import OTHER, TASK, Still
from trainers import ppo
from trainers.common import checkpoint
from trainers.common.run import Run

WON, LOST = np.array([1.0]), np.array([-1.0])


# --- ratings ---


def test_four_hundred_points_of_rating_are_ten_points_to_one() -> None:
    assert expected_share(1200, 1200) == 0.5
    assert expected_share(1600, 1200) == pytest.approx(10 / 11)
    assert expected_share(1200, 1600) == pytest.approx(1 / 11)


def test_a_point_between_equals_moves_both_by_half_a_step() -> None:
    ratings = Ratings(1200, 32)
    ratings.note("000001", WON)
    assert (ratings["000001"], ratings[ROBOT]) == (1216, 1184)
    # Now the robot is expected to win 1 / (1 + 10^(32/400)) = 0.454078 of the points, and does win one.
    ratings.note("000001", LOST)
    assert ratings["000001"] == pytest.approx(1216 - 32 * (1 - 0.454078), abs=1e-3)
    assert ratings["000001"] + ratings[ROBOT] == pytest.approx(2400)


def test_points_of_one_moment_count_together_and_neither_s_are_half() -> None:
    ratings = Ratings(1200, 32)
    ratings.note("000001", np.array([1.0, -1.0, 0.0]))
    assert (ratings["000001"], ratings[ROBOT]) == (1200, 1200)


def test_the_scripted_opponent_is_what_all_others_are_measured_from() -> None:
    ratings = Ratings(1200, 32)
    ratings.note(SCRIPTED, LOST)
    assert (ratings[SCRIPTED], ratings[ROBOT]) == (1200, 1216)


def test_known_strengths_are_found_and_ordered() -> None:
    """Opponents that truly are 200 below, equal to and 200 above a robot that is as strong as the scripted one."""
    random, ratings = np.random.default_rng(0), Ratings(1200, 4)
    truth = {SCRIPTED: 0.0, "weak": -200.0, "equal": 0.0, "strong": 200.0}
    for _ in range(2500):
        for name, distance in truth.items():
            wins = random.random() < expected_share(1200 + distance, 1200)
            ratings.note(name, WON if wins else LOST)
    for name, distance in truth.items():
        assert ratings[name] == pytest.approx(1200 + distance, abs=70)
    assert ratings["weak"] < ratings["equal"] < ratings["strong"]
    assert ratings[ROBOT] == pytest.approx(1200, abs=60)


def test_ratings_of_another_turn_are_out_of_date() -> None:
    ratings = Ratings()
    ratings.note("000001", WON)
    saved = ratings.get_state()
    after = Ratings()
    after.set_state(saved)
    assert after["000001"] == ratings["000001"] != 1200
    after.turn, after["000001"] = 2, 1500.0
    after.set_state(saved)
    assert after["000001"] == 1500


# --- the pool ---


def test_opponents_are_drawn_in_the_shares_that_were_asked_for() -> None:
    drawn = Pool(("1", "2", "3", "4"), scripted_ratio=0.2, latest_ratio=0.5).draw(20_000, np.random.default_rng(0))
    share = {name: drawn.count(name) / len(drawn) for name in set(drawn)}
    # Of the 0.8 that are left, half goes to the newest, and a quarter of the other half, too.
    expected = {SCRIPTED: 0.2, "4": 0.4 + 0.1, "1": 0.1, "2": 0.1, "3": 0.1}
    assert share == pytest.approx(expected, abs=0.015)


def test_without_opponents_the_scripted_one_plays() -> None:
    assert set(Pool().draw(50, np.random.default_rng(0))) == {SCRIPTED}


# --- the table ---


def aiming(aim: float) -> Opponent:
    return lambda sight, random: np.full((len(sight), 1), aim)


AIMS = {SCRIPTED: 0.25, "left": -1.0, "right": 1.0}
"""Aims past a keeper at 0.25, who reaches 0.5 to either side: only the others win."""


def seated(names: tuple[str, ...] = ("left", "right")) -> tuple[Table, Ratings]:
    ratings = Ratings()
    return Table(Pool(names, 0.3, 0.5), {name: aiming(aim) for name, aim in AIMS.items()}.__getitem__, ratings), ratings


def played(table: Table, steps: int, copies: int = 12) -> list[NDArray[np.float64]]:
    """The aims in each copy, decision by decision."""
    simulator = Simulator(against(TASK, OTHER, table), copies, threads=1)
    simulator.reset(0)
    aims, scene = [], simulator._scene
    for _ in range(steps):
        aims.append(scene.state.aim.copy())
        simulator.step(np.zeros((copies, 1)))
    simulator.close()
    return aims


def test_one_opponent_plays_a_whole_episode_and_another_may_play_the_next() -> None:
    aims = np.array(played(seated()[0], 90))
    for copy in range(12):
        length = 3 * (2 + copy % 3)  # three points of so many decisions each
        episodes = aims[: 90 - 90 % length, copy].reshape(-1, length)
        assert (episodes == episodes[:, :1]).all()
    assert set(aims.ravel()) == set(AIMS.values())


def test_those_who_win_are_rated_above_those_who_lose() -> None:
    table, ratings = seated()
    played(table, 200)
    assert ratings["left"] > 1250 < ratings["right"] and ratings[SCRIPTED] == 1200


def test_a_table_goes_on_as_it_was_saved() -> None:
    first, _ = seated()
    begin = Turn(np.arange(6), np.zeros((6, 2)), np.zeros(6), begins=True)
    random = np.random.default_rng(0)
    first(begin, random)

    class World:
        def get_state(self) -> dict[str, int]:
            return {"at": 3}

        def set_state(self, state: dict[str, int]) -> int:
            return state["at"]

    saved = checkpoint.unpacked(checkpoint.packed(SeatedWorld(World(), first).get_state()))
    following = [first(begin, random) for _ in range(5)]
    second, _ = seated()
    assert SeatedWorld(World(), second).set_state(saved) == 3
    assert np.array_equal([second(begin, random) for _ in range(5)], following)


# --- an opponent that learns ---


def opponent_world(copies: int = 6, **settings: float) -> OpponentWorld:
    return OpponentWorld(Match(TASK, OTHER, Still(), overrides=settings), copies=copies, threads=1)


def test_a_row_is_active_when_its_decision_came_to_something() -> None:
    world = opponent_world(3)
    assert world.reset(0) == pytest.approx(np.tile((0.25, 1.0), (3, 1)))
    aims = np.array([[-1.0], [0.5], [1.0]], np.float32)
    # Copies 0, 1 and 2 take 2, 3 and 4 decisions for a point, so that the first step lasts two, the others one.
    first, second, third = (world.step(aims * sign) for sign in (1, -1, -1))
    assert first.active.tolist() == [True, False, False] and first.reward.tolist() == [1, 0, 0]
    assert second.active.tolist() == [False, True, False] and second.reward.tolist() == [0, -1, 0]
    assert third.active.tolist() == [True, False, True] and third.reward.tolist() == [1, 0, 1]
    assert third.taken is not None
    assert third.taken[:, 0].tolist() == [1.0, -0.5, 1.0], "what was given when they asked, not later"
    assert np.array_equal(third.terminated, third.active) and not third.truncated.any()
    assert third.episodes.copy.tolist() == [0, 2] and third.episodes.success.tolist() == [True, True]


def test_a_learner_may_do_no_more_than_the_difficulty_allows() -> None:
    world = opponent_world(3, difficulty=0)
    world.reset(0)
    rewards = [world.step(np.full((3, 1), -1.0, np.float32)).reward.sum() for _ in range(20)]
    assert sum(rewards) < 0, "an aim of -0.2 at most is within reach of a keeper at 0.25"


def test_the_world_of_an_opponent_goes_on_as_it_was_saved() -> None:
    def actions(seed: int) -> NDArray[np.float32]:
        return np.random.default_rng(seed).uniform(-1, 1, (6, 1)).astype(np.float32)

    world = opponent_world()
    world.reset(0)
    for at in range(15):
        world.step(actions(at))
    saved = checkpoint.unpacked(checkpoint.packed(world.get_state()))
    following = [world.step(actions(at)) for at in range(15, 40)]
    other = opponent_world()
    other.set_state(saved)
    for at, expected in zip(range(15, 40), following, strict=True):
        step = other.step(actions(at))
        for name in ("observation", "reward", "active", "taken"):
            assert np.array_equal(getattr(step, name), getattr(expected, name)), name


def test_against_a_robot_that_remembers_the_state_can_t_be_told() -> None:
    world = OpponentWorld(Match(TASK, OTHER, Still(), robot_remembers=True), copies=2, threads=1)
    world.reset(0)
    assert world.get_state() is None


def test_an_opponent_learns_to_win_and_its_rating_rises(tmp_path: Path) -> None:
    """Aims are uniform about the middle at first; 0.25 + 0.5 < |aim| wins, to the left already from -0.25 on."""
    ratings = Ratings()
    match = Match(TASK, OTHER, Still())
    config = ppo.Config(
        steps=3000, copies=16, rollout_steps=24, epochs=6, minibatches=2, hidden_sizes=(16,), threads=1, seed=1
    )
    with Run(tmp_path, quiet=True) as run:
        actor = ppo.train(
            lambda copies, seed: OpponentWorld(match, copies=copies, seed=seed, threads=1, ratings=ratings), config, run
        )
    world = opponent_world(16)
    observation, won, count = world.reset(5), 0, 0
    for _ in range(40):
        with torch.inference_mode():
            step = world.step(actor(torch.from_numpy(observation)).numpy())
        observation, won, count = step.observation, won + int(step.episodes.success.sum()), count + step.active.sum()
    assert won / count > 0.95
    assert ratings[LEARNER] > 1350 > 1050 > ratings[ROBOT]


def test_a_wrong_action_is_refused() -> None:
    world = opponent_world(2)
    world.reset(0)
    with pytest.raises(ValueError, match="shape"):
        world.step(np.zeros((2, 2), np.float32))
