"""People who walk about a room as upright figures; most of them make way for the robot, some don't look."""

from dataclasses import dataclass

import numpy as np

from companion.tasks._room import Room, draw_free_points
from companion.tasks._scene import Floats

RADIUS_M = 0.2
"""A person's footprint: legs and shoulders of a walking adult."""
HEIGHT_M = 1.65
AWAY_M = 60.0
"""People who are not in the room stand this far outside."""
NOTICE_M = 1.0
"""A person who looks notices a robot ahead at this distance, and slows down and steps aside."""
KEEP_M = 0.35
"""And keeps this much between the robot's hull and themselves, stepping back if need be."""
PAUSE_PER_S = 0.1
"""How often a walking person stops for a moment."""
PAUSE_S = (0.5, 2.5)


@dataclass
class People:
    """People of some copies; arrays `[copies, people, …]`, world frame, m and s."""

    position: Floats
    velocity: Floats
    waypoint: Floats
    speed: Floats
    """Walking speed of each person, m/s."""
    looks: Floats
    """1 if the person makes way for the robot."""
    side: Floats
    """On which side they step past, +1 left or -1 right."""
    pause_s: Floats
    """How much longer they stand still."""
    present: Floats
    """1 if the person is in the room."""


def empty_people(copies: int, most: int) -> People:
    """Space for so many people."""
    shape = (copies, most)
    vectors = [np.zeros((*shape, 2)) for _ in range(3)]
    return People(*vectors, *(np.zeros(shape) for _ in range(5)))


def place_people(
    rooms: Room, robot: Floats, count: Floats, speed: Floats, yield_share: Floats, random: np.random.Generator
) -> People:
    """People for rooms in which the robot stands at `robot` `[k, 2]`; the rest `[k]`."""
    rows, most = len(count), 2
    people = empty_people(rows, most)
    for index in range(most):
        people.position[:, index] = draw_free_points(rooms, RADIUS_M + 0.05, robot[:, None], (1.0,), random)
    people.waypoint[:] = drawn_waypoints(rooms, most, random)
    people.speed[:] = speed[:, None] * random.uniform(0.9, 1.1, (rows, most))
    people.looks[:] = random.random((rows, most)) < yield_share[:, None]
    people.side[:] = np.where(random.random((rows, most)) < 0.5, 1.0, -1.0)
    people.present[:] = np.arange(most)[None] < count[:, None]
    people.position[people.present == 0] = AWAY_M
    return people


def walk(
    people: People, rooms: Room, robot: Floats, robot_radius_m: float, period_s: float, random: np.random.Generator
) -> None:
    """Move everybody on by one decision, in place; `robot` is `[copies, 2]`."""
    to_waypoint = people.waypoint - people.position
    distance = np.hypot(to_waypoint[..., 0], to_waypoint[..., 1])
    heading = to_waypoint / np.maximum(distance, 1e-9)[..., None]
    _choose_waypoints(people, rooms, distance, random, period_s)
    wanted = heading * (people.speed * (people.pause_s <= 0))[..., None]
    wanted = make_way(people, wanted, robot, robot_radius_m)
    gap, normal = rooms.clearance_and_way_out(people.position)
    wanted = slide_along(wanted, gap - RADIUS_M, normal)
    speed = np.hypot(wanted[..., 0], wanted[..., 1])
    wanted *= (people.speed / np.maximum(np.maximum(speed, people.speed), 1e-9))[..., None]
    people.velocity += (wanted - people.velocity) * 0.5
    people.velocity *= people.present[..., None]
    people.position += people.velocity * period_s


def _choose_waypoints(
    people: People, rooms: Room, distance: Floats, random: np.random.Generator, period_s: float
) -> None:
    """A new aim for those who arrived or can't get on; a moment's rest for some."""
    stuck = (np.hypot(people.velocity[..., 0], people.velocity[..., 1]) < 0.1) & (people.pause_s <= 0)
    chance = random.random(distance.shape)
    fresh = (distance < 0.3) | (stuck & (chance < 0.1))
    aim = drawn_waypoints(rooms, distance.shape[1], random)
    people.waypoint[:] = np.where(fresh[..., None], aim, people.waypoint)
    rests = chance > 1 - PAUSE_PER_S * period_s
    length = PAUSE_S[0] + (PAUSE_S[1] - PAUSE_S[0]) * random.random(distance.shape)
    people.pause_s[:] = np.where(rests, length, people.pause_s - period_s)


def drawn_waypoints(rooms: Room, people: int, random: np.random.Generator) -> Floats:
    """Anywhere between the walls, `[rooms, people, 2]`; who can't get there soon chooses anew."""
    reach = (rooms.half_size - RADIUS_M - 0.1)[:, None, None]
    return random.uniform(-1, 1, (len(reach), people, 2)) * reach


def make_way(people: People, wanted: Floats, robot: Floats, robot_radius_m: float) -> Floats:
    """The velocity each person would like, on as `wanted` `[copies, people, 2]` but round the robot for who looks."""
    away = people.position - robot[:, None]
    distance = np.maximum(np.hypot(away[..., 0], away[..., 1]), 1e-9)
    away /= distance[..., None]
    gap = distance - robot_radius_m - RADIUS_M
    approach = np.maximum(-(wanted * away).sum(axis=2), 0.0)
    sideways = np.stack((-away[..., 1], away[..., 0]), axis=2) * (people.side * people.speed)[..., None]
    near = np.clip((NOTICE_M - gap) / (NOTICE_M - KEEP_M), 0.0, 1.0) * people.looks
    too_near = np.clip((KEEP_M - gap) / KEEP_M * 2, 0.0, 1.0) * people.looks
    wanted = wanted + (near * approach)[..., None] * away
    wanted += (near * (approach > 0))[..., None] * sideways
    return wanted + (too_near * people.speed)[..., None] * away


def slide_along(wanted: Floats, gap: Floats, normal: Floats) -> Floats:
    """Nobody walks into furniture: the part of a velocity that leads nearer fades out; who stands in it is led out."""
    into = np.minimum((wanted * normal).sum(axis=2), 0.0)
    fade = np.clip(1 - gap / 0.15, 0.0, 1.0)
    out = np.clip(-gap / 0.05, 0.0, 1.0) * 0.3
    return wanted + (out - fade * into)[..., None] * normal
