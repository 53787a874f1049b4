"""People who walk about and play with a robot: they stroll, stop, turn back, hurry, come up to it and stand in its way.

How much of that they do is one number, the difficulty from 0 to 1. Old people walk at 0.92 m/s on average with a
standard deviation of 0.27 (Studenski et al. 2011, "Gait Speed and Survival in Older Adults", JAMA 305: 34,485 people of
73.5 years); 0.4 to 1.1 m/s covers the frail half of them and some more, and indoors nobody hurries.
They are as people of `_people.py`, who make way for the robot or don't, with moods in addition.
"""

from dataclasses import dataclass

import numpy as np

from companion.tasks._people import AWAY_M, RADIUS_M, People, empty_people, make_way, slide_along
from companion.tasks._room import Room, draw_free_points
from companion.tasks._scene import Floats, rows_of

STROLL, STAND, HURRY, APPROACH, BLOCK = range(5)
"""Moods: walks from place to place; stands still; the same walk but faster; comes up to the robot; steps in its way."""


@dataclass(frozen=True)
class Habit:
    """How often strolling people get into a mood, and for how long; each at difficulty 0 and at difficulty 1."""

    per_s: tuple[float, float]
    lasts_s: tuple[float, float]


HABITS = {
    STAND: Habit((0.04, 0.10), (1.0, 3.0)),
    HURRY: Habit((0.00, 0.06), (1.0, 3.0)),
    APPROACH: Habit((0.00, 0.04), (1.0, 2.0)),
    BLOCK: Habit((0.00, 0.04), (1.0, 2.0)),
}
TURNS_BACK_PER_S = (0.0, 0.03)
"""How often they turn on their heel and walk back the way they came."""
STOPPING_SHARE = (0.2, 0.5)
"""Of the difference between the velocity they have and the one they want that goes in 0.1 s: to stop takes 0.5 s at
difficulty 0, and 0.2 s, less than a step, at 1."""
HURRY_FACTOR = (1.2, 1.5)
"""On their speed while they hurry."""
IGNORES_SHARE = (0.0, 0.2)
"""Of passers-by who don't look where the robot is; the person it plays with does."""
REACTION_S = 0.4
"""They know of the robot what they saw so long ago: at seventy a simple reaction takes about 0.35 s (Der and Deary
2006, "Age and sex differences in reaction time in adulthood")."""
MAX_SPEED_MPS = 1.1
"""Nobody walks faster, hurrying or not."""
COMES_UP_TO_M = 0.9
"""From middle to middle: who comes up to the robot stops there."""
IN_THE_WAY_M = 0.9
"""So far ahead of the robot stands who steps in its way."""
APART_M = 0.5
"""People keep this much between their middles."""
BACK_M = 2.5
"""How far they go back."""
TURNING_RADPS = (1.0, 2.0)
"""How fast they turn; old people take about two seconds for half a turn in the timed up-and-go test."""
WALKS_MPS = 0.1
"""Who wants to go slower than this does not turn for it."""
SIDESTEP_MPS = 0.25
"""They walk where they face; sidesteps and steps back are no faster than this."""
AIMS = 4
"""Of so many places to go to next they take the one with the least turn; to turn back is a habit of its own."""
ROBOT_RADIUS_M = 0.35
"""What people take the robot for: 0.2 m more than it is, for it moves by itself, and they walk round it early."""
PASSERS_BY = 2
"""At most, beside the person whom the robot plays with."""


@dataclass
class Moods:
    """What people are up to, beside their `People`; arrays over copies."""

    mood: Floats
    """One of the moods above `[copies, people]`."""
    left_s: Floats
    """How much longer `[copies, people]`."""
    heading: Floats
    """Which way they face `[copies, people]`, rad."""
    robot: Floats
    """Where the robot was and its yaw, the newest first `[copies, decisions, 3]`."""
    difficulty: Floats
    """`[copies]`."""


@dataclass(frozen=True)
class Crowd:
    """Who is about in starting episodes `[k]`."""

    passers_by: Floats
    difficulty: Floats
    ignoring_factor: Floats
    """On the share of passers-by who don't look."""


def empty_walkers(copies: int, most: int, period_s: float) -> tuple[People, Moods]:
    """Space for so many people, where decisions are `period_s` apart."""
    each = (copies, most)
    seen = np.zeros((copies, round(REACTION_S / period_s) + 1, 3))
    moods = Moods(np.zeros(each), np.zeros(each), np.zeros(each), seen, np.zeros(copies))
    return empty_people(copies, most), moods


