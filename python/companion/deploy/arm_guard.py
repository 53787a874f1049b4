"""Keeps an arm on a table within its limits: joints, their speeds and changes, workspace, table, the tool's speed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from companion.deploy.safety import BODY_PARTS, Motion, Ramp, contact_speed_mps, ramped, separation_speed_mps
from companion.robots import ur5e

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from companion.deploy.freshness import View
    from companion.deploy.profiles import ArmProfile

SHARES = np.linspace(0.95, 0.0, 20)
"""Of the wanted joint speeds, tried from most to none."""
RUNAWAY_FACTOR = 1.5
"""A joint that is faster than this factor of the limit does not do what it is told."""
ELBOW, WRIST = 2, 3
"""Joints whose axes stand where the arm's own elbow and wrist do."""


class ArmGuard:
    """One arm; commands are joint positions `[6]`, rad."""

    def __init__(self, profile: ArmProfile, period_s: float) -> None:
        self._profile, self._period_s = profile, period_s
        p = profile
        every = np.ones(6)
        self._ramp = Ramp(
            p.joint_acceleration_radps2 * every, p.joint_braking_radps2 * every, p.joint_jerk_radps3 * every
        )
        self._joint_limit = np.array(p.joint_limit_rad)
        self._low, self._high = np.array(p.reach_low_base_m), np.array(p.reach_high_base_m)
        self._reduced_mps = min(p.reduced_speed_mps, contact_speed_mps(BODY_PARTS[p.contact_part], p.moving_mass_kg))
        self._command: NDArray[np.float64] | None = None
        self._motion = Motion.at_rest(6)
        self._is_held = False

    def rest(self, view: View) -> NDArray[np.float64] | None:
        """The joint positions at which the arm stays; None while they are unknown or outside the limits.

        An arm that does not tell where it is is told nothing: its own controller keeps it where it was told to be last,
        and what would be right for it when it comes back nobody knows.
        """
        measured = self._measured(view)
        self._motion = Motion.at_rest(6)
        if measured is None:
            self._is_held = False
            return None
        is_away = self._command is None or np.abs(self._command - measured).max() > self._profile.max_lead_rad
        if self._command is None or is_away or not self._is_held:
            self._command, self._is_held = self._by_now(measured, view), True
        return self._command.copy()

    def limit(self, wanted: NDArray[np.float64] | None, view: View, told: set[str]) -> NDArray[np.float64] | None:
        """The command nearest to `wanted` that keeps all limits; without `wanted` the arm brakes gently."""
        has_stopped = wanted is None and not self._motion.speed.any()
        if self._command is None or has_stopped:
            return self.rest(view)
        self._is_held = False
        asked = np.zeros(6) if wanted is None else self._asked_speed(self._command, wanted, view, told)
        motion = ramped(self._motion, asked, self._ramp, self._period_s)
        if np.abs(motion.speed - asked).max() > 1e-9:
            told.add("acceleration")
        broken = "" if wanted is None else self._breaks(motion.speed[None], view)[0]
        if broken:
            told.add(broken)
            motion = self._slower(asked, view)
        self._motion = motion
        self._command = self._kept(self._command + motion.speed * self._period_s)
        return self._command.copy()

    def is_standing(self, view: View) -> bool:
        """Whether the joints' velocities say so."""
        speed = view.values.get("joint_velocity")
        if speed is None or not view.is_fresh("joint_velocity"):
            return False
        return bool(np.abs(speed).max() <= self._profile.standing_radps)

    def problems(self, view: View) -> list[str]:
        """Joints where they must not be, a contact, an arm that runs away."""
        found = []
        position, speed = view.values.get("joint_position"), view.values.get("joint_velocity")
        if position is not None and (np.abs(position) > self._joint_limit).any():
            found.append("joint_position: outside the joints' limits")
        if "contact" in view.values and view.values["contact"][0] > 0.5:
            found.append("contact: pressed")
        if speed is not None and np.abs(speed).max() > RUNAWAY_FACTOR * self._profile.max_joint_speed_radps:
            found.append("joint_velocity: faster than told")
        return found

    def _measured(self, view: View) -> NDArray[np.float64] | None:
        position = view.values.get("joint_position")
        if position is None or not view.is_fresh("joint_position") or (np.abs(position) > self._joint_limit).any():
            return None
        return position

    def _by_now(self, measured: NDArray[np.float64], view: View) -> NDArray[np.float64]:
        """Where the arm is by now, lest it is pulled back: on from where it was measured, not beyond its command."""
        speed = view.values.get("joint_velocity")
        if speed is None or self._command is None:
            return measured
        moved = measured + speed * min(view.age_s["joint_position"], self._period_s)
        return np.clip(moved, np.minimum(measured, self._command), np.maximum(measured, self._command))

    def _asked_speed(
        self, command: NDArray[np.float64], wanted: NDArray[np.float64], view: View, told: set[str]
    ) -> NDArray[np.float64]:
        """The joint speeds that lead to `wanted`, within the joints' limits, the lead and the speed; rad/s."""
        if wanted.shape != (6,) or not np.isfinite(wanted).all():
            told.add("not finite")
            return np.zeros(6)
        kept = np.clip(wanted, -self._joint_limit, self._joint_limit)
        if (kept != wanted).any():
            told.add("joint limit")
        measured = view.values["joint_position"]
        lead = self._profile.max_lead_rad
        led = np.clip(kept, measured - lead, measured + lead)
        if np.abs(led - kept).max() > 1e-9:
            told.add("lead")
        speed = (led - command) / self._period_s
        most = self._profile.max_joint_speed_radps
        fastest = np.abs(speed).max()
        if fastest > most:
            told.add("joint speed")
            speed = speed * (most / fastest)
        return speed

    def _slower(self, asked: NDArray[np.float64], view: View) -> Motion:
        """On the way to the greatest share of these joint speeds that breaks no limit."""
        tried = ramped(self._motion, asked * SHARES[:, None], self._ramp, self._period_s)
        good = np.array([reason == "" for reason in self._breaks(tried.speed[:-1], view)] + [True])
        chosen = int(np.argmax(good))  # Braking as hard as may be is the last one, and always right.
        return Motion(tried.speed[chosen], tried.growth[chosen])

    def _breaks(self, speeds: NDArray[np.float64], view: View) -> list[str]:
        """Which limit in space each of these joint speeds `[k, 6]` would break, "" where none."""
        assert self._command is not None
        now, period = self._command, self._period_s
        # Where the joints come to a stop from there at the latest.
        after = now + speeds * period
        stopped = after + np.sign(speeds) * speeds * speeds / (2.0 * self._ramp.braking)
        parts = _parts(np.concatenate((now[None], after, stopped)))
        count = len(speeds)
        here, next_ = parts[:1], parts[1 : count + 1]
        tool_mps = np.linalg.norm((next_ - here)[:, 2:], axis=2).max(axis=1) / period
        too_near = tool_mps > self._allowed_mps(view) + 1e-9
        depth, depth_here = self._depth(parts[count + 1 :]), self._depth(here)
        # What is outside already may come back in, no farther out.
        outside = depth > np.maximum(depth_here, 0.0) + 1e-6
        names = ("table", "workspace", "base")
        return [
            "separation" if near else next((name for name, bad in zip(names, row) if bad), "")  # noqa: B905 (3.8)
            for near, row in zip(too_near, outside)  # noqa: B905 (3.8)
        ]

    def _allowed_mps(self, view: View) -> float:
        """How fast the tool may be: as far as people are away, or slow enough to bump into them."""
        if "person_distance" not in view.values:
            return self._reduced_mps
        keeps = self._profile.separation
        distance, age_s = float(view.values["person_distance"][0]), view.age_s["person_distance"]
        return float(separation_speed_mps(distance, keeps.person_speed_mps, keeps, age_s))

    def _depth(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far the arm is beyond table, workspace and the tool's distance from the base, `[k, 3]` m; below 0 within.

        Args:
            parts: elbow, wrist, flange, tool in base_link `[k, 4, 3]`, m.
        """
        p = self._profile
        table = (np.array(RADIUS_M) + p.table_clearance_m - parts[:, :, 2]).max(axis=1)
        hand = parts[:, 1:]
        box = np.maximum(self._low - hand, hand - self._high).max(axis=(1, 2))
        base = p.column_radius_m - np.hypot(parts[:, 3, 0], parts[:, 3, 1])
        return np.stack((table, box, base), axis=1)

    def _kept(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(command, -self._joint_limit, self._joint_limit)


RADIUS_M = (0.05, 0.042, 0.036, 0.0)
"""Of elbow, wrist and flange (`robots.ur5e` capsules); the tool's tip is its end."""


def _parts(joint_position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Elbow, wrist, flange and tool tip in base_link `[k, 4, 3]`, m."""
    arm = ur5e.kinematics_base(joint_position)
    tool = arm.point_base(ur5e.ROBOT.tool_length_m)
    return np.stack((arm.origin_m[:, ELBOW], arm.origin_m[:, WRIST], arm.flange_m, tool), axis=1)
