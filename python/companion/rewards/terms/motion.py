"""How the robot moves on its way: smoothness, speed and effort."""

import numpy as np

from companion.rewards.terms import SignalArray, Values


def _mean_square(signal: SignalArray) -> Values:
    return np.einsum("ij,ij->i", signal, signal) / signal.shape[1]


def action_squared(previous_action: SignalArray) -> Values:
    """Mean square of the entries of the action just taken; 0 to 1."""
    return _mean_square(previous_action)


def action_change_squared(action_change: SignalArray) -> Values:
    """Mean square of the change of the action from one decision to the next; 0 to 4."""
    return _mean_square(action_change)


def joint_speed_squared(joint_speed: SignalArray) -> Values:
    """Mean square of the joint speeds, at least 0, in (rad/s)²."""
    return _mean_square(joint_speed)


def tool_speed_squared(tool_speed: SignalArray) -> Values:
    """Square of the tool's speed, at least 0, in (m/s)²."""
    return tool_speed[:, 0] ** 2


def turning_squared(turning_speed: SignalArray) -> Values:
    """Square of a wheeled robot's turning speed, at least 0, in (rad/s)²."""
    return turning_speed[:, 0] ** 2


def power_used(power: SignalArray) -> Values:
    """Mechanical power of all motors, at least 0, in W."""
    return power[:, 0]