def between(ends: tuple[float, float], difficulty: Floats) -> Floats:
    """From what holds at difficulty 0 to what holds at 1."""
    return ends[0] + (ends[1] - ends[0]) * difficulty


def place_walkers(
    rooms: Room, robot: Floats, first: Floats, crowd: Crowd, random: np.random.Generator
) -> tuple[People, Moods]:
    """People who begin to stroll, the first of them at `first` `[k, 2]`, passers-by elsewhere.

    `robot` is where it stands and its yaw `[k, 3]`; speeds are left for the caller to write.
    """
    rows, most = len(first), 1 + PASSERS_BY
    people, moods = empty_walkers(rows, most, 1.0)
    # It has always stood there; written to a longer memory, this one entry stands for all.
    moods.robot = robot[:, None].copy()
    people.position[:, 0] = first
    for index in range(1, most):
        others = np.stack((robot[:, :2], first), axis=1)
        people.position[:, index] = draw_free_points(rooms, RADIUS_M + 0.05, others, (1.0, 0.8), random)
    ignores = between(IGNORES_SHARE, crowd.difficulty) * crowd.ignoring_factor
    people.looks[:] = random.random((rows, most)) >= ignores[:, None]
    people.looks[:, 0] = 1.0
    people.side[:] = np.where(random.random((rows, most)) < 0.5, 1.0, -1.0)
    people.present[:] = np.arange(most)[None] <= crowd.passers_by[:, None]
    people.position[people.present == 0] = AWAY_M
    for index in range(most):
        people.waypoint[:, index] = draw_free_points(rooms, RADIUS_M, np.zeros((rows, 0, 2)), (), random)
    moods.heading[:] = random.uniform(-np.pi, np.pi, (rows, most))
    moods.difficulty[:] = crowd.difficulty
    return people, moods


def walk_on(
    people: People, moods: Moods, rooms: Room, robot: Floats, period_s: float, random: np.random.Generator
) -> None:
    """Move everybody on by one decision, in place; `robot` is where it stands and its yaw `[copies, 3]`."""
    moods.robot[:] = np.concatenate((robot[:, None], moods.robot[:, :-1]), axis=1)
    seen = moods.robot[:, -1]
    _change_moods(people, moods, period_s, random)
    _choose_waypoints(people, moods, rooms, random)
    wanted = make_way(people, _wanted(people, moods, seen), seen[:, :2], ROBOT_RADIUS_M)
    wanted = wanted + _apart(people)
    gap, normal = rooms.clearance_and_way_out(people.position)
    step = _step(people, moods, slide_along(wanted, gap - RADIUS_M, normal), period_s)
    step = slide_along(step, gap - RADIUS_M, normal)
    people.velocity += (step - people.velocity) * between(STOPPING_SHARE, moods.difficulty)[:, None, None]
    people.velocity *= people.present[..., None]
    people.position += people.velocity * period_s


def _change_moods(people: People, moods: Moods, period_s: float, random: np.random.Generator) -> None:
    """Who is done with a mood strolls on; some who stroll get into another."""
    moods.left_s -= period_s
    moods.mood[moods.left_s <= 0] = STROLL
    difficulty = moods.difficulty[:, None]
    chance = random.random(moods.mood.shape)
    duration = random.random(moods.mood.shape) * 1.5 + 0.25
    free = moods.mood == STROLL
    below = np.zeros_like(moods.mood)
    for mood, habit in HABITS.items():
        above = below + between(habit.per_s, difficulty) * period_s
        fresh = free & (chance >= below) & (chance < above) & ((people.looks > 0) | (mood not in (APPROACH, BLOCK)))
        moods.mood[fresh] = mood
        moods.left_s[fresh] = (duration * between(habit.lasts_s, difficulty))[fresh]
        below = above
    back = free & (chance >= below) & (chance < below + between(TURNS_BACK_PER_S, difficulty) * period_s)
    behind = people.position - BACK_M * _unit(moods.heading)
    people.waypoint[back] = behind[back]


