"""How far the robot, or its tool, is from what it should reach."""

import numpy as np

from companion.rewards.terms import SignalArray, Values
from companion.rewards.terms._tolerance import tolerance


def distance_to_goal(distance: SignalArray) -> Values:
    """True distance to the goal or target, at least 0, in m."""
    return distance[:, 0]


def closeness(distance: SignalArray, *, reach_m: float = 5.0) -> Values:
    """1 at the goal or target, linearly down to 0 at `reach_m` from it; 0 to 1.

    As a potential it is the one to take: it is never negative, so that neither waiting nor an early end pays.
    """
    return np.clip(1.0 - distance[:, 0] / max(reach_m, 1e-6), 0.0, 1.0)


def approaching(approach_speed: SignalArray) -> Values:
    """How fast the distance to the goal shrinks, in m/s; summed over time it is the way gained, undiscounted."""
    return approach_speed[:, 0]


def near_goal(distance: SignalArray, *, within_m: float = 0.0, margin_m: float = 0.5) -> Values:
    """1 within `within_m` of the goal or target, smoothly down to 0.1 at `margin_m` beyond; 0 to 1."""
    return tolerance(distance[:, 0], upper=within_m, margin=margin_m)


def facing_goal(goal_direction: SignalArray) -> Values:
    """Cosine of the angle between the robot's heading and the goal's direction; -1 to 1."""
    return goal_direction[:, 0]


def reached(success: SignalArray) -> Values:
    """1 on the step on which the episode succeeds, else 0."""
    return success[:, 0]


def holding(held_s: SignalArray) -> Values:
    """1 while the tool stays at its target, else 0."""
    return (held_s[:, 0] > 0.0).astype(np.float64)
