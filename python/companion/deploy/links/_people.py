"""How far the nearest person is from an arm: from a laser scanner beside it, or from who tells where that person is.

Neither knows the arm. From its joints comes where its parts are, and the distance is that of the nearest of them, as
`PERSON_DISTANCE` has it. A scanner sees legs in one plane, so that heights are left out there: what leans over is not
seen, and the profile's intrusion distance is for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from companion.robots import ur5e

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOBODY_M = 50.0
"""Where a tracker sees nobody at all."""
MOST_UNKNOWN_SHARE = 0.05
"""Of a scan's rays; with more of them that are no number nobody knows who stands there."""
LEAST_RETURNS_SHARE = 0.05
"""With fewer rays that come back from anything, walls included, the scanner is blind."""
PART_RADIUS_M = (0.1, 0.2, 0.08, 0.06, 0.06, 0.06, 0.04)
"""About the lines from joint to joint, the flange and the tool's tip. The upper arm stands beside its line."""


@dataclass(frozen=True)
class Zone:
    """Where a scanner stands and what it watches, in base_link; within, there is nothing that stays but the arm."""

    x_m: float
    y_m: float
    yaw_rad: float
    """Of the scanner."""
    from_rad: float
    to_rad: float
    """Bearings from the arm's base; the zone goes from one to the other counter-clockwise."""
    radius_m: float
    """About the arm's base."""

    def holds(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the points `[n, 2]` are in it."""
        bearing = (np.arctan2(points[:, 1], points[:, 0]) - self.from_rad) % (2 * math.pi)
        width = self.to_rad - self.from_rad
        is_ahead = bearing <= width % (2 * math.pi) if abs(width) < 2 * math.pi - 1e-9 else np.ones(len(points), bool)
        return is_ahead & (np.hypot(points[:, 0], points[:, 1]) <= self.radius_m)


def zone_of(pose: str, zone: str) -> Zone:
    """From a link's settings: the scanner's x, y and yaw; the zone's bearings and radius.

    Raises:
        ValueError: if one is not three numbers, or the zone is nothing.
    """
    numbers = [*_three("person_scan_pose", pose, "X,Y,YAW"), *_three("person_zone", zone, "FROM,TO,RADIUS")]
    found = Zone(*numbers)
    if not (found.radius_m > 0 and found.from_rad < found.to_rad):
        raise ValueError(f"person_zone={zone}: FROM must be below TO, and RADIUS above 0")
    return found


def _three(name: str, text: str, form: str) -> list[float]:
    try:
        found = [float(word) for word in text.split(",")]
    except ValueError:
        found = []
    if len(found) != 3 or not all(map(math.isfinite, found)):
        raise ValueError(f"{name}={text}: expected {form} in base_link, m and rad, where person_from=scan")
    return found


class ScanError(ValueError):
    """A scan from which nobody can tell how far people are; its only argument says why."""


def distance_in_scan(message: Any, zone: Zone, joint_position: NDArray[np.float64]) -> float:
    """From the arm to what stands in the zone, horizontally, m; where nothing does, to the zone's end.

    Args:
        message: a LaserScan. NaN and 0 are rays that nobody knows anything of; what is nearer than the scanner can
            measure is as near as it can.
        zone: what is watched.
        joint_position: of the arm `[6]`, rad.

    Raises:
        ScanError: if the scanner is blind or tells too little.
    """
    parts = arm_parts_base(joint_position)[:, :2]
    points = _points(message)
    here = np.array((zone.x_m, zone.y_m))
    cos, sin = math.cos(zone.yaw_rad), math.sin(zone.yaw_rad)
    points = points @ np.array(((cos, sin), (-sin, cos))) + here
    inside = points[zone.holds(points)]
    beyond = zone.radius_m - float(np.hypot(*parts.T).max())
    return max(min(beyond, _nearest(inside, parts)), 0.0)


def distance_to_point(point: NDArray[np.float64], joint_position: NDArray[np.float64]) -> float:
    """From the arm to a point `[3]` in base_link, m; not a number where that is none, far where it is infinite."""
    if np.isinf(point).any():
        return NOBODY_M
    if np.isnan(point).any():
        return math.nan
    return max(_nearest(point[None], arm_parts_base(joint_position)), 0.0)


def arm_parts_base(joint_position: NDArray[np.float64]) -> NDArray[np.float64]:
    """The arm's joints from base to wrist, its flange and the tool's tip in base_link `[8, 3]`, m."""
    arm = ur5e.kinematics_base(joint_position[None])
    return np.concatenate((arm.origin_m[0], arm.flange_m, arm.point_base(ur5e.ROBOT.tool_length_m)))


def _points(message: Any) -> NDArray[np.float64]:
    """Where rays came back, in the scanner's frame `[n, 2]`, m."""
    ranges = np.array(message.ranges, np.float64)
    least, greatest = float(message.range_min), float(message.range_max)
    if not (len(ranges) and math.isfinite(greatest) and math.isfinite(float(message.angle_increment))):
        raise ScanError("person_scan_without_range_or_angle")
    unknown = np.isnan(ranges) | (ranges == 0.0)
    if np.mean(unknown) > MOST_UNKNOWN_SHARE:
        raise ScanError("person_scan_unknown")
    came = ~unknown & (ranges <= greatest)
    if np.mean(came) < LEAST_RETURNS_SHARE:
        raise ScanError("person_scan_blind")
    way = np.maximum(ranges[came], least)
    angle = float(message.angle_min) + float(message.angle_increment) * np.flatnonzero(came)
    return way[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=1)


def _nearest(points: NDArray[np.float64], parts: NDArray[np.float64]) -> float:
    """From any of the points `[n, d]` to any of the arm's links along `parts` `[8, d]`; infinite without points."""
    if not len(points):
        return math.inf
    begin, along = parts[:-1], np.diff(parts, axis=0)
    length2 = np.maximum((along * along).sum(axis=1), 1e-12)
    share = np.clip(((points[:, None] - begin) * along).sum(axis=2) / length2, 0.0, 1.0)
    apart = np.linalg.norm(points[:, None] - (begin + share[:, :, None] * along), axis=2)
    return float((apart - np.array(PART_RADIUS_M)).min())
