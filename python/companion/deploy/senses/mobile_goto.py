"""mobile_goto on a robot: a scan, odometry and a goal become what the policy was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from companion.deploy.senses._sense import ActionMemory
from companion.robots._sensing import in_robot_frame, nearest_per_sector
from companion.signals import Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from companion.deploy.freshness import View
    from companion.policy_card import PolicyCard

RAYS = 120
"""Of a turn of the scanner; as many as the simulator casts."""
SUCCESS_RADIUS_M = 0.2
"""Of the task."""


class Sense:
    """Remembers the last two scans and the last two actions."""

    def __init__(self, card: PolicyCard) -> None:
        facts, layout = card.robot_facts, card.layout
        self._card, self._beams = card, layout.where("lidar_nearness").stop - layout.where("lidar_nearness").start
        self._least_m, self._greatest_m = float(facts["lidar_min_m"]), float(facts["lidar_max_m"])
        self._hull_m, self._lidar_ahead_m = float(facts["radius_m"]), float(facts["lidar_position_base_m"][0])
        self._oldest_s = _greatest(card, "lidar_age_s")
        self._action = ActionMemory(card)
        self._period_s = float(card.control_period_s or 0.1)
        self._forget()

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Those of the task that can be measured, by the task's names."""
        beams = self._beams
        contact = Signal("contact", 1, "1", "1 if the bumper is pressed; not a number where there is none.")
        return (
            Signal("lidar_range", beams, "m", "Nearest return of each sector of the last scan, from straight ahead."),
            Signal("lidar_range_before", beams, "m", "The same of the scan before."),
            Signal("lidar_nearness", beams, "1/m", "One over `lidar_range`."),
            Signal("lidar_nearness_before", beams, "1/m", "One over `lidar_range_before`."),
            Signal("lidar_age_s", 1, "s", "Age of the last scan, cut to what training had."),
            Signal("goal_distance", 1, "m", "Distance to the goal as localisation sees it."),
            Signal("goal_direction", 2, "1", "Cosine and sine of the goal's bearing in the robot's frame."),
            Signal("velocity", 2, "m/s, rad/s", "Forward and turning speed from odometry."),
            Signal("previous_action", 2, "1", "The action of the step that just ended."),
            Signal("action_change", 2, "1", "That action less the one before."),
            Signal("position_room", 2, "m", "Where localisation sees the robot."),
            Signal("goal_position_room", 2, "m", "Where the goal is set."),
            Signal("distance", 1, "m", "Distance to the goal as localisation sees it."),
            Signal("approach_speed", 1, "m/s", "How fast that distance shrank in this step."),
            Signal("clearance", 1, "m", "From the robot's hull to the nearest return of the scanner."),
            Signal("speed", 1, "m/s", "Forward speed from odometry, without sign."),
            Signal("turning_speed", 1, "rad/s", "Turning speed from odometry, without sign."),
            contact,
            Signal("success", 1, "1", "1 while the robot is at the goal."),
        )

    def restart(self, view: View) -> None:
        """Forget scans and actions: the scan before the first one is the first one."""
        self._action.restart()
        self._forget()

    def feel(self, view: View) -> dict[str, NDArray[np.float64]]:
        """The signals of now, as the simulator computes them."""
        self._take_scan(view)
        pose = view.values["pose_room"]
        to_goal = view.values["goal_position_room"][None] - pose[None, :2]
        distance = np.maximum(np.hypot(to_goal[:, :1], to_goal[:, 1:]), 1e-6)
        approach = (self._distance_m - distance) / self._period_s if np.isfinite(self._distance_m) else 0.0 * distance
        self._distance_m = float(distance[0, 0])
        velocity = view.values["velocity"][None]
        contact = view.values.get("contact", np.full(1, np.nan))[None]
        return {
            "lidar_range": self._scan,
            "lidar_range_before": self._scan_before,
            "lidar_nearness": 1 / self._scan,
            "lidar_nearness_before": 1 / self._scan_before,
            "lidar_age_s": np.array([[min(view.age_s["scan"], self._oldest_s)]]),
            "goal_distance": distance,
            "goal_direction": in_robot_frame(to_goal, pose[None, 2:3]) / distance,
            "velocity": velocity,
            **self._action.signals(),
            "position_room": pose[None, :2],
            "goal_position_room": view.values["goal_position_room"][None],
            "distance": distance,
            "approach_speed": approach,
            "clearance": self._nearest_m - self._hull_m,
            "speed": np.abs(velocity[:, :1]),
            "turning_speed": np.abs(velocity[:, 1:]),
            "contact": contact,
            "success": (distance < SUCCESS_RADIUS_M).astype(np.float64),
        }

    def command(self, action: NDArray[np.float64], view: View) -> NDArray[np.float64]:
        """Forward and turning speed, m/s and rad/s."""
        self._action.take(action)
        return self._card.to_command(action)

    def sent(self, command: NDArray[np.float64]) -> None:
        """Nothing of it is remembered: speeds do not add up."""

    def _forget(self) -> None:
        self._measured_s, self._distance_m = -np.inf, np.nan
        self._scan = self._scan_before = np.full((1, self._beams), self._greatest_m)
        self._nearest_m = np.full((1, 1), self._greatest_m)

    def _take_scan(self, view: View) -> None:
        measured_s = view.now_s - view.age_s["scan"]
        if measured_s <= self._measured_s + 1e-6:
            return
        ranges = self._as_seen(view.values["scan"])
        scan = nearest_per_sector(ranges[None, :: max(1, len(ranges) // RAYS)], self._beams).astype(np.float64)
        self._scan_before = self._scan if np.isfinite(self._measured_s) else scan
        self._scan, self._measured_s = scan, measured_s
        bearing = np.arange(len(ranges)) * (2 * np.pi / len(ranges))
        away = np.hypot(ranges * np.cos(bearing) + self._lidar_ahead_m, ranges * np.sin(bearing))
        self._nearest_m = np.array([[away.min()]])

    def _as_seen(self, ranges: NDArray[np.float64]) -> NDArray[np.float32]:
        """With the scanner's greatest range where nothing came back, or from nearer than it can measure."""
        came = np.isfinite(ranges) & (np.nan_to_num(ranges, nan=0.0, posinf=0.0, neginf=0.0) >= self._least_m)
        return np.minimum(np.where(came, ranges, self._greatest_m), self._greatest_m).astype(np.float32)


def _greatest(card: PolicyCard, name: str) -> float:
    """The greatest value that a signal had in training; infinite where the card does not say."""
    if card.observation_range is None:
        return np.inf
    return max(card.observation_range.high[card.layout.where(name)])
