"""What the robot touches, or comes too close to."""

import numpy as np

from companion.rewards.terms import SignalArray, Values


def touched(contact: SignalArray) -> Values:
    """1 on a step with a contact that the task forbids, else 0."""
    return contact[:, 0]


def too_close(clearance: SignalArray, *, wanted_m: float = 0.3) -> Values:
    """0 where there is `wanted_m` of free space around the robot, rising linearly to 1 at a touch; 0 to 1."""
    return np.clip(1.0 - clearance[:, 0] / max(wanted_m, 1e-6), 0.0, 1.0)
