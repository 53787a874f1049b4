"""The player at the other end of the table: takes a ball that comes within reach, and rolls it again to make it hard.

What a player decides, where to roll from and to, how fast and after how long a wait, is one row of four numbers from
-1 to 1 per ball, so that a second policy can take the place of `scripted`.
"""

from dataclasses import dataclass

import numpy as np

from companion.signals import Signal
from companion.tasks._scene import Floats, Which, rows_of, write_rows
from companion.tasks._task import ActionEntry

CATCH_X_M = 1.1
"""A ball that has come so far is at the player's hands."""
CATCH_HALF_M = 0.25
"""And within reach if it is no further aside, to either side."""
TOO_FAST_MPS = 0.9
"""A faster ball is not theirs to stop: in 0.7 m it leaves less time than to see it, choose a place and get the hand
there, 0.75 s for the choice among several (Der and Deary 2006) and a movement of half a second at most."""
RELEASE_X_M = 1.02
RAIL_Y_M = 0.44
"""Inner faces of the rails along both sides of the table."""
GOAL_X_M = 0.45
"""Where balls are aimed: the robot's side of the table."""
CARRY_MPS = 0.5
"""How fast a caught ball is taken to where it is rolled from."""
LOW = np.array((-0.2, -0.8, 0.3, 0.2))
HIGH = np.array((0.2, 0.8, 0.8, 1.2))
"""What -1 and +1 stand for: where the ball is rolled from and aimed at along y, m, beyond the rails by way of them; its
speed, m/s, half of what the hurried hands of older women have on average (DeGoede et al. 2001, J Gerontol A 56:M584:
half a metre in 0.335 s); the wait, s."""
SIGHT = (
    Signal("ball_aside", 1, "m", "The ball's y, where it was caught or lost; 0 for the first one."),
    Signal("paddle_ahead", 1, "m", "The paddle's x."),
    Signal("paddle_aside", 1, "m", "The paddle's y."),
    Signal("paddle_yaw", 1, "rad", "The paddle's yaw."),
    Signal("returns", 1, "1", "The robot's returns in a row, so far."),
    Signal("difficulty", 1, "1", "How hard the player may make it."),
)
"""What a player sees when it decides, in base_link."""
DECISION = tuple(
    ActionEntry(name, unit, float(low), float(high))
    for name, unit, low, high in zip(
        ("from_aside", "to_aside", "speed", "wait"), ("m", "m", "m/s", "s"), LOW, HIGH, strict=True
    )
)
SPEED_SPREAD = 0.25
"""The scripted player's balls are faster or slower than their mean by up to this share."""
WAIT_S = 0.6
"""How long it holds a ball, on average."""


@dataclass(frozen=True)
class Temper:
    """What the scripted player does, at difficulty 0 and at difficulty 1; in between by straight lines."""

    aim_spread_m: tuple[float, float] = (0.08, 0.3)
    """How far from the middle it aims."""
    away_share: tuple[float, float] = (0.0, 0.7)
    """How often it aims at the side where the paddle is not."""
    rail_share: tuple[float, float] = (0.0, 0.3)
    """How often it plays by way of a rail."""
    from_m: tuple[float, float] = (0.03, 0.2)
    """How far from the middle it rolls from."""
    speed_mps: tuple[float, float] = (0.35, 0.6)
    """Mean speed; it is a quarter more or less."""
    wait_spread_s: tuple[float, float] = (0.1, 0.4)
    """How much the wait differs from 0.6 s, by which a steady rhythm is broken."""


TEMPER = Temper()


def scripted(sight: Floats, random: np.random.Generator) -> Floats:
    """The scripted player's decisions."""
    paddle_y, difficulty = sight[:, 2], sight[:, 5]
    chance = random.uniform(-1, 1, (len(sight), 7))
    aside = _at(TEMPER.aim_spread_m, difficulty) * chance[:, 0]
    away = np.abs(chance[:, 1]) < _at(TEMPER.away_share, difficulty)
    aim = np.where(away, -np.sign(paddle_y) * np.abs(aside), aside)
    by_rail = np.abs(chance[:, 2]) < _at(TEMPER.rail_share, difficulty)
    aim = np.where(by_rail, np.sign(chance[:, 3]) * 2 * RAIL_Y_M - aim, aim)
    start = _at(TEMPER.from_m, difficulty) * chance[:, 4]
    speed = _at(TEMPER.speed_mps, difficulty) * (1 + SPEED_SPREAD * chance[:, 5])
    wait = WAIT_S + _at(TEMPER.wait_spread_s, difficulty) * chance[:, 6]
    return _decision(np.stack((start, aim, speed, wait), axis=1))


def limited(free: Floats, sight: Floats) -> Floats:
    """The decisions for a learner's free choices `[k, 4]` from -1 to 1: all of the difficulty's scope, and no more."""
    low, high = scope(sight[:, 5])
    return _decision(low + (np.clip(free, -1.0, 1.0) + 1) * (high - low) / 2)


