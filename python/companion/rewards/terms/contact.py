"""What the robot touches, or comes too close to."""

from typing import Annotated

import numpy as np

from companion.rewards.terms import Quantity, SignalArray, Values


def touched(contact: SignalArray) -> Annotated[Values, Quantity(0, 1, better="less", momentary=True)]:
    """1 on a step with a contact that the task forbids, else 0."""
    return contact[:, 0]


def too_close(clearance: SignalArray, *, wanted_m: float = 0.3) -> Annotated[Values, Quantity(0, 1, better="less")]:
    """0 where there is `wanted_m` of free space around the robot, rising linearly to 1 at a touch."""
    return np.clip(1.0 - clearance[:, 0] / max(wanted_m, 1e-6), 0.0, 1.0)


def on_collision_course(
    person_contact_in_s: SignalArray, *, within_s: float = 2.0
) -> Annotated[Values, Quantity(0, 1, better="less")]:
    """0 where nobody would be touched within `within_s` if all went on as they do, rising linearly to 1 at a touch."""
    return np.clip(1.0 - person_contact_in_s[:, 0] / max(within_s, 1e-6), 0.0, 1.0)
