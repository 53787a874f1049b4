"""How well the robot walks with a person: where it shall be, not in the way, calm when near."""

from typing import Annotated

import numpy as np

from companion.rewards.terms import Quantity, SignalArray, Values
from companion.rewards.terms._tolerance import tolerance


def keeping_band(
    in_band: SignalArray, distance: SignalArray, *, wanted_m: float = 1.25, margin_m: float = 0.25
) -> Annotated[Values, Quantity(0, 1, better="more")]:
    """0 unless the robot is where it shall be, turned to the person and not in their way; 1 at `wanted_m` from them.

    It falls to a half at `margin_m` from there: who keeps to the middle of the band is not thrown out by a step.
    """
    return in_band[:, 0] * tolerance(np.abs(distance[:, 0] - wanted_m), margin=margin_m, value_at_margin=0.5)


def near_band(
    distance: SignalArray, *, wanted_m: float = 1.25, margin_m: float = 0.75
) -> Annotated[Values, Quantity(0, 1, better="more")]:
    """1 at `wanted_m` from the person, smoothly down to 0.1 at `margin_m` nearer or farther."""
    return tolerance(np.abs(distance[:, 0] - wanted_m), margin=margin_m)


def facing_person(facing: SignalArray) -> Annotated[Values, Quantity(-1, 1, better="more")]:
    """Cosine of the angle by which the robot is turned away from the person."""
    return facing[:, 0]


def standing_in_way(in_way: SignalArray) -> Annotated[Values, Quantity(0, 1, better="less")]:
    """1 while the person walks straight towards the robot, else 0."""
    return in_way[:, 0]


def moving_near_person(
    speed_near_person: SignalArray,
) -> Annotated[Values, Quantity(0, unit="m/s", better="less")]:
    """How fast the robot drives while somebody is nearer to its middle than 0.7 m."""
    return speed_near_person[:, 0]


def jerk_squared(jerk: SignalArray) -> Annotated[Values, Quantity(0, unit="(m/s³)²", better="less")]:
    """Square of the change of the robot's acceleration per second: what makes its driving uncomfortable to see."""
    return jerk[:, 0] ** 2
