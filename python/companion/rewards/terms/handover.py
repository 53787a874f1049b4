"""How something is handed to a person."""

from typing import Annotated

import numpy as np

from companion.rewards.terms import Quantity, SignalArray, Values
from companion.rewards.terms._tolerance import tolerance


def going_with_hand(
    distance: SignalArray, relative_speed: SignalArray, *, margin_m: float = 0.1, margin_mps: float = 0.2
) -> Annotated[Values, Quantity(0, 1, better="more")]:
    """1 where the object is at the hand and moves as the hand does, falling to 0.1 at either margin."""
    return tolerance(distance[:, 0], margin=margin_m) * tolerance(relative_speed[:, 0], margin=margin_mps)


def hurried_near_person(
    speed_near_person: SignalArray, *, limit_mps: float = 0.25
) -> Annotated[Values, Quantity(0, 1, better="less")]:
    """0 up to the limit of the speed near a person, rising linearly to 1 at twice the limit.

    0.25 m/s is what ISO 10218-1 allows a robot that is guided by hand or taught by somebody beside it.
    """
    return np.clip(speed_near_person[:, 0] / max(limit_mps, 1e-6) - 1.0, 0.0, 1.0)


def touched_person(contact_person: SignalArray) -> Annotated[Values, Quantity(0, 1, better="less", momentary=True)]:
    """1 on a step with a contact with a person that the task forbids, else 0."""
    return contact_person[:, 0]


def near_forearm(
    forearm_clearance: SignalArray, *, wanted_m: float = 0.06
) -> Annotated[Values, Quantity(0, 1, better="less")]:
    """0 with `wanted_m` or more between the object and the person's forearm, 1 at a touch."""
    return np.clip(1.0 - forearm_clearance[:, 0] / max(wanted_m, 1e-6), 0.0, 1.0)
