"""Between ROS 2's messages and the quantities of an interface, whoever carries the messages: cyclonedds or rclpy.

Messages are read by their fields' names and built from a namespace of message classes, `types`, so that both kinds do.
Conventions are ROS 2's: REP 103 (units and axes), REP 117 (what a range may be), REP 105 (frames).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping  # noqa: UP035 (as in all links)

import numpy as np

from companion.deploy.link import Interface, Measurement
from companion.deploy.links._people import ScanError, distance_in_scan, distance_to_point, zone_of
from companion.deploy.links._robot_end import Taken
from companion.robots.turtlebot3 import ROBOT as TURTLEBOT3_FACTS
from companion.robots.ur5e import ROBOT as UR5E_FACTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCAN_RAYS = 360
JOINT_NAMES = UR5E_FACTS.joint_names


@dataclass(frozen=True)
class Settings:
    """Topics of a robot and how to reach it; the defaults are those of TurtleBot3 and of the UR driver."""

    domain: int = 0
    """ROS_DOMAIN_ID."""
    network: str = "loopback"
    """loopback, where robot and runtime are on one machine and nothing leaves it; or lan."""
    namespace: str = ""
    """Before every topic, as robot1."""
    scan: str = "scan"
    """sensor_msgs/LaserScan."""
    odometry: str = "odom"
    """nav_msgs/Odometry; the goal must stand in its frame."""
    goal: str = "goal_pose"
    """geometry_msgs/PoseStamped; it stands until another comes."""
    velocity: str = "cmd_vel"
    """geometry_msgs/Twist or TwistStamped, as the robot subscribes to."""
    joints: str = "joint_states"
    """sensor_msgs/JointState, in any order."""
    target: str = "target"
    """geometry_msgs/PointStamped in base_link."""
    trajectory: str = "scaled_joint_trajectory_controller/joint_trajectory"
    """trajectory_msgs/JointTrajectory."""
    positions: str = "forward_position_controller/commands"
    """std_msgs/Float64MultiArray."""
    controller: str = "trajectory"
    """Which of these two commands the arm: trajectory or positions."""
    point_s: float = 0.05
    """A trajectory's one point is to be reached within so long, in seconds; a period of the policy."""
    joy: str = "joy"
    """sensor_msgs/Joy: buttons 0, 1 and 2 are the enabling switch, the emergency stop and the reset."""
    person_distance: str = "person_distance"
    """std_msgs/Float64, m; without a stamp, so its arrival counts."""
    person_scan: str = "person_scan"
    """sensor_msgs/LaserScan of a scanner beside an arm."""
    person_point: str = "person"
    """geometry_msgs/PointStamped in base_link: the nearest point of the nearest person; infinite where nobody is."""
    person_from: str = "distance"
    """Which of these three tells how far people are: distance, scan or point."""
    person_scan_pose: str = ""
    """X,Y,YAW of that scanner in base_link, m and rad; needed for person_from=scan."""
    person_zone: str = ""
    """FROM,TO,RADIUS of the zone about the arm in which only people can be, rad and m; likewise."""
    contact: str = "contact"
    """std_msgs/Bool; without a stamp, so its arrival counts."""
    connect_timeout_s: float = 5.0
    """How long to wait for somebody who takes commands, in seconds."""
    lost_after_s: float = 3.0
    """The link counts as lost after so long a silence, in seconds."""

    def __post_init__(self) -> None:
        for name, allowed in (
            ("network", ("loopback", "lan")),
            ("controller", ("trajectory", "positions")),
            ("person_from", tuple(_PERSON_FROM)),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)} must be one of {', '.join(allowed)}")
        if not 0 <= self.domain <= 232:
            raise ValueError(f"domain={self.domain} must be between 0 and 232")
        if not 0 <= self.point_s < 10:
            raise ValueError(f"point_s={self.point_s:g} must be between 0 and 10 s")
        if self.person_from == "scan":
            zone_of(self.person_scan_pose, self.person_zone)

    def topic(self, field: str) -> str:
        """Full name of a topic, with a slash before it."""
        return "/" + "/".join(part.strip("/") for part in (self.namespace, getattr(self, field)) if part)


