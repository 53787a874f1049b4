"""Where a robot can drive by what its scanner shows; ranges are `[copies, beams]`, m, counter-clockwise from ahead."""

import numpy as np
from numpy.typing import NDArray

from companion.tasks._controllers import wrapped

Floats = NDArray[np.float64]

BLOCKED_RAD = 4.0
"""A way that is blocked at once is as bad as a detour of so many radians."""
HEADING_SHARE = 0.35
"""What a turn away from the present heading costs, of a turn away from the goal: a side once taken is kept to."""


def beam_angles(ranges: Floats) -> Floats:
    """Where the beams look, from straight ahead, counter-clockwise `[beams]`, rad."""
    beams = ranges.shape[1]
    return wrapped(2 * np.pi * np.arange(beams) / beams)


def free_way(ranges: Floats, half_width_m: float) -> Floats:
    """How far a robot gets in each beam's direction before it touches what the beams hit `[copies, beams]`, m."""
    angles = beam_angles(ranges)
    between = angles - angles[:, None]
    along, aside = ranges[:, None] * np.cos(between), ranges[:, None] * np.sin(between)
    inside = half_width_m**2 - aside**2
    reach = np.where((inside > 0) & (along > 0), along - np.sqrt(np.maximum(inside, 0.0)), np.inf)
    return np.maximum(reach.min(axis=2), 0.0)


def way_round(ranges: Floats, free: Floats, bearing: Floats, wanted_m: Floats) -> Floats:
    """The heading `[copies]`, rad, of the free way that leads most nearly to a `bearing` `[copies, 1]`, rad.

    A way that is free for `wanted_m` `[copies, 1]` is free enough (vector field histogram, Borenstein 1991).
    """
    angles = beam_angles(ranges)
    blocked = 1.0 - np.minimum(free / wanted_m, 1.0)
    cost = np.abs(wrapped(angles - bearing)) + HEADING_SHARE * np.abs(angles) + BLOCKED_RAD * blocked
    return angles[cost.argmin(axis=1)]


def straight_ahead(free: Floats) -> Floats:
    """The shortest free way `[copies]`, m, of the beam ahead and its neighbours."""
    return free[:, [0, 1, -1]].min(axis=1)


def soonest_touched(ranges: Floats, speed_mps: float, turning_radps: float) -> Floats:
    """The heading `[copies]`, rad, of what is touched soonest, the turn towards it counted."""
    angles = beam_angles(ranges)
    return angles[(ranges / speed_mps + np.abs(angles) / turning_radps).argmin(axis=1)]
