"""Scripted ways to walk with a person well, badly and not at all, and the classical controller of mobile_follow.

The controller is a dynamic window (Fox, Burgard and Thrun 1997, "The dynamic window approach to collision avoidance"):
of the arcs that the robot could drive next, it takes the one that leaves it best placed to the person, whose velocity
the tracker tells, and clear of what the scanner shows. It looks at observed signals only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from companion.robots import rosbot
from companion.tasks._controllers import always, late, same, shaken
from companion.tasks._free_ways import free_way, soonest_touched, straight_ahead, way_round
from companion.tasks._rosbot_base import (
    MAX_BACKWARD_SPEED_MPS,
    MAX_FORWARD_SPEED_MPS,
    MAX_TURNING_SPEED_RADPS,
    STAND,
)
from companion.tasks._task import Controller, Probe

Floats = NDArray[np.float64]
Signals = Mapping[str, Floats]

SPEEDS_MPS = np.linspace(-MAX_BACKWARD_SPEED_MPS, MAX_FORWARD_SPEED_MPS, 9)
TURNS_RADPS = np.linspace(-MAX_TURNING_SPEED_RADPS, MAX_TURNING_SPEED_RADPS, 11)
HORIZON_S = 0.8
"""An arc is driven so long, and judged at three moments of it."""
MOMENTS = 3
DELAY_S = 0.15
"""By which seen positions are older than what the robot does about them comes into effect."""
KEEP_M = 1.25
"""Distance to the person that it wants."""
FAR_M = 0.3
"""So much farther than it wants to be, it looks for a way round what may stand between, as in mobile_goto."""
BRAKING_M = 0.6
"""Free way ahead below which it slows down there."""
HALF_WIDTH_M = rosbot.ROBOT.radius_m + 0.07
LOOK_AHEAD_M = 1.5
WALKS_MPS = 0.2
"""A person slower than this is less and less taken to walk."""
MARGIN_M = 0.15
"""Wanted between the hull and anything else."""


@dataclass(frozen=True)
class Weights:
    """What the cost of an arc is made of."""

    distance: float = 2.0
    """Per metre off the wanted distance."""
    facing: float = 0.3
    """Per radian turned away from the person."""
    in_way: float = 1.0
    """For being straight ahead of them while they walk."""
    clearance: float = 3.0
    """For what is nearer than the margin, at a touch."""
    effort: float = 0.15
    """Per unit of change of the action."""


def _arcs() -> tuple[Floats, Floats]:
    """Actions `[arcs, 2]`, and where each has led at each moment: ahead, left and turn `[arcs, MOMENTS, 3]`."""
    speed, turn = (grid.ravel() for grid in np.meshgrid(SPEEDS_MPS, TURNS_RADPS))
    time = HORIZON_S * np.arange(1, MOMENTS + 1) / MOMENTS
    angle = turn[:, None] * time
    # The chord of an arc, by its length and half its angle.
    chord = speed[:, None] * time * np.sinc(angle / 2 / np.pi)
    pose = np.stack((chord * np.cos(angle / 2), chord * np.sin(angle / 2), angle), axis=2)
    middle = (MAX_FORWARD_SPEED_MPS - MAX_BACKWARD_SPEED_MPS) / 2
    half = (MAX_FORWARD_SPEED_MPS + MAX_BACKWARD_SPEED_MPS) / 2
    return np.stack(((speed - middle) / half, turn / MAX_TURNING_SPEED_RADPS), axis=1), pose


ACTIONS, _POSES = _arcs()
_SPEEDS = np.repeat(SPEEDS_MPS[None], len(TURNS_RADPS), axis=0).ravel()
_TIMES = HORIZON_S * np.arange(1, MOMENTS + 1) / MOMENTS


@dataclass(frozen=True)
class Follower:
    """A dynamic window about a person, at a distance of one's choice."""

    keep_m: float = KEEP_M
    weights: Weights = Weights()

    def follow(self, signals: Signals) -> Floats:
        """The best arc's action `[copies, 2]`."""
        far = signals["person_distance"] > self.keep_m + FAR_M
        return np.where(far, way_to_person(signals), ACTIONS[self._cost(signals).argmin(axis=1)])

    def _cost(self, signals: Signals) -> Floats:
        """Of each arc `[copies, arcs]`."""
        w = self.weights
        change = ACTIONS[None] - signals["previous_action"][:, None]
        cost = self._placing(signals) + w.clearance * _crowding(signals)
        return cost + w.effort * np.abs(change).sum(axis=2)

    def _placing(self, signals: Signals) -> Floats:
        """How badly an arc places the robot to the person `[copies, arcs]`."""
        person = signals["person_distance"] * signals["person_direction"]
        later = signals["person_age_s"] + DELAY_S + _TIMES
        there = person[:, None] + later[..., None] * signals["person_velocity"][:, None]
        offset = there[:, None] - _POSES[None, ..., :2]
        offset[..., 0] -= _run_on(signals["velocity"][:, :1])[..., None]
        distance = np.hypot(offset[..., 0], offset[..., 1])
        bearing = np.arctan2(offset[..., 1], offset[..., 0]) - _POSES[None, ..., 2]
        away = np.abs((bearing + np.pi) % (2 * np.pi) - np.pi)
        pace = signals["person_velocity"]
        speed = np.maximum(np.hypot(pace[:, :1], pace[:, 1:]), WALKS_MPS)
        ahead = -(offset * (pace / speed)[:, None, None]).sum(axis=3) / np.maximum(distance, 1e-6)
        w = self.weights
        placing = w.distance * np.abs(distance - self.keep_m) + w.facing * away
        return (placing + w.in_way * np.maximum(ahead, 0.0)).mean(axis=2)