_PERSON_FROM = {"distance": "person_distance", "scan": "person_scan", "point": "person_point"}
_TYPES = {
    "scan": "LaserScan",
    "odometry": "Odometry",
    "goal": "PoseStamped",
    "joints": "JointState",
    "target": "PointStamped",
    "joy": "Joy",
    "person_distance": "Float64",
    "person_scan": "LaserScan",
    "person_point": "PointStamped",
    "contact": "Bool",
}
_BY_QUANTITY = {
    "scan": "scan",
    "pose_room": "odometry",
    "velocity": "odometry",
    "goal_position_room": "goal",
    "joint_position": "joints",
    "joint_velocity": "joints",
    "target_position_base": "target",
    "operator": "joy",
    "person_distance": "person_distance",
    "contact": "contact",
}
PACKAGES = {
    "sensor_msgs": ("LaserScan", "JointState", "Joy"),
    "nav_msgs": ("Odometry",),
    "geometry_msgs": (
        "Vector3", "Point", "Quaternion", "Pose", "PoseStamped", "PointStamped", "PoseWithCovariance", "Twist",
        "TwistStamped", "TwistWithCovariance",
    ),
    "trajectory_msgs": ("JointTrajectory", "JointTrajectoryPoint"),
    "std_msgs": ("Header", "Bool", "Float64", "Float64MultiArray", "MultiArrayLayout", "MultiArrayDimension"),
    "builtin_interfaces": ("Time", "Duration"),
}  # fmt: skip
"""Where each message is at home."""


def sensor_topics(interface: Interface, person_from: str = "distance") -> dict[str, str]:
    """The message type of each topic, by its setting's name, that measures something of this interface.

    Raises:
        ValueError: if a base is to reckon from its joints how far people are.
    """
    known = (*interface.measured, *interface.optional)
    if person_from != "distance" and all(quantity.name != "joint_position" for quantity in known):
        raise ValueError(f"person_from={person_from}: only of an arm; the {interface.robot} looks with its own scanner")
    by_quantity = {**_BY_QUANTITY, "person_distance": _PERSON_FROM[person_from]}
    wanted = {by_quantity[quantity.name] for quantity in known if quantity.name in by_quantity}
    return {field: _TYPES[field] for field in _TYPES if field in wanted}


def command_topics(interface: Interface, settings: Settings) -> dict[str, str]:
    """By message type, the settings' names of the topics through which the robot may be commanded."""
    if interface.command.name == "velocity":
        return {"Twist": "velocity", "TwistStamped": "velocity"}
    if settings.controller == "trajectory":
        return {"JointTrajectory": "trajectory"}
    return {"Float64MultiArray": "positions"}


class UnusableError(ValueError):
    """A message that is none of its kind; its only argument says why."""


class Inbox:
    """Makes measurements of what comes in; what can't be used is counted in `refused`."""

    def __init__(self, settings: Settings | None = None) -> None:
        is_watched = settings is not None and settings.person_from == "scan"
        self._zone = zone_of(settings.person_scan_pose, settings.person_zone) if settings and is_watched else None
        self.refused: Counter[str] = Counter()
        self.heard_s = -math.inf
        """When something usable last came, by the runtime's clock."""
        self._measured: dict[str, Measurement] = {}
        self._goal: NDArray[np.float64] | None = None
        self._frame = ""

    def take(self, field: str, message: Any, arrived_s: float) -> None:
        """Take in a message of the topic with that setting's name."""
        try:
            values = getattr(self, f"_{field}_of")(message)
        except UnusableError as reason:
            self.refused[str(reason)] += 1
            return
        self.heard_s = arrived_s
        stamp_s = seconds_of(message.header.stamp) if hasattr(message, "header") else arrived_s
        for name, value in values.items():
            self._measured[name] = Measurement(value, stamp_s, arrived_s)
        if field == "odometry" and self._goal is not None:
            # Whoever sets a goal says so once; it stands until another is set.
            self._measured["goal_position_room"] = Measurement(self._goal, stamp_s, arrived_s)

    def measured(self) -> dict[str, Measurement]:
        """The newest of every quantity."""
        return dict(self._measured)

    @staticmethod
    def _scan_of(message: Any) -> dict[str, NDArray[np.float64]]:
        return {"scan": scan_by_degree(message)}

    def _odometry_of(self, message: Any) -> dict[str, NDArray[np.float64]]:
        pose, twist = message.pose.pose, message.twist.twist
        self._frame = message.header.frame_id
        return {
            "pose_room": np.array((pose.position.x, pose.position.y, yaw_of(pose.orientation))),
            "velocity": np.array((twist.linear.x, twist.angular.z)),
        }

    def _goal_of(self, message: Any) -> dict[str, NDArray[np.float64]]:
        frame = message.header.frame_id
        if frame and self._frame and frame != self._frame:
            raise UnusableError("goal_in_another_frame")
        position = message.pose.position
        self._goal = np.array((position.x, position.y))
        return {}

    @staticmethod
    def _joints_of(message: Any) -> dict[str, NDArray[np.float64]]:
        names = list(message.name)
        if any(name not in names for name in JOINT_NAMES):
            raise UnusableError("joints_missing")
        if len(message.position) != len(names) or len(message.velocity) != len(names):
            raise UnusableError("joints_without_position_or_velocity")
        order = [names.index(name) for name in JOINT_NAMES]
        return {
            "joint_position": np.array([message.position[index] for index in order], np.float64),
            "joint_velocity": np.array([message.velocity[index] for index in order], np.float64),
        }

    @staticmethod
    def _target_of(message: Any) -> dict[str, NDArray[np.float64]]:
        if message.header.frame_id not in ("", "base_link"):
            raise UnusableError("target_in_another_frame")
        point = message.point
        return {"target_position_base": np.array((point.x, point.y, point.z))}

    @staticmethod
    def _joy_of(message: Any) -> dict[str, NDArray[np.float64]]:
        if len(message.buttons) < 3:
            raise UnusableError("joy_without_three_buttons")
        return {"operator": np.array([float(bool(button)) for button in message.buttons[:3]])}

    @staticmethod
    def _person_distance_of(message: Any) -> dict[str, NDArray[np.float64]]:
        return {"person_distance": np.array((message.data,), np.float64)}

    def _person_scan_of(self, message: Any) -> dict[str, NDArray[np.float64]]:
        assert self._zone is not None, "else the topic is not asked for"
        try:
            return {"person_distance": np.array((distance_in_scan(message, self._zone, self._joints()),))}
        except ScanError as reason:
            raise UnusableError(str(reason)) from None

    def _person_point_of(self, message: Any) -> dict[str, NDArray[np.float64]]:
        if message.header.frame_id not in ("", "base_link"):
            raise UnusableError("person_in_another_frame")
        point = np.array((message.point.x, message.point.y, message.point.z), np.float64)
        return {"person_distance": np.array((distance_to_point(point, self._joints()),))}

    def _joints(self) -> NDArray[np.float64]:
        """Where the arm was last seen; its own age is watched beside."""
        joints = self._measured.get("joint_position")
        if joints is None or not np.isfinite(joints.values).all():
            raise UnusableError("person_before_joints")
        return joints.values

    @staticmethod
    def _contact_of(message: Any) -> dict[str, NDArray[np.float64]]:
        return {"contact": np.array((float(bool(message.data)),))}