def scope(difficulty: Floats) -> tuple[Floats, Floats]:
    """The least and the most that may be asked at these difficulties `[k, 4]`, in the units of `DECISION`.

    It is what the scripted player does there at the utmost, but that its aims grow straight from its easiest ones to
    the rails, where it plays none between.
    """
    start, aim = _at(TEMPER.from_m, difficulty), _at((TEMPER.aim_spread_m[0], HIGH[1]), difficulty)
    speed, spread = _at(TEMPER.speed_mps, difficulty), _at(TEMPER.wait_spread_s, difficulty)
    low = np.stack((-start, -aim, speed * (1 - SPEED_SPREAD), WAIT_S - spread), axis=1)
    high = np.stack((start, aim, speed * (1 + SPEED_SPREAD), WAIT_S + spread), axis=1)
    return np.clip(low, LOW, HIGH), np.clip(high, LOW, HIGH)


# --- the game ---

HELD, COMING, GOING = 0.0, 1.0, 2.0
"""The ball is in the player's hand; it rolls to the robot; the paddle has struck it."""
MISS_X_M = 0.25
"""A ball behind this is lost to the robot."""
DEAD_MPS, DEAD_S = 0.04, 1.0
"""So is one that hardly moves for so long."""


@dataclass
class Game:
    """A game in each copy; arrays `[copies, …]`, base_link."""

    phase: Floats
    """HELD, COMING or GOING."""
    wait_s: Floats
    """Until a held ball that has been taken to its place is rolled."""
    plan: Floats
    """From where and to where it will be rolled along y, how fast `[copies, 3]`, m and m/s."""
    still_s: Floats
    """How long a free ball has hardly moved."""
    returns: Floats
    """In a row, so far."""
    returned: Floats
    """1 if a return came in at this decision."""
    missed: Floats
    """1 if a ball was lost at this decision, or came back out of reach or too fast."""
    struck: Floats
    """1 if the paddle met a coming ball at this decision."""


def empty_game(copies: int) -> Game:
    """Space for so many games."""
    one = [np.zeros(copies) for _ in range(7)]
    return Game(one[0], one[1], np.zeros((copies, 3)), *one[2:7])


def begin(game: Game, which: Which, decision: Floats) -> None:
    """Start games in these copies, with a first ball in the player's hand."""
    rows = rows_of(game, which)
    for name, values in vars(rows).items():
        setattr(rows, name, np.zeros_like(values))
    write_rows(game, which, rows)
    take(game, np.arange(len(game.phase))[which], decision)


def judge(game: Game, ball: Floats, speed: Floats, struck: Floats, period_s: float) -> np.ndarray:
    """Go on with the games by where the balls are `[copies, 2]`, m; the copies that need a new decision.

    `speed` `[copies]` is the balls' in the plane, m/s, and `struck` tells where the paddle touched them.
    """
    free = game.phase != HELD
    game.struck[:] = (game.phase == COMING) & (struck > 0)
    game.phase[:] = np.where(game.struck > 0, GOING, game.phase)
    game.still_s[:] = np.where(free & (speed < DEAD_MPS), game.still_s + period_s, 0.0)
    there = free & (ball[:, 0] > CATCH_X_M)
    good = there & (game.phase == GOING) & (np.abs(ball[:, 1]) < CATCH_HALF_M) & (speed < TOO_FAST_MPS)
    lost = free & ((ball[:, 0] < MISS_X_M) | (game.still_s > DEAD_S))
    game.returned[:], game.missed[:] = good, lost | (there & ~good)
    game.returns[:] = np.where(game.missed > 0, 0.0, game.returns + game.returned)
    return np.flatnonzero((game.returned > 0) | (game.missed > 0))


def scores(game: Game, which: np.ndarray, ball: Floats, reach_x_m: float) -> Floats:
    """What the balls that `judge` has just found to be over were to the player `[k]`: 1 if the robot failed, else -1.

    A ball that never came near enough to be struck is the player's own fault. `ball` `[k, 2]` is where they were, m,
    and `reach_x_m` how far ahead the paddle gets.
    """
    too_short = (game.phase[which] == COMING) & (ball[:, 0] > reach_x_m)
    return np.where((game.missed[which] > 0) & ~too_short, 1.0, -1.0)


def take(game: Game, which: np.ndarray, decision: Floats) -> None:
    """Take balls into the player's hand, to be rolled as decided `[k, 4]`."""
    asked = LOW + (np.clip(decision, -1.0, 1.0) + 1) * (HIGH - LOW) / 2
    game.phase[which] = HELD
    game.plan[which], game.wait_s[which] = asked[:, :3], asked[:, 3]
    game.still_s[which] = 0.0


def release_point(game: Game) -> Floats:
    """Where each held ball is taken to `[copies, 2]`, m."""
    return np.stack((np.full(len(game.phase), RELEASE_X_M), game.plan[:, 0]), axis=1)


def velocity_of_roll(game: Game) -> Floats:
    """The velocity in the plane that each ball gets when it is rolled `[copies, 2]`, m/s."""
    way = np.stack((np.full(len(game.phase), GOAL_X_M - RELEASE_X_M), game.plan[:, 1] - game.plan[:, 0]), axis=1)
    return game.plan[:, 2:] * way / np.linalg.norm(way, axis=1, keepdims=True)


def _decision(asked: Floats) -> Floats:
    """From the units of `DECISION` to numbers from -1 to 1."""
    return np.clip(2 * (asked - LOW) / (HIGH - LOW) - 1, -1.0, 1.0)


def _at(ends: tuple[float, float], difficulty: Floats) -> Floats:
    return ends[0] + (ends[1] - ends[0]) * difficulty