def _run_on(speed: Floats) -> Floats:
    """How much farther the robot gets than an arc says `[copies, arcs]`, m, being still at `speed` `[copies, 1]`."""
    change = speed - _SPEEDS
    return speed * DELAY_S + change * np.abs(change) / (2 * rosbot.ROBOT.max_acceleration_mps2)


def way_to_person(signals: Signals) -> Floats:
    """Drive for the free way that leads most nearly to the person: the vector field histogram of mobile_goto."""
    direction = signals["person_direction"]
    ranges = 1 / signals["lidar_nearness"]
    free = free_way(ranges, HALF_WIDTH_M)
    wanted_m = np.clip(signals["person_distance"] - KEEP_M, 0.1, LOOK_AHEAD_M)
    heading = way_round(ranges, free, np.arctan2(direction[:, 1:], direction[:, :1]), wanted_m)
    return steer(heading, np.clip(straight_ahead(free) / BRAKING_M, 0.0, 1.0))


def _crowding(signals: Signals) -> Floats:
    """How near each arc comes to what the scanner shows `[copies, arcs]`: 0 beyond the margin, 1 at a touch."""
    ranges = 1 / signals["lidar_nearness"]
    angles = 2 * np.pi * np.arange(ranges.shape[1]) / ranges.shape[1]
    x, y = ranges * np.cos(angles), ranges * np.sin(angles)
    nearest = np.full((len(x), *_POSES.shape[:2]), np.inf)
    for beam in range(x.shape[1]):
        # Over beams, not copies: one array of all pairs would not fit into the cache.
        ahead, left = x[:, beam, None, None] - _POSES[..., 0], y[:, beam, None, None] - _POSES[..., 1]
        np.minimum(nearest, ahead * ahead + left * left, out=nearest)
    free = np.sqrt(nearest) - rosbot.ROBOT.radius_m
    return np.clip(1 - free / MARGIN_M, 0.0, 2.0).max(axis=2)


RIGHT = Follower()
STEERING_PER_S = 3.0
LATE_STEPS = 30
"""For so many decisions the late one does not move: part of the time of grace."""
TRAILS_AT_M = 2.2
"""Where one follows that is never in the band."""


def baseline() -> Controller:
    """The classical controller."""
    return RIGHT.follow


def into_person(signals: Signals) -> Floats:
    """Head for the person at full speed."""
    cosine, sine = signals["person_direction"].T
    return steer(np.arctan2(sine, cosine))


def into_nearest(signals: Signals) -> Floats:
    """Head for what is touched soonest, the turn towards it counted."""
    return steer(soonest_touched(1 / signals["lidar_nearness"], MAX_FORWARD_SPEED_MPS, MAX_TURNING_SPEED_RADPS))


def steer(heading: Floats, speed: Floats | float = 1.0) -> Floats:
    """Turn to a heading `[copies]`, rad from straight ahead, and drive at this share of the full speed, if it does."""
    turning = np.clip(STEERING_PER_S * heading / MAX_TURNING_SPEED_RADPS, -1.0, 1.0)
    forward = STAND + (1 - STAND) * speed * np.clip(np.cos(heading), 0.0, 1.0) ** 2
    return np.stack((forward, turning), axis=1)


def probes() -> tuple[Probe, ...]:
    """The probes of mobile_follow."""
    follow = RIGHT.follow
    return (
        Probe("right", "good", "Keeps the distance by a dynamic window about the person.", partial(same, follow)),
        Probe(
            "right_but_late",
            "slow",
            "Stands for 3 s, then does the same.",
            partial(late, follow, LATE_STEPS, STAND, 0.0),
        ),
        Probe(
            "right_but_shaking", "careless", "Does the same and shakes all along.", partial(shaken, follow, 0.15, 0.3)
        ),
        Probe("freeze", "lazy", "Stands still.", partial(always, STAND, 0.0)),
        Probe("spin", "lazy", "Turns on the spot.", partial(always, STAND, 0.8)),
        Probe("vibrate", "lazy", "Wags on the spot.", _wagging),
        Probe(
            "trail",
            "lazy",
            "Follows at 2.2 m, where it is never in the band.",
            partial(same, Follower(keep_m=TRAILS_AT_M).follow),
        ),
        Probe("ram", "unsafe", "Drives into the person.", partial(same, into_person)),
        Probe("end_early", "unsafe", "Drives into what it touches soonest.", partial(same, into_nearest)),
    )


def _wagging() -> Controller:
    return shaken(always(STAND, 0.0), 0.0, 1.0)