def _choose_waypoints(people: People, moods: Moods, rooms: Room, random: np.random.Generator) -> None:
    """A new aim for those who arrived or can't get on, where a person can stand."""
    distance = np.linalg.norm(people.waypoint - people.position, axis=2)
    walking = (moods.mood == STROLL) | (moods.mood == HURRY)
    stuck = walking & (np.linalg.norm(people.velocity, axis=2) < 0.3 * people.speed)
    chance = random.random(distance.shape)
    fresh = (people.present > 0) & ((distance < 0.3) | (stuck & (chance < 0.1)))
    for index in range(fresh.shape[1]):
        rows = np.flatnonzero(fresh[:, index])
        if len(rows):
            aim = _next_aim(people.position[rows, index], moods.heading[rows, index], rows_of(rooms, rows), random)
            people.waypoint[rows, index] = aim


def _next_aim(here: Floats, heading: Floats, rooms: Room, random: np.random.Generator) -> Floats:
    """Where to go on to from `here` `[k, 2]`, not far off the `heading` `[k]`."""
    aims = [draw_free_points(rooms, RADIUS_M, here[:, None], (1.0,), random) for _ in range(AIMS)]
    way = np.stack(aims, axis=1) - here[:, None]
    ahead = (way * _unit(heading)[:, None]).sum(axis=2) / np.maximum(np.linalg.norm(way, axis=2), 1e-9)
    return np.stack(aims, axis=1)[np.arange(len(here)), ahead.argmax(axis=1)]


def _wanted(people: People, moods: Moods, robot: Floats) -> Floats:
    """The velocity that each mood asks for `[copies, people, 2]`, m/s."""
    at, ahead = robot[:, None, :2], _unit(robot[:, None, 2])
    to_waypoint = people.waypoint - people.position
    to_robot = at - people.position
    to_front = at + IN_THE_WAY_M * ahead - people.position
    aim = np.where((moods.mood == APPROACH)[..., None], to_robot, to_waypoint)
    aim = np.where((moods.mood == BLOCK)[..., None], to_front, aim)
    distance = np.linalg.norm(aim, axis=2)
    short = np.select([moods.mood == APPROACH, moods.mood == BLOCK], [COMES_UP_TO_M, 0.1], 0.0)
    pace = people.speed * (moods.mood != STAND)
    pace = pace * np.where(moods.mood == HURRY, between(HURRY_FACTOR, moods.difficulty)[:, None], 1.0)
    pace = np.clip(np.minimum(pace, 2.0 * (distance - short)), 0.0, MAX_SPEED_MPS)
    return aim * (pace / np.maximum(distance, 1e-9))[..., None]


def _apart(people: People) -> Floats:
    """The velocity with which people give way to each other `[copies, people, 2]`, m/s."""
    away = people.position[:, :, None] - people.position[:, None]
    distance = np.maximum(np.linalg.norm(away, axis=3), 1e-9)
    push = np.clip(APART_M - distance, 0.0, 0.3) * (distance > 1e-6)
    return 3.0 * (away * (push / distance)[..., None]).sum(axis=2)


def _step(people: People, moods: Moods, wanted: Floats, period_s: float) -> Floats:
    """Turn to where one wants to go; the velocity that people facing so get of it `[copies, people, 2]`."""
    most = np.minimum(people.speed * np.where(moods.mood == HURRY, HURRY_FACTOR[1], 1.0), MAX_SPEED_MPS)
    speed = np.linalg.norm(wanted, axis=2)
    wanted = wanted * (most / np.maximum(np.maximum(speed, most), 1e-9))[..., None]
    difficulty = moods.difficulty[:, None]
    way = np.arctan2(wanted[..., 1], wanted[..., 0])
    turn = (way - moods.heading + np.pi) % (2 * np.pi) - np.pi
    most_turn = between(TURNING_RADPS, difficulty) * period_s
    moods.heading += np.where(speed > WALKS_MPS, np.clip(turn, -most_turn, most_turn), 0.0)
    ahead = _unit(moods.heading)
    forward = np.maximum((wanted * ahead).sum(axis=2), 0.0)[..., None] * ahead
    rest = wanted - forward
    length = np.maximum(np.linalg.norm(rest, axis=2), SIDESTEP_MPS)
    return forward + rest * (SIDESTEP_MPS / length)[..., None]


def _unit(angle: Floats) -> Floats:
    """Unit vectors at these angles, one more axis."""
    return np.stack((np.cos(angle), np.sin(angle)), axis=-1)
