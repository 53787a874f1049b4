"""People who play: they walk no faster than old people do, into nothing and nobody, and harder ones bother more."""

import numpy as np
import pytest

from companion.tasks import _walkers
from companion.tasks._people import RADIUS_M, People
from companion.tasks._room import Room, draw_rooms
from companion.tasks._walkers import Crowd, Moods

PERIOD_S = 0.1
COPIES = 100
FAR_AWAY = np.tile((30.0, 30.0, 0.0), (COPIES, 1))


def walkers(
    difficulty: float, speed_mps: float = 0.6, seed: int = 0, ignoring_factor: float = 1.0
) -> tuple[People, Moods, Room]:
    random = np.random.default_rng(seed)
    rooms = draw_rooms(np.full(COPIES, 6.0), np.full(COPIES, 3.0), 6, random)
    first = random.uniform(-1, 1, (COPIES, 2))
    crowd = Crowd(np.full(COPIES, 2.0), np.full(COPIES, difficulty), np.full(COPIES, ignoring_factor))
    people, moods = _walkers.place_walkers(rooms, FAR_AWAY, first, crowd, random)
    people.speed[:] = speed_mps
    moods.robot = np.repeat(moods.robot, 5, axis=1)
    return people, moods, rooms


def walk(
    people: People, moods: Moods, rooms: Room, robot: np.ndarray = FAR_AWAY, steps: int = 200
) -> dict[str, np.ndarray]:
    random, seen = np.random.default_rng(1), {"speed": [], "gap": [], "mood": [], "position": [], "heading": []}
    for _ in range(steps):
        _walkers.walk_on(people, moods, rooms, robot, PERIOD_S, random)
        seen["speed"].append(np.linalg.norm(people.velocity, axis=2))
        seen["gap"].append(rooms.clearance(people.position))
        seen["mood"].append(moods.mood.copy())
        seen["position"].append(people.position.copy())
        seen["heading"].append(moods.heading.copy())
    return {name: np.array(values) for name, values in seen.items()}


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_people_walk_at_their_speed_and_never_run_nor_stand_in_furniture(difficulty: float) -> None:
    people, moods, rooms = walkers(difficulty, speed_mps=0.9)
    seen = walk(people, moods, rooms)
    assert seen["speed"].max() <= 1.1 + 1e-9, "0.9 m/s and in a hurry is the upper end of what old people walk"
    assert 0.4 < seen["speed"].mean() < 0.9
    assert np.mean(seen["gap"][20:] > RADIUS_M - 0.1) > 0.98


def test_easy_people_stroll_and_rest_and_hard_ones_do_everything() -> None:
    easy = walk(*walkers(0.0))["mood"]
    hard = walk(*walkers(1.0))["mood"]
    assert set(np.unique(easy)) == {_walkers.STROLL, _walkers.STAND}
    assert set(np.unique(hard)) == {
        _walkers.STROLL,
        _walkers.STAND,
        _walkers.HURRY,
        _walkers.APPROACH,
        _walkers.BLOCK,
    }
    assert np.mean(hard == _walkers.STROLL) < np.mean(easy == _walkers.STROLL) - 0.15


def test_hard_people_stop_more_suddenly() -> None:
    """Halving times of speed: 0.8^3 is about a half at difficulty 0, 0.5^1 at 1."""
    left = []
    for difficulty in (0.0, 1.0):
        people, moods, rooms = walkers(difficulty)
        walk(people, moods, rooms, steps=20)
        before = np.linalg.norm(people.velocity, axis=2)
        walking = (before > 0.4) & (moods.mood == _walkers.STROLL)
        moods.mood[:], moods.left_s[:] = _walkers.STAND, 10.0
        walk(people, moods, rooms, steps=2)
        left.append((np.linalg.norm(people.velocity, axis=2)[walking] / before[walking]).mean())
    assert left[0] == pytest.approx(0.64, abs=0.05)
    assert left[1] == pytest.approx(0.25, abs=0.05)


def test_who_comes_up_to_the_robot_stops_before_it_and_who_blocks_stands_ahead_of_it() -> None:
    people, moods, _ = walkers(1.0)
    rooms = draw_rooms(np.full(COPIES, 8.0), np.zeros(COPIES), 6, np.random.default_rng(0))
    robot = np.zeros((COPIES, 3))
    people.position[:] = np.array([[1.5, 1.2], [2.0, -1.5], [-3.0, -3.0]])
    people.looks[:] = 1.0
    moods.mood[:], moods.left_s[:] = (_walkers.APPROACH, _walkers.BLOCK, _walkers.STAND), 100.0
    walk(people, moods, rooms, robot, steps=100)
    assert np.linalg.norm(people.position[:, 0], axis=1) == pytest.approx(0.95, abs=0.2)
    ahead, left = people.position[:, 1].T
    assert np.mean(np.abs(np.arctan2(left, ahead)) < 1.0) > 0.6
    assert np.hypot(ahead, left) == pytest.approx(1.0, abs=0.3)


def test_those_who_look_never_walk_into_a_standing_robot_and_some_who_do_not_would() -> None:
    people, moods, rooms = walkers(0.5)
    robot = np.zeros((COPIES, 3))
    people.position[:] = np.array([[1.5, 0.0], [0.0, 1.5], [-1.5, -1.0]])
    people.looks[:] = (1.0, 1.0, 0.0)
    people.waypoint[:] = -people.position
    seen = walk(people, moods, rooms, robot, steps=60)
    distance = np.linalg.norm(seen["position"], axis=3)
    assert distance[:, :, :2].min() > RADIUS_M + 0.15
    assert distance[:, :, 2].min() < RADIUS_M + 0.15


@pytest.mark.parametrize(("factor", "share"), [(0.0, 0.0), (1.0, 0.2), (5.0, 1.0)])
def test_the_factor_says_how_many_who_cross_do_not_look_and_the_person_always_does(factor: float, share: float) -> None:
    """At difficulty 1 a fifth of them, times the factor."""
    people, _, _ = walkers(1.0, ignoring_factor=factor)
    assert (people.looks[:, 0] == 1).all()
    assert 1 - people.looks[:, 1:].mean() == pytest.approx(share, abs=0.08)


def test_people_know_where_the_robot_was_a_reaction_time_ago() -> None:
    people, moods, rooms = walkers(0.0)
    others, other_moods, _ = walkers(0.0)
    near = np.concatenate((people.position[:, 0] + 0.6, np.zeros((COPIES, 1))), axis=1)
    walk(people, moods, rooms, near, steps=4)
    walk(others, other_moods, rooms, FAR_AWAY, steps=4)
    assert np.array_equal(people.position, others.position), "0.4 s after it appeared nobody has seen it yet"
    walk(people, moods, rooms, near, steps=1)
    walk(others, other_moods, rooms, FAR_AWAY, steps=1)
    assert not np.array_equal(people.position[:, 0], others.position[:, 0])


def test_a_strolling_person_turns_no_faster_than_people_do() -> None:
    heading = walk(*walkers(0.0))["heading"]
    assert np.abs(np.diff(heading, axis=0)).max() <= 1.0 * PERIOD_S + 1e-9
