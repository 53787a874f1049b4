"""A rosbag plays the robot: what it measured comes again in its own time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: pip install -c constraints.txt rosbags")

from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore

from companion.deploy.link import TURTLEBOT3, LinkLost
from companion.deploy.links import open_link


class Clock:
    now_s = 500.0

    def __call__(self) -> float:
        return self.now_s


def write_bag(folder: Path) -> Path:
    """Odometry every 0.1 s for 1 s, and something that nobody asks for, by rosbags alone."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    make = store.types

    def odometry(index: int) -> Any:
        pose = make["geometry_msgs/msg/Pose"](
            make["geometry_msgs/msg/Point"](0.1 * index, 0.0, 0.0),
            make["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
        )
        none = make["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
        twist = make["geometry_msgs/msg/Twist"](make["geometry_msgs/msg/Vector3"](1.0, 0.0, 0.0), none)
        covariance = np.zeros(36)
        stamp = make["builtin_interfaces/msg/Time"](100, index * 100_000_000)
        return make["nav_msgs/msg/Odometry"](
            make["std_msgs/msg/Header"](stamp, "odom"),
            "base_footprint",
            make["geometry_msgs/msg/PoseWithCovariance"](pose, covariance),
            make["geometry_msgs/msg/TwistWithCovariance"](twist, covariance),
        )

    with Writer(folder / "bag", version=9) as bag:
        for topic, kind in (("/odom", "nav_msgs/msg/Odometry"), ("/odom_slow", "nav_msgs/msg/Odometry")):
            connection = bag.add_connection(topic, kind, typestore=store)
            for index in range(11):
                data = store.serialize_cdr(odometry(index), kind)
                bag.write(connection, 2_000_000_000 + index * 100_000_000, data)
    return folder / "bag"


def test_what_was_measured_comes_again_in_its_own_time(tmp_path: Path) -> None:
    clock = Clock()
    link: Any = open_link("recorded", TURTLEBOT3, {"bag": str(write_bag(tmp_path))}, clock)
    seen = []
    for _ in range(4):
        measured = link.read()
        seen.append((measured["pose_room"].values[0], measured["pose_room"].stamp_s, measured["pose_room"].arrived_s))
        clock.now_s += 0.25
    np.testing.assert_allclose(
        seen, [(0.0, 100.0, 500.0), (0.2, 100.2, 500.25), (0.5, 100.5, 500.5), (0.7, 100.7, 500.75)]
    )
    link.send(np.array((0.1, 0.0)))
    assert [command.tolist() for command in link.sent] == [[0.1, 0.0]]
    link.read()
    with pytest.raises(LinkLost, match="is at its end"):
        link.read()
    link.close()


def test_a_bag_may_be_played_faster_and_bad_ones_are_told(tmp_path: Path) -> None:
    clock, bag = Clock(), str(write_bag(tmp_path))
    link: Any = open_link("recorded", TURTLEBOT3, {"bag": bag, "speed": "2"}, clock)
    link.read()
    clock.now_s += 0.25
    assert link.read()["pose_room"].values[0] == pytest.approx(0.5)
    link.close()
    for given, words in (
        ({"bag": str(tmp_path / "none")}, "no such bag"),
        ({"bag": bag, "odometry": "wheels"}, "none of the topics"),
        ({"bag": bag, "speed": "0"}, "speed=0 must be above 0"),
    ):
        with pytest.raises(ValueError, match=words):
            open_link("recorded", TURTLEBOT3, given, clock)
