"""Keeps a robot on wheels within its limits: speeds, their changes, and the distance to whatever is in its way.

The scanner can't tell a person from a chair, so that the robot brakes in time for everything in its way; what comes
nearer from one scan to the next is a person, and comes on while the robot brakes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from companion.deploy.safety import BODY_PARTS, Motion, Ramp, contact_speed_mps, ramped, separation_speed_mps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from companion.deploy.freshness import View
    from companion.deploy.profiles import MobileProfile

SHARES = np.linspace(0.95, 0.0, 20)
"""Of the wanted forward speed, tried from most to none."""
LEAST_RETURNS_SHARE = 0.05
"""With fewer rays that come back, the scanner is blind or the place unlike any that it was made for."""
NOISE_MPS = 0.15
"""What seems to come nearer more slowly than this may be noise: 3 cm from scan to scan."""
RUNAWAY_FACTOR, RUNAWAY_MPS = 1.5, 0.2
"""A robot that is faster than this factor of its limit and this much more does not do what it is told."""
_STRAIGHT_RADPS = 1e-4


@dataclass(frozen=True)
class _Scan:
    """Where rays came back, in the robot's frame of now."""

    points: NDArray[np.float64]
    """`[n, 2]`, m."""
    measured_s: float
    """When, by the runtime's clock."""


