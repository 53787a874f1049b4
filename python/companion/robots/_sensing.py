"""Between a robot's raw measurements and its policy: pure functions that the simulator and the robot share.

They stand here because both the tasks and `deploy` may look down to the robots; Python 3.8 and numpy are enough.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_LEAD_RAD = 0.15
"""The commanded joint positions of an arm run ahead of the measured ones by no more than this."""


def nearest_per_sector(ranges: NDArray[Any], sectors: int) -> NDArray[Any]:
    """The least range of each of so many equal sectors, `[k, sectors]`; sector 0 lies about the first ray."""
    rays = ranges.shape[1] // sectors
    turned = np.roll(ranges, rays // 2, axis=1)
    return functools.reduce(np.minimum, (turned[:, ray::rays] for ray in range(rays)))


def in_robot_frame(vector: NDArray[np.float64], yaw: NDArray[np.float64]) -> NDArray[np.float64]:
    """World vectors `[k, 2]` ahead and to the left of a robot with this yaw `[k, 1]`, rad."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    x, y = vector[:, :1], vector[:, 1:]
    return np.concatenate((cos * x + sin * y, cos * y - sin * x), axis=1)


def led_command(
    command: NDArray[np.float64],
    step: NDArray[np.float64],
    position: NDArray[np.float64],
    joint_limit_rad: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Joint commands `[k, joints]` a step further on, never far ahead of the measured `position`, rad."""
    lead = np.clip(command + step - position, -MAX_LEAD_RAD, MAX_LEAD_RAD)
    return np.clip(position + lead, -joint_limit_rad, joint_limit_rad)
