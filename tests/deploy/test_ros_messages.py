"""ROS 2's messages become measurements as ROS 2's conventions say, whoever carries them."""

import math
from types import SimpleNamespace as Message
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from companion.deploy.links._ros_messages import (
    Inbox,
    Settings,
    UnusableError,
    command_message,
    scan_by_degree,
    sensor_message,
    taken_of,
    yaw_of,
)
from companion.robots import ur5e


def scan(ranges: NDArray[np.float64], first_rad: float = 0.0, turn: int = 1) -> Message:
    step = turn * 2 * math.pi / len(ranges)
    limits = {"range_min": 0.12, "range_max": 3.5}
    return Message(header=header(), ranges=ranges, angle_min=first_rad, angle_increment=step, **limits)


def header(sec: int = 7, nanosec: int = 250_000_000, frame: str = "odom") -> Message:
    return Message(stamp=Message(sec=sec, nanosec=nanosec), frame_id=frame)


def test_a_scan_of_360_rays_is_itself() -> None:
    ranges = np.linspace(0.2, 3.4, 360)
    np.testing.assert_array_equal(scan_by_degree(scan(ranges)), ranges)


@pytest.mark.parametrize(("first_rad", "turn"), [(-math.pi, 1), (math.pi, -1), (0.0, -1), (1.0, 1)])
def test_a_scan_may_begin_anywhere_and_turn_either_way(first_rad: float, turn: int) -> None:
    """One thing to the left, at +90 degrees; RPLIDARs begin behind, and some count clockwise."""
    angles = first_rad + turn * np.arange(720) * math.pi / 360
    off = np.abs((angles - math.pi / 2 + math.pi) % (2 * math.pi) - math.pi)
    by_degree = scan_by_degree(scan(np.where(off < math.radians(5), 1.0, 3.0), first_rad, turn))
    assert by_degree.shape == (360,)
    near = np.flatnonzero(by_degree == 1.0)
    assert near.min() in (85, 86) and near.max() in (94, 95) and len(near) == near.max() - near.min() + 1


def test_the_nearest_of_many_rays_counts_and_few_rays_leave_no_gap() -> None:
    ranges = np.full(1080, 3.0)
    ranges[271] = 0.5  # 90.33 degrees
    assert np.flatnonzero(scan_by_degree(scan(ranges)) == 0.5).tolist() == [90]
    few = scan_by_degree(scan(np.arange(1.0, 2.0, 1 / 120)))
    assert np.isfinite(few).all() and few[90] == pytest.approx(1.25) and few[91] == few[90]


def test_what_a_range_may_be() -> None:
    ranges = np.full(360, 1.0)
    ranges[:5] = np.inf, 0.0, -np.inf, np.nan, 9.0
    found = scan_by_degree(scan(ranges))[:5]
    np.testing.assert_array_equal(found, (3.5, 3.5, 0.0, np.nan, 3.5))


def test_a_scanner_that_does_not_see_all_round_is_refused() -> None:
    half = Message(ranges=np.ones(180), angle_min=0.0, angle_increment=math.pi / 180, range_min=0.1, range_max=3.5)
    with pytest.raises(UnusableError, match="scan_not_all_round"):
        scan_by_degree(half)
    with pytest.raises(UnusableError, match="scan_without_greatest_range"):
        scan_by_degree(Message(**{**vars(scan(np.ones(360))), "range_max": math.inf}))


@pytest.mark.parametrize("yaw", [-3.0, -0.5, 0.0, 1.2, 3.1])
def test_yaw_is_the_turn_about_the_upright_axis(yaw: float) -> None:
    assert yaw_of(Message(x=0.0, y=0.0, z=math.sin(yaw / 2), w=math.cos(yaw / 2))) == pytest.approx(yaw)


def odometry(frame: str = "odom") -> Message:
    pose = Message(position=Message(x=1.0, y=2.0, z=0.0), orientation=Message(x=0.0, y=0.0, z=0.0, w=1.0))
    twist = Message(linear=Message(x=0.2, y=0.0, z=0.0), angular=Message(x=0.0, y=0.0, z=-0.4))
    return Message(header=header(frame=frame), pose=Message(pose=pose), twist=Message(twist=twist))


def goal(frame: str) -> Message:
    pose = Message(position=Message(x=3.0, y=4.0, z=0.0), orientation=Message(x=0.0, y=0.0, z=0.0, w=1.0))
    return Message(header=header(1, 0, frame), pose=pose)