def scan_by_degree(message: Any) -> NDArray[np.float64]:
    """Ranges `[360]` m, one per degree from straight ahead counter-clockwise, of a scanner that sees all round.

    Of several rays in a degree the nearest counts. Nothing within reach, +inf as REP 117 has it, or 0 as the LDS-01's
    driver does, becomes the greatest range; too near to measure, -inf, becomes 0; what is no number stays so.

    Raises:
        UnusableError: if the scanner does not see all round, or does not tell how far.
    """
    ranges = np.array(message.ranges, np.float64)
    step = float(message.angle_increment)
    if not (math.isfinite(step) and step != 0 and len(ranges) > 1 and abs(step) * len(ranges) > 2 * math.pi - 0.02):
        raise UnusableError("scan_not_all_round")
    least, greatest = float(message.range_min), float(message.range_max)
    if not math.isfinite(greatest):
        raise UnusableError("scan_without_greatest_range")
    too_near, empty = np.isneginf(ranges), (ranges < least) | (ranges > greatest)
    ranges = np.where(too_near, 0.0, np.where(empty, greatest, ranges))
    degree = np.degrees(float(message.angle_min) + step * np.arange(len(ranges)))
    turn = np.degrees(step)
    turned = (np.arange(SCAN_RAYS) - degree[0]) * np.sign(turn) % 360
    by_degree = ranges[np.round(turned / abs(turn)).astype(np.intp) % len(ranges)]
    with np.errstate(invalid="ignore"):
        np.minimum.at(by_degree, np.round(degree).astype(np.intp) % SCAN_RAYS, ranges)
    return by_degree


def yaw_of(quaternion: Any) -> float:
    """The turn about the upright axis, rad."""
    q = quaternion
    return math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))


def seconds_of(stamp: Any) -> float:
    """Of a Time or a Duration."""
    return stamp.sec + stamp.nanosec * 1e-9


def command_message(types: Any, kind: str, command: NDArray[np.float64], settings: Settings, now_s: float) -> Any:
    """The message of type `kind` for a command `[entries]`."""
    if kind == "Float64MultiArray":
        return types.Float64MultiArray(types.MultiArrayLayout([], 0), command.tolist())
    if kind == "JointTrajectory":
        # Stamp 0 is now. Without velocities the controller goes evenly from where it was to where it is told to be.
        reach = types.Duration(*_parts(settings.point_s))
        point = types.JointTrajectoryPoint(command.tolist(), [], [], [], reach)
        return types.JointTrajectory(types.Header(types.Time(0, 0), ""), list(JOINT_NAMES), [point])
    forward, turning = command.tolist()
    twist = types.Twist(types.Vector3(forward, 0.0, 0.0), types.Vector3(0.0, 0.0, turning))
    return twist if kind == "Twist" else types.TwistStamped(header(types, now_s, "base_link"), twist)


