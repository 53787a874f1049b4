"""A person who plays ball with the robot: holds it, rolls it, waits for it to come back, and fetches what is lost.

How hard they make it is one number, the difficulty from 0 to 1.
"""

from dataclasses import dataclass

import numpy as np

from companion.tasks._lidar import cast
from companion.tasks._room import Room, draw_free_points_near
from companion.tasks._scene import Floats, rows_of
from companion.tasks._walkers import between

HOLDS_S = ((1.0, 2.0), (0.5, 1.5))
"""How long they hold the ball before they roll it, from to; at difficulty 0 and at 1."""
AIMS_RAD = (0.1, 0.45)
"""They roll it to the robot and miss by up to this much."""
ROLLS_M = ((1.3, 2.0), (1.2, 2.5))
"""How far it would roll on a free floor, from to; at 1 past the robot and off the walls."""
SHORT_OF_WALLS_M = (1.0, 0.6)
"""And so far before the next wall or piece of furniture it shall stop; at 1 it now and then bounces off."""
PUTS = (0.95, 1.05)
"""Factor on the speed that takes, from to: nobody knows their floor exactly."""
STEPS_M = ((0.0, 0.0), (0.2, 0.7))
"""How far they go between two rolls, from to; not towards the robot."""
MOST_MPS = 2.0
"""Nobody rolls it faster; a forearm's swing from sitting or standing."""
WALKS_MPS = 0.4
"""How fast they go there: the lower end of gait speeds, it is a step or two."""
GIVES_UP_S = 20.0
"""Since the roll: after this they fetch the ball themselves, and the round is lost."""
ROOM_M = 1.3
"""They roll it when the robot is farther from them than this,"""
PATIENCE_S = 4.0
"""or after so much more waiting."""
HOLDS_AHEAD_M = 0.4
"""From their middle to the ball they hold before their feet."""
HOLD, PLAY = range(2)
"""Phases of a round: they have the ball; it is out."""


@dataclass
class Player:
    """Of each copy; arrays over copies, world frame."""

    position: Floats
    """`[copies, 2]`, m."""
    velocity: Floats
    heading: Floats
    """`[copies]`, rad."""
    goes_to: Floats
    """Where they step next `[copies, 2]`, m."""
    phase: Floats
    since_s: Floats
    """Since the phase began `[copies]`."""
    holds_s: Floats
    """How long they hold it this time `[copies]`."""
    difficulty: Floats


def empty_player(copies: int) -> Player:
    """Space for so many."""
    return Player(*(np.zeros((copies, *size)) for size in ((2,), (2,), (), (2,), (), (), (), ())))


def place_player(place: Floats, robot: Floats, difficulty: Floats, random: np.random.Generator) -> Player:
    """People who stand at `place` `[k, 2]` with the ball, turned to the `robot` `[k, 2]`."""
    player = empty_player(len(place))
    player.position[:] = player.goes_to[:] = place
    player.heading[:] = _towards(robot - place)
    player.difficulty[:] = difficulty
    player.holds_s[:] = _drawn(HOLDS_S, difficulty, random)
    return player


def ball_place(player: Player) -> Floats:
    """Where the ball is that they hold `[copies, 2]`."""
    return player.position + HOLDS_AHEAD_M * _unit(player.heading)


def act(player: Player, robot: Floats, period_s: float, random: np.random.Generator) -> np.ndarray:
    """Let a decision's time pass; bool `[copies]`: who rolls the ball now. `robot` is `[copies, 2]`, m."""
    player.since_s += period_s
    to_robot = robot - player.position
    distance = np.linalg.norm(to_robot, axis=1)
    way = player.goes_to - player.position
    left = np.linalg.norm(way, axis=1)
    free = (way * to_robot).sum(axis=1) < 0.7 * left * np.maximum(distance - 0.4, 0.0)
    pace = np.where(free & (player.phase == HOLD), np.minimum(WALKS_MPS, left / period_s), 0.0)
    player.velocity[:] = way * (pace / np.maximum(left, 1e-9))[:, None]
    player.position += player.velocity * period_s
    turn = (_towards(to_robot) - player.heading + np.pi) % (2 * np.pi) - np.pi
    player.heading += np.where(player.phase == HOLD, np.clip(turn, -2.0 * period_s, 2.0 * period_s), 0.0)
    ready = (player.phase == HOLD) & (player.since_s >= player.holds_s) & (np.abs(turn) < 0.3)
    return ready & ((distance > ROOM_M) | (player.since_s > player.holds_s + PATIENCE_S))


@dataclass(frozen=True)
class Target:
    """What people look at when they roll the ball; rows of those who do."""

    robot: Floats
    """`[k, 2]`, m."""
    deceleration: Floats
    """Of a ball that rolls on their floor `[k]`, m/s²."""
    rooms: Room


def roll(player: Player, which: np.ndarray, target: Target, random: np.random.Generator) -> Floats:
    """These people roll the ball; its velocity `[k, 2]`, m/s."""
    player.phase[which], player.since_s[which] = PLAY, 0.0
    difficulty, count, here = player.difficulty[which], len(which), ball_place(player)[which]
    angle = _towards(target.robot - player.position[which])
    angle = angle + between(AIMS_RAD, difficulty) * random.uniform(-1, 1, count)
    nobody = np.zeros((count, 0, 2))
    free = cast(target.rooms, nobody, 0.0, here, angle, 1)[:, 0] - between(SHORT_OF_WALLS_M, difficulty)
    distance = np.minimum(_drawn(ROLLS_M, difficulty, random), np.maximum(free, 0.6))
    speed = np.minimum(np.sqrt(2 * target.deceleration * distance) * random.uniform(*PUTS, count), MOST_MPS)
    return speed[:, None] * _unit(angle)


def take(player: Player, which: np.ndarray, rooms: Room, random: np.random.Generator) -> None:
    """These people have the ball again, and may step elsewhere before they roll it."""
    difficulty, here = player.difficulty[which], player.position[which]
    player.phase[which], player.since_s[which] = HOLD, 0.0
    player.holds_s[which] = _drawn(HOLDS_S, difficulty, random)
    place = draw_free_points_near(rows_of(rooms, which), 0.6, here, (0.8, 1.0), random)
    share = _drawn(STEPS_M, difficulty, random) / np.maximum(np.linalg.norm(place - here, axis=1), 1e-9)
    player.goes_to[which] = here + share[:, None] * (place - here)


def _drawn(
    ends: tuple[tuple[float, float], tuple[float, float]], difficulty: Floats, random: np.random.Generator
) -> Floats:
    """From within what holds at this difficulty `[k]`."""
    low, high = (between((ends[0][end], ends[1][end]), difficulty) for end in (0, 1))
    return low + (high - low) * random.random(len(difficulty))


def _towards(way: Floats) -> Floats:
    return np.arctan2(way[:, 1], way[:, 0])


def _unit(angle: Floats) -> Floats:
    return np.stack((np.cos(angle), np.sin(angle)), axis=-1)
