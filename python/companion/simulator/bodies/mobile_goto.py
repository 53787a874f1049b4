"""A TurtleBot3 as its driver and localisation show it: a laser scanner, odometry, and a goal on the map."""

import numpy as np

from companion.robots import turtlebot3
from companion.simulator.robot import Moment, Sensor
from companion.tasks._lidar import as_scanned, cast
from companion.tasks._scene import Floats, Names, rows_of
from companion.tasks.mobile_goto import PEOPLE, PERSON_AT_SCANNER_M, MobileScene

_BOT = turtlebot3.ROBOT
_FIRST = slice(0, 1)
GOAL_PERIOD_S = 0.5
"""Whoever set the goal repeats it."""
ODOMETRY_NOISE = 0.01
"""Of its speeds, m/s and rad/s: as in training."""


class Body:
    """The robot of a scene of one copy."""

    sensors = (
        Sensor("scanner", _BOT.lidar_period_s),
        Sensor("odometry", _BOT.odometry_period_s),
        Sensor("goal", GOAL_PERIOD_S),
    )
    rest_command: Floats | None = np.zeros(2)
    steps_within = 1

    def __init__(self, scene: MobileScene, names: Names) -> None:
        self._scene = scene
        first = names.mocap["person0"]
        self._people = slice(first, first + PEOPLE)

    def measure(self, sensor: str, moment: Moment, random: np.random.Generator) -> dict[str, Floats]:
        """What a sensor gives now."""
        if sensor == "scanner":
            return {"scan": self._scan(moment, random)}
        if sensor == "odometry":
            return self._odometry(moment, random)
        return {"goal_position_room": self._scene.state.goal[0].copy()}

    def limited(self, command: Floats) -> Floats:
        """Forward and turning speed within what the motors do."""
        most = np.array((_BOT.max_forward_speed_mps, _BOT.max_turning_speed_radps))
        return np.clip(command, -most, most)

    def control(self, command: Floats) -> Floats:
        """The wheels' ground speeds; the third servo holds the axle."""
        return np.append(self._scene.wheel_speeds(command[None])[0], 0.0)

    def standing(self, moment: Moment) -> Floats:
        """No speed."""
        return np.zeros(2)

    def speed(self, moment: Moment) -> float:
        """Of the robot's middle, m/s."""
        return float(np.hypot(*moment.velocity[:2]))

    def _scan(self, moment: Moment, random: np.random.Generator) -> Floats:
        """All of the scanner's rays, taken at one moment, `[360]` m: its greatest range where nothing came back."""
        state = self._scene.state
        yaw = moment.position[2:3]
        ahead = _BOT.lidar_position_base_m[0] * np.stack((np.cos(yaw), np.sin(yaw)), axis=1)
        people = moment.mocap_position[None, self._people, :2]
        ranges = cast(
            rows_of(state.room, _FIRST),
            people,
            PERSON_AT_SCANNER_M,
            moment.position[None, :2] + ahead,
            yaw + state.lidar_yaw,
            _BOT.lidar_beams,
        )
        limits = (_BOT.lidar_min_m, _BOT.lidar_max_m)
        return as_scanned(ranges, state.lidar_noise, state.lidar_dropout, limits, random)[0].astype(np.float64)

    def _odometry(self, moment: Moment, random: np.random.Generator) -> dict[str, Floats]:
        """Where localisation sees the robot, and its speeds; what is off in the place is off in the seen goal."""
        state = self._scene.state
        x, y, yaw = moment.position
        place = np.array((x, y)) - state.goal_error[0] - state.goal_noise[0] * random.standard_normal(2)
        forward = np.cos(yaw) * moment.velocity[0] + np.sin(yaw) * moment.velocity[1]
        speeds = np.array((forward, moment.velocity[2])) + ODOMETRY_NOISE * random.standard_normal(2)
        return {"pose_room": np.append(place, np.arctan2(np.sin(yaw), np.cos(yaw))), "velocity": speeds}