def taken_of(kind: str, message: Any) -> Taken:
    """What a robot makes of a command message.

    Raises:
        UnusableError: if it commands other joints.
    """
    if kind == "JointTrajectory":
        if sorted(message.joint_names) != sorted(JOINT_NAMES) or not message.points:
            raise UnusableError("other_joints")
        point = message.points[-1]
        order = [list(message.joint_names).index(name) for name in JOINT_NAMES]
        return Taken(np.array([point.positions[index] for index in order]), over_s=seconds_of(point.time_from_start))
    if kind == "Float64MultiArray":
        if len(message.data) != len(JOINT_NAMES):
            raise UnusableError("other_joints")
        return Taken(np.array(message.data, np.float64))
    twist = message.twist if kind == "TwistStamped" else message
    return Taken(np.array((twist.linear.x, twist.angular.z)))


def header(types: Any, stamp_s: float, frame: str) -> Any:
    """A message's header."""
    return types.Header(types.Time(*_parts(stamp_s)), frame)


def _parts(time_s: float) -> tuple[int, int]:
    nanoseconds = round(time_s * 1e9)
    return nanoseconds // 1_000_000_000, nanoseconds % 1_000_000_000


def sensor_message(types: Any, values: Mapping[str, NDArray[Any]], stamp_s: float) -> tuple[str, Any]:
    """The setting's name of the topic, and the message, for what one sensor of a simulated robot measured."""
    if "scan" in values:
        return "scan", _scan_message(types, values["scan"], stamp_s)
    if "pose_room" in values:
        return "odometry", _odometry_message(types, values["pose_room"], values["velocity"], stamp_s)
    if "goal_position_room" in values:
        x, y = values["goal_position_room"].tolist()
        pose = types.Pose(types.Point(x, y, 0.0), types.Quaternion(0.0, 0.0, 0.0, 1.0))
        return "goal", types.PoseStamped(header(types, stamp_s, "odom"), pose)
    if "joint_position" in values:
        # As joint_state_broadcaster does: in the alphabet's order, not the arm's.
        order = np.argsort(JOINT_NAMES)
        names = [JOINT_NAMES[index] for index in order]
        position, velocity = (values[name][order].tolist() for name in ("joint_position", "joint_velocity"))
        return "joints", types.JointState(header(types, stamp_s, "base_link"), names, position, velocity, [])
    if "target_position_base" in values:
        point = types.Point(*values["target_position_base"].tolist())
        return "target", types.PointStamped(header(types, stamp_s, "base_link"), point)
    if "operator" in values:
        buttons = [int(value) for value in values["operator"]]
        return "joy", types.Joy(header(types, stamp_s, ""), [], buttons)
    if "person_distance" in values:
        return "person_distance", types.Float64(float(values["person_distance"][0]))
    if "contact" in values:
        return "contact", types.Bool(bool(values["contact"][0]))
    raise ValueError(f"no ROS 2 message carries {', '.join(values)}")


def _scan_message(types: Any, ranges: NDArray[Any], stamp_s: float) -> Any:
    """As the LDS-01's driver has it, but with REP 117's infinity where nothing came back."""
    bot, step = TURTLEBOT3_FACTS, math.radians(1.0)
    shown = np.where(ranges >= bot.lidar_max_m, np.inf, ranges).tolist()
    angles, times = (0.0, 359 * step, step), (0.0, bot.lidar_period_s)
    limits = (bot.lidar_min_m, bot.lidar_max_m)
    return types.LaserScan(header(types, stamp_s, "base_scan"), *angles, *times, *limits, shown, [])


def _odometry_message(types: Any, pose: NDArray[Any], velocity: NDArray[Any], stamp_s: float) -> Any:
    x, y, yaw = pose.tolist()
    forward, turning = velocity.tolist()
    place = types.Pose(types.Point(x, y, 0.0), types.Quaternion(0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)))
    twist = types.Twist(types.Vector3(forward, 0.0, 0.0), types.Vector3(0.0, 0.0, turning))
    return types.Odometry(
        header(types, stamp_s, "odom"),
        "base_footprint",
        types.PoseWithCovariance(place, [0.0] * 36),
        types.TwistWithCovariance(twist, [0.0] * 36),
    )