def test_a_goal_that_was_set_once_stands() -> None:
    inbox = Inbox()
    inbox.take("odometry", odometry(), 99.0)
    inbox.take("goal", goal("odom"), 100.0)
    inbox.take("odometry", odometry(), 200.0)
    measured = inbox.measured()
    assert measured["goal_position_room"].values.tolist() == [3.0, 4.0]
    assert measured["goal_position_room"].arrived_s == 200.0 and measured["goal_position_room"].stamp_s == 7.25
    assert measured["pose_room"].values.tolist() == [1.0, 2.0, 0.0]
    assert measured["velocity"].values.tolist() == [0.2, -0.4]


def test_a_goal_in_another_frame_is_refused() -> None:
    inbox = Inbox()
    inbox.take("odometry", odometry(), 1.0)
    inbox.take("goal", goal("map"), 2.0)
    inbox.take("odometry", odometry(), 3.0)
    assert "goal_position_room" not in inbox.measured() and inbox.refused == {"goal_in_another_frame": 1}


def test_joints_are_found_by_their_names() -> None:
    """joint_state_broadcaster tells them in the alphabet's order, and may tell of more than ours."""
    names = ["gripper", *sorted(ur5e.ROBOT.joint_names)]
    value = {name: index + 0.5 for index, name in enumerate(ur5e.ROBOT.joint_names)} | {"gripper": 9.0}
    told = [value[name] for name in names]
    inbox = Inbox()
    inbox.take("joints", Message(header=header(), name=names, position=told, velocity=[-x for x in told]), 1.0)
    assert inbox.measured()["joint_position"].values.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert inbox.measured()["joint_velocity"].values.tolist() == [-0.5, -1.5, -2.5, -3.5, -4.5, -5.5]
    inbox.take("joints", Message(header=header(), name=names[2:], position=told[2:], velocity=told[2:]), 2.0)
    inbox.take("joints", Message(header=header(), name=names, position=told, velocity=[]), 3.0)
    assert inbox.refused == {"joints_missing": 1, "joints_without_position_or_velocity": 1}


class Types:
    """Message classes that remember their fields in order, as both kinds of real ones do."""

    def __getattr__(self, kind: str) -> object:
        def make(*values: object) -> Message:
            return Message(**dict(zip(FIELDS[kind], values, strict=True)))

        return make


FIELDS = {
    "Time": ("sec", "nanosec"),
    "Duration": ("sec", "nanosec"),
    "Header": ("stamp", "frame_id"),
    "Vector3": ("x", "y", "z"),
    "Twist": ("linear", "angular"),
    "TwistStamped": ("header", "twist"),
    "JointTrajectoryPoint": ("positions", "velocities", "accelerations", "effort", "time_from_start"),
    "JointTrajectory": ("header", "joint_names", "points"),
    "MultiArrayLayout": ("dim", "data_offset"),
    "Float64MultiArray": ("layout", "data"),
    "JointState": ("header", "name", "position", "velocity", "effort"),
}


@pytest.mark.parametrize("kind", ["Twist", "TwistStamped", "JointTrajectory", "Float64MultiArray"])
def test_a_robot_understands_the_command_that_was_meant(kind: str) -> None:
    command = np.array((0.2, -1.0)) if "Twist" in kind else np.arange(6) / 7
    message = command_message(Types(), kind, command, Settings(point_s=0.05), 12.5)
    taken = taken_of(kind, message)
    assert taken.values.tolist() == command.tolist()
    assert taken.over_s == (0.05 if kind == "JointTrajectory" else 0.0)


def test_a_trajectory_for_other_joints_is_refused() -> None:
    message = command_message(Types(), "JointTrajectory", np.zeros(6), Settings(), 0.0)
    message.joint_names[0] = "elbow"
    with pytest.raises(UnusableError, match="other_joints"):
        taken_of("JointTrajectory", message)


def test_joint_states_of_the_simulated_robot_are_read_back() -> None:
    values = {"joint_position": np.arange(6.0), "joint_velocity": -np.arange(6.0)}
    field, message = sensor_message(Types(), values, 3.5)
    inbox = Inbox()
    inbox.take(field, message, 1.0)
    assert inbox.measured()["joint_position"].values.tolist() == values["joint_position"].tolist()
    assert inbox.measured()["joint_velocity"].stamp_s == 3.5


def test_settings_are_checked() -> None:
    wrong: dict[str, Any]
    assert Settings(namespace="robot1/").topic("scan") == "/robot1/scan" and Settings().topic("scan") == "/scan"
    for wrong, words in (
        ({"network": "wan"}, "network=wan must be one of loopback, lan"),
        ({"controller": "velocity"}, "controller=velocity must be one of trajectory, positions"),
        ({"domain": 300}, "domain=300 must be between 0 and 232"),
    ):
        with pytest.raises(ValueError, match=words):
            Settings(**wrong)