class BaseGuard:
    """One robot on wheels; commands are forward and turning speed `[2]`, m/s and rad/s."""

    def __init__(self, profile: MobileProfile, period_s: float) -> None:
        self._profile, self._period_s = profile, period_s
        p = profile
        self._ramp = Ramp(
            np.array((p.acceleration_mps2, p.turning_acceleration_radps2)),
            np.array((p.braking_mps2, p.turning_braking_radps2)),
            np.array((p.jerk_mps3, p.turning_jerk_radps3)),
        )
        contact_mps = contact_speed_mps(BODY_PARTS[p.contact_part], p.mass_kg)
        forward_mps = min(p.max_forward_mps, contact_mps)
        backward_mps = min(p.max_backward_mps, contact_mps)
        self._low = np.array((-backward_mps, -p.max_turning_radps))
        self._high = np.array((forward_mps, p.max_turning_radps))
        self._motion = Motion.at_rest(2)
        self._scan: _Scan | None = None
        self._scan_before: _Scan | None = None
        self._moved_s = math.nan

    def rest(self, view: View) -> NDArray[np.float64]:
        """Zeros."""
        self._follow(view)
        self._motion = Motion.at_rest(2)
        return self._motion.speed.copy()

    def limit(self, wanted: NDArray[np.float64] | None, view: View, told: set[str]) -> NDArray[np.float64]:
        """The command nearest to `wanted` that keeps all limits; without `wanted` the robot brakes gently."""
        self._follow(view)
        asked = self._within_speeds(wanted, told)
        motion = ramped(self._motion, asked, self._ramp, self._period_s)
        if np.abs(motion.speed - asked).max() > 1e-9:
            told.add("acceleration")
        if abs(motion.speed[0]) > 0.0 and not self._keeps_apart(motion.speed[None], view)[0]:
            told.add("separation")
            motion = self._slower(asked, view)
        # The last bit of a sum may be beyond the limit.
        self._motion = Motion(np.clip(motion.speed, self._low, self._high), motion.growth)
        return self._motion.speed.copy()

    def is_standing(self, view: View) -> bool:
        """Whether odometry says so."""
        speed = view.values.get("velocity")
        if speed is None or not view.is_fresh("velocity"):
            return False
        return abs(speed[0]) <= self._profile.standing_mps and abs(speed[1]) <= self._profile.standing_radps

    def problems(self, view: View) -> list[str]:
        """A blind scanner, a pressed bumper, a robot that runs away."""
        found = []
        scan, speed = view.values.get("scan"), view.values.get("velocity")
        if scan is not None and np.mean(self._came_back(scan)) < LEAST_RETURNS_SHARE:
            found.append("scan: blind")
        if "contact" in view.values and view.values["contact"][0] > 0.5:
            found.append("contact: pressed")
        if speed is not None and self._runs_away(speed):
            found.append("velocity: faster than told")
        return found

    def _runs_away(self, speed: NDArray[np.float64]) -> bool:
        most = np.array((self._profile.max_forward_mps, self._profile.max_turning_radps))
        return bool((np.abs(speed) > RUNAWAY_FACTOR * most + (RUNAWAY_MPS, 1.0)).any())

    def _within_speeds(self, wanted: NDArray[np.float64] | None, told: set[str]) -> NDArray[np.float64]:
        """Clipped; not a number is none at all."""
        if wanted is None:
            return np.zeros(2)
        if wanted.shape != (2,) or not np.isfinite(wanted).all():
            told.add("not finite")
            return np.zeros(2)
        asked = np.clip(wanted, self._low, self._high)
        if (asked != wanted).any():
            told.add("speed")
        return asked

    def _slower(self, asked: NDArray[np.float64], view: View) -> Motion:
        """On the way to the greatest share of the forward speed that keeps apart, still turning as asked."""
        tried = ramped(
            self._motion, asked * np.stack((SHARES, np.ones_like(SHARES)), axis=1), self._ramp, self._period_s
        )
        # Braking as hard as may be is the last one, and always right.
        chosen = int(np.argmax(np.append(self._keeps_apart(tried.speed[:-1], view), True)))
        return Motion(tried.speed[chosen], tried.growth[chosen])

    def _keeps_apart(self, speeds: NDArray[np.float64], view: View) -> NDArray[np.bool_]:
        return np.abs(speeds[:, 0]) <= self._allowed_mps(speeds, view)

    def _allowed_mps(self, speeds: NDArray[np.float64], view: View) -> NDArray[np.float64]:
        """How fast the robot may be on each of the ways of `speeds` `[k, 2]`, for what is in them, `[k]`."""
        keeps = self._profile.separation
        if self._scan is None:
            return np.zeros(len(speeds))
        age_s = max(view.now_s - self._scan.measured_s, 0.0)
        free = self._free_m(speeds, self._scan.points)
        coming = np.zeros(len(speeds))
        if self._scan_before is not None:
            gone_s = max(self._scan.measured_s - self._scan_before.measured_s, self._period_s)
            coming = (self._free_m(speeds, self._scan_before.points) - free) / gone_s
            coming = np.where(coming > NOISE_MPS, np.minimum(coming, keeps.person_speed_mps), 0.0)
        allowed = separation_speed_mps(free, coming, keeps, age_s)
        if "person_distance" in view.values:
            distance, age_s = float(view.values["person_distance"][0]), view.age_s["person_distance"]
            allowed = np.minimum(allowed, separation_speed_mps(distance, keeps.person_speed_mps, keeps, age_s))
        return allowed

    def _free_m(self, speeds: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
        radius = self._profile.radius_m
        # Nothing beyond its greatest range is known to the scanner.
        return np.minimum(free_way_m(speeds, points, radius, self._profile.side_margin_m), self._profile.lidar_max_m)

    def _follow(self, view: View) -> None:
        """Carry the last scans along with the robot, and take in a new one."""
        elapsed_s = view.now_s - self._moved_s if math.isfinite(self._moved_s) else 0.0
        speed = view.values.get("velocity", np.zeros(2))
        self._moved_s = view.now_s
        self._scan = _carried(self._scan, speed, elapsed_s)
        self._scan_before = _carried(self._scan_before, speed, elapsed_s)
        if "scan" not in view.values:
            return
        measured_s = view.now_s - view.age_s["scan"]
        if self._scan is None or measured_s > self._scan.measured_s + 1e-6:
            fresh = _carried(_Scan(self._points(view.values["scan"]), measured_s), speed, view.age_s["scan"])
            self._scan, self._scan_before = fresh, self._scan

    def _came_back(self, ranges: NDArray[np.float64]) -> NDArray[np.bool_]:
        p = self._profile
        with np.errstate(invalid="ignore"):
            return (ranges >= p.lidar_min_m) & (ranges < p.lidar_max_m)

    def _points(self, ranges: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where rays came back, in the robot's frame."""
        came = self._came_back(ranges)
        bearing = np.flatnonzero(came) * (2 * np.pi / len(ranges))
        way = ranges[came, None] * np.stack((np.cos(bearing), np.sin(bearing)), axis=1)
        return way + np.array(self._profile.lidar_position_base_m)


def _carried(scan: _Scan | None, speed: NDArray[np.float64], elapsed_s: float) -> _Scan | None:
    """The points as a robot sees them that has moved on at this forward and turning speed."""
    if scan is None or not len(scan.points):
        return scan
    forward, turning = float(speed[0]), float(speed[1])
    turned = turning * elapsed_s
    # Along an arc: the chord's length and direction.
    half = turned / 2
    chord = forward * elapsed_s * (math.sin(half) / half if abs(half) > 1e-9 else 1.0)
    points = scan.points - np.array((chord * math.cos(half), chord * math.sin(half)))
    cos, sin = math.cos(turned), math.sin(turned)
    x, y = points[:, 0], points[:, 1]
    return _Scan(np.stack((cos * x + sin * y, cos * y - sin * x), axis=1), scan.measured_s)


def free_way_m(
    speeds: NDArray[np.float64], points: NDArray[np.float64], radius_m: float, margin_m: float
) -> NDArray[np.float64]:
    """How far a round robot gets on the ways of `speeds` until it touches a point, `[k]` m; infinite if it never does.

    It goes straight or round in circles; standing or turning on the spot it touches nothing. A point within the margin
    beside it is in its way only as far as the robot moves nearer to it.

    Args:
        speeds: forward and turning speeds `[k, 2]`, m/s and rad/s.
        points: in the robot's frame `[n, 2]`, m.
        radius_m: of the robot.
        margin_m: on its radius.
    """
    if not len(points):
        return np.full(len(speeds), np.inf)
    forward, turning = speeds[:, :1], speeds[:, 1:]
    ahead = np.where(forward < 0.0, -1.0, 1.0)
    # Driving backward is driving forward with the world turned round.
    x, y = points[None, :, 0] * ahead, points[None, :, 1] * ahead
    distance = np.hypot(x, y)
    reach = np.minimum(radius_m + margin_m, distance * (1 - 1e-9))
    straight = _free_straight(x, y, reach)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        to_centre = np.abs(forward) / np.where(np.abs(turning) < _STRAIGHT_RADPS, np.nan, turning)
        bent = _free_bent(x, y, reach, to_centre)
    way = np.where(np.isfinite(to_centre), bent, straight)
    way = np.where(np.abs(forward) < 1e-9, np.inf, way)
    return way.min(axis=1)


def _free_straight(x: NDArray[np.float64], y: NDArray[np.float64], reach: NDArray[np.float64]) -> NDArray[np.float64]:
    """Straight ahead, to each point `[k, n]`."""
    in_way = (np.abs(y) < reach) & (x > 0.0)
    return np.where(in_way, np.maximum(x - np.sqrt(np.maximum(reach * reach - y * y, 0.0)), 0.0), np.inf)


def _free_bent(
    x: NDArray[np.float64], y: NDArray[np.float64], reach: NDArray[np.float64], to_centre: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Round a centre that lies so far to the left `[k, 1]`, or to the right if below 0, to each point `[k, n]`.

    By the law of cosines in the triangle of the centre, the point and the robot when it touches the point.
    """
    side, radius = np.sign(to_centre), np.abs(to_centre)
    # Seen with the centre to the left; angles from the centre, counter-clockwise, the robot starts at -90 degrees.
    away_x, away_y = x, y * side - radius
    away = np.maximum(np.hypot(away_x, away_y), 1e-12)
    cosine = (radius * radius + away * away - reach * reach) / np.maximum(2.0 * radius * away, 1e-12)
    meets = np.abs(cosine) <= 1.0
    angle = np.arctan2(away_x, -away_y)  # from the robot's start to the point's bearing, in the sense of motion
    turn = angle - np.arccos(np.clip(cosine, -1.0, 1.0))
    # What it touches already and moves nearer to is met at once, rounding or not.
    slack = 1e-3 * reach / np.maximum(radius, 1e-12)
    turn = np.where(turn < -slack, turn + 2 * np.pi, np.maximum(turn, 0.0))
    return np.where(meets, radius * turn, np.inf)
