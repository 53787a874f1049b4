"""How far the robot, or its tool, is from what it should reach."""

from typing import Annotated

import numpy as np

from companion.rewards.terms import Quantity, SignalArray, Values
from companion.rewards.terms._tolerance import tolerance


def distance_to_goal(distance: SignalArray) -> Annotated[Values, Quantity(0, unit="m", better="less")]:
    """True distance to the goal or target."""
    return distance[:, 0]


def closeness(distance: SignalArray, *, reach_m: float = 5.0) -> Annotated[Values, Quantity(0, 1, better="more")]:
    """1 at the goal or target, linearly down to 0 at `reach_m` from it.

    As a potential it is the one to take: it is never negative, so that neither waiting nor an early end pays.
    """
    return np.clip(1.0 - distance[:, 0] / max(reach_m, 1e-6), 0.0, 1.0)


def closeness_by_way(way: SignalArray, *, reach_m: float = 5.0) -> Annotated[Values, Quantity(0, 1, better="more")]:
    """As `closeness`, of the shortest way round what stands between."""
    return np.clip(1.0 - way[:, 0] / max(reach_m, 1e-6), 0.0, 1.0)


def approaching(approach_speed: SignalArray) -> Annotated[Values, Quantity(unit="m/s", better="more")]:
    """How fast the distance to the goal shrinks; summed over time it is the way gained, undiscounted."""
    return approach_speed[:, 0]


def near_goal(
    distance: SignalArray, *, within_m: float = 0.0, margin_m: float = 0.5
) -> Annotated[Values, Quantity(0, 1, better="more")]:
    """1 within `within_m` of the goal or target, smoothly down to 0.1 at `margin_m` beyond."""
    return tolerance(distance[:, 0], upper=within_m, margin=margin_m)


def facing_goal(goal_direction: SignalArray) -> Annotated[Values, Quantity(-1, 1, better="more")]:
    """Cosine of the angle between the robot's heading and the goal's direction."""
    return goal_direction[:, 0]


def reached(success: SignalArray) -> Annotated[Values, Quantity(0, 1, better="more", momentary=True)]:
    """1 on the step on which the episode succeeds, else 0."""
    return success[:, 0]


def holding(held_s: SignalArray) -> Annotated[Values, Quantity(0, 1, better="more")]:
    """1 while the tool stays at its target, else 0."""
    return (held_s[:, 0] > 0.0).astype(np.float64)
