"""How the robot moves on its way: smoothness, speed and effort."""

from typing import Annotated

import numpy as np

from companion.rewards.terms import Quantity, SignalArray, Values


def _mean_square(signal: SignalArray) -> Values:
    return np.einsum("ij,ij->i", signal, signal) / signal.shape[1]


def action_squared(previous_action: SignalArray) -> Annotated[Values, Quantity(0, 1, better="less")]:
    """Mean square of the entries of the action just taken."""
    return _mean_square(previous_action)


def action_change_squared(action_change: SignalArray) -> Annotated[Values, Quantity(0, 4, better="less")]:
    """Mean square of the change of the action from one decision to the next."""
    return _mean_square(action_change)


def joint_speed_squared(
    joint_speed: SignalArray,
) -> Annotated[Values, Quantity(0, unit="(rad/s)²", better="less")]:
    """Mean square of the joint speeds."""
    return _mean_square(joint_speed)


def tool_speed_squared(tool_speed: SignalArray) -> Annotated[Values, Quantity(0, unit="(m/s)²", better="less")]:
    """Square of the tool's speed."""
    return tool_speed[:, 0] ** 2


def turning_squared(turning_speed: SignalArray) -> Annotated[Values, Quantity(0, unit="(rad/s)²", better="less")]:
    """Square of a wheeled robot's turning speed."""
    return turning_speed[:, 0] ** 2


def power_used(power: SignalArray) -> Annotated[Values, Quantity(0, unit="W", better="less")]:
    """Mechanical power of all motors."""
    return power[:, 0]
