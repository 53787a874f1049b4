"""Scripted ways to drive to a goal well, badly and not at all, with which the recipes of mobile_goto are tested."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from companion.robots import turtlebot3
from companion.tasks._controllers import always, same, shaken, wrapped
from companion.tasks._free_ways import beam_angles, free_way, soonest_touched, straight_ahead, way_round
from companion.tasks._task import Controller, Probe

Floats = NDArray[np.float64]
Signals = Mapping[str, Floats]

MARGIN_M = 0.07
"""Kept free on both sides of the hull; between any two pieces of furniture there is more."""
_HALF_WIDTH_M = turtlebot3.ROBOT.radius_m + MARGIN_M
LOOK_AHEAD_M = 0.9
"""A way that is free so far is free enough."""
STEERING_PER_S = 2.5
BRAKING_M = 0.35
"""Free way ahead below which it slows down."""
SLOW_SHARE = 0.75
"""Of the speed that it could go."""
WAG = 0.6
"""Of the turning action, to and fro."""
BESIDE_M = 0.12
"""Outside the success radius: the way that the robot still rolls when it is told to stop, and as much again."""
GOAL_SIDE_RAD = np.pi / 3
"""What stands within this angle of the goal's direction stands on the goal's side."""


@dataclass(frozen=True)
class Driver:
    """What its controllers must know of the task."""

    success_radius_m: float
    max_turning_speed_radps: float
    """That of action 1."""

    def to_goal(self, signals: Signals) -> Floats:
        """Steer for the free way that leads most nearly to the goal (vector field histogram, Borenstein 1991)."""
        ranges = signals["lidar_range"]
        free = free_way(ranges, _HALF_WIDTH_M)
        wanted_m = np.minimum(signals["goal_distance"], LOOK_AHEAD_M)
        heading = way_round(ranges, free, _goal_bearing(signals), wanted_m)
        return self._steer(heading, np.clip(straight_ahead(free) / BRAKING_M, 0.0, 1.0))

    def to_goal_as_observed(self, signals: Signals) -> Floats:
        """The same of what a policy sees, which is not the ranges but one over each."""
        return self.to_goal({**signals, "lidar_range": 1 / signals["lidar_nearness"]})

    def to_goal_slowly(self, signals: Signals) -> Floats:
        """The same way at part of the speed."""
        forward, turning = self.to_goal(signals).T
        return np.stack((SLOW_SHARE * (forward + 1.0) - 1.0, turning), axis=1)

    def beside_goal(self, signals: Signals) -> Floats:
        """The same way, but stop before success."""
        near = signals["distance"] < self.success_radius_m + BESIDE_M
        return np.where(near, (-1.0, 0.0), self.to_goal(signals))

    def into_goal_side(self, signals: Signals) -> Floats:
        """Head for the nearest thing on the goal's side."""
        ranges = signals["lidar_range"]
        angles = beam_angles(ranges)
        elsewhere = np.abs(wrapped(angles - _goal_bearing(signals))) > GOAL_SIDE_RAD
        return self._steer(angles[np.where(elsewhere, np.inf, ranges).argmin(axis=1)], 1.0)

    def into_nearest(self, signals: Signals) -> Floats:
        """Head for what is touched soonest, the turn towards it counted."""
        speed_mps, turning_radps = turtlebot3.ROBOT.max_forward_speed_mps, self.max_turning_speed_radps
        return self._steer(soonest_touched(signals["lidar_range"], speed_mps, turning_radps), 1.0)

    def _steer(self, heading: Floats, speed: Floats | float) -> Floats:
        """Turn to a heading `[copies]`, rad from straight ahead, and drive at this share of the full speed."""
        turning = np.clip(STEERING_PER_S * heading / self.max_turning_speed_radps, -1.0, 1.0)
        forward = speed * np.clip(np.cos(heading), 0.0, 1.0) ** 2
        return np.stack((2.0 * forward - 1.0, turning), axis=1)


def probes(driver: Driver) -> tuple[Probe, ...]:
    """The probes of mobile_goto."""
    return (
        Probe("right", "good", "Drives to the goal round whatever the scanner shows.", partial(same, driver.to_goal)),
        Probe(
            "right_but_slow", "slow", "Takes the same way at 0.75 of the speed.", partial(same, driver.to_goal_slowly)
        ),
        Probe(
            "right_but_shaking",
            "careless",
            "Takes the same way and wags all along.",
            partial(shaken, driver.to_goal, 0.0, WAG),
        ),
        Probe("freeze", "lazy", "Stands still.", partial(always, -1.0, 0.0)),
        Probe("spin", "lazy", "Turns on the spot.", partial(always, -1.0, 1.0)),
        Probe("vibrate", "lazy", "Wags on the spot.", _wagging),
        Probe("hover", "lazy", "Drives up to the goal and waits beside it.", partial(same, driver.beside_goal)),
        Probe(
            "ram", "unsafe", "Drives into the nearest thing on the goal's side.", partial(same, driver.into_goal_side)
        ),
        Probe("end_early", "unsafe", "Drives into what it touches soonest.", partial(same, driver.into_nearest)),
    )


def _wagging() -> Controller:
    return shaken(always(-1.0, 0.0), 0.0, 1.0)


def _goal_bearing(signals: Signals) -> Floats:
    """Of the goal as localisation sees it, from straight ahead, counter-clockwise `[copies, 1]`, rad."""
    cosine, sine = signals["goal_direction"].T
    return np.arctan2(sine, cosine)[:, None]
