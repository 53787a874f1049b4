"""The ros2 link speaks DDS as ROS 2 does: byte for byte by rosbags' account, and to a robot on the same machine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="needs cyclonedds: pip install -c constraints.txt cyclonedds")

from companion.deploy.link import OPERATOR, TURTLEBOT3, UR5E, LinkLost
from companion.deploy.links import _dds_types, open_link
from companion.deploy.links._ros_messages import PACKAGES, Settings
from companion.deploy.links.ros2 import Ros2Link, Ros2Robot, connect

DOMAIN = 40 + os.getpid() % 100
ALL_MESSAGES = [f"{package}/msg/{name}" for package, names in PACKAGES.items() for name in names]


class Maker:
    """Random messages by rosbags' definitions, once as rosbags' own and once as ours."""

    def __init__(self, store: Any, seed: int) -> None:
        self._store, self._random = store, np.random.default_rng(seed)

    def both(self, name: str) -> tuple[Any, Any]:
        theirs, ours = {}, {}
        for field, kind in self._store.fielddefs[name][1]:
            theirs[field], ours[field] = self._value(kind)
        return self._store.types[name](**theirs), getattr(_dds_types, name.split("/")[-1])(**ours)

    def _value(self, kind: Any) -> tuple[Any, Any]:
        node, inside = int(kind[0]), kind[1]
        if node == 1:  # base
            return self._base(inside[0])
        if node == 2:  # another message
            return self.both(inside)
        (element, count) = inside  # an array or a sequence
        number = count if node == 3 else int(self._random.integers(0, 5))
        pairs = [self._value(element) for _ in range(number)]
        ours = [pair[1] for pair in pairs]
        if int(element[0]) == 1 and element[1][0] != "string":
            return np.array([pair[0] for pair in pairs], element[1][0]), ours
        return [pair[0] for pair in pairs], ours

    def _base(self, kind: str) -> tuple[Any, Any]:
        if kind == "string":
            word = "".join(map(chr, self._random.integers(97, 123, int(self._random.integers(0, 9)))))
            return word, word
        if kind.startswith("float"):
            number = float(np.dtype(kind).type(self._random.normal() * 10))
            return number, number
        number = int(self._random.integers(0, 2 if kind == "bool" else 2**31))
        return number, number


@pytest.mark.parametrize("name", ALL_MESSAGES)
def test_bytes_are_those_of_rosbags(name: str) -> None:
    typesys = pytest.importorskip("rosbags.typesys", reason="needs rosbags: pip install -c constraints.txt rosbags")
    for release in ("ROS2_HUMBLE", "ROS2_JAZZY", "ROS2_KILTED"):
        store = typesys.get_typestore(getattr(typesys.Stores, release))
        maker = Maker(store, seed=len(name))
        for _ in range(5):
            theirs, ours = maker.both(name)
            expected = bytes(store.serialize_cdr(theirs, name))
            found = bytes(ours.serialize())
            assert found == expected and found[:4] == b"\x00\x01\x00\x00", "plain CDR, little-endian"
            assert as_plain(type(ours).deserialize(bytes(expected))) == as_plain(ours)


def as_plain(message: Any) -> Any:
    if is_dataclass(message):
        return {field.name: as_plain(getattr(message, field.name)) for field in fields(message)}
    return [as_plain(one) for one in message] if isinstance(message, list | tuple) else message


def settings(**given: Any) -> Settings:
    return Settings(domain=DOMAIN, **given)


def until(condition: Callable[[], Any], within_s: float = 20.0) -> Any:
    end_s = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.01)
    return found


@pytest.fixture
def base() -> Iterator[Ros2Robot]:
    robot = Ros2Robot(TURTLEBOT3, settings(namespace="base"), ("TwistStamped",))
    yield robot
    robot.close()


def publish_all(robot: Ros2Robot, stamp_s: float) -> None:
    robot.publish({"scan": np.linspace(0.2, 3.5, 360)}, stamp_s)
    robot.publish({"goal_position_room": np.array((1.0, -1.0))}, stamp_s)
    robot.publish({"pose_room": np.array((0.5, 0.25, 1.5)), "velocity": np.array((0.1, -0.2))}, stamp_s)
    robot.publish({"operator": np.array((1.0, 0.0, 0.0))}, stamp_s)


def test_a_base_is_read_and_commanded_in_the_message_that_it_wants(base: Ros2Robot) -> None:
    link = connect(TURTLEBOT3, settings(namespace="base"))
    assert set(link._writers) == {"TwistStamped"}

    def read() -> Any:
        publish_all(base, 12.5)
        measured = link.read()
        return measured if len(measured) == 5 else None

    measured = until(read)
    np.testing.assert_allclose(measured["scan"].values, np.linspace(0.2, 3.5, 360), rtol=1e-6)
    np.testing.assert_allclose(measured["pose_room"].values, (0.5, 0.25, 1.5))
    assert measured["velocity"].values.tolist() == [0.1, -0.2] and measured["velocity"].stamp_s == 12.5
    assert measured["operator"].values.tolist() == [1.0, 0.0, 0.0]

    def command() -> Any:
        link.send(np.array((0.15, 0.5)))
        return base.commands()

    assert until(command)[-1].values.tolist() == [0.15, 0.5]
    link.close()


def test_an_arm_is_read_and_commanded_by_trajectories() -> None:
    place = settings(namespace="arm")
    robot = Ros2Robot(UR5E, place)
    link = connect(UR5E, place)
    joints = {"joint_position": np.arange(6) / 10, "joint_velocity": -np.arange(6) / 10}

    def read() -> Any:
        robot.publish(joints, 1.0)
        robot.publish({"target_position_base": np.array((0.4, 0.1, 0.3))}, 1.0)
        measured = link.read()
        return measured if len(measured) == 3 else None

    measured = until(read)
    for name, expected in joints.items():
        np.testing.assert_array_equal(measured[name].values, expected)

    def command() -> Any:
        link.send(np.arange(6) / 5)
        return robot.commands()

    taken = until(command)[-1]
    np.testing.assert_array_equal(taken.values, np.arange(6) / 5)
    assert taken.over_s == pytest.approx(0.05)
    link.close()
    robot.close()


def test_a_wrong_type_on_the_topic_is_as_if_nobody_spoke(base: Ros2Robot) -> None:
    link = Ros2Link(TURTLEBOT3, settings(namespace="base"))

    def read() -> Any:
        base.publish_wrong({"scan": np.ones(360)}, 1.0)
        base.publish({"operator": np.zeros(3)}, 1.0)
        return link.read()

    until(read)
    assert set(link.read()) == {"operator"} == {OPERATOR.name}
    link.close()


def test_nobody_there_is_told_with_topic_and_domain() -> None:
    given = {"domain": str(DOMAIN), "namespace": "empty", "connect_timeout_s": "0.2"}
    with pytest.raises(LinkLost, match=rf"domain {DOMAIN} \(loopback\) subscribed to /empty/cmd_vel \(Twist\) or"):
        open_link("ros2", TURTLEBOT3, given)


WATCHERS = """
import math, sys, time
import numpy as np
from companion.deploy.link import UR5E
from companion.deploy.links import _dds_types as types
from companion.deploy.links._ros_messages import JOINT_NAMES, Settings, header
from companion.deploy.links.ros2 import make_writer, participant

settings = Settings(domain=int(sys.argv[1]), namespace="watched")
place = participant(settings)
ranges, step = [9.0] * 181, math.pi / 180  # a wall all round, and a leg half a metre before the scanner
ranges[90] = 0.5

def messages():
    now_s = time.time()
    limits = (-math.pi / 2, math.pi / 2, step, 0.0, 0.1, 0.05, 25.0)
    return {
        "joints": types.JointState(header(types, now_s, "base_link"), list(JOINT_NAMES), [0.0] * 6, [0.0] * 6, []),
        "person_distance": types.Float64(1.25),
        "person_scan": types.LaserScan(header(types, now_s, "scanner"), *limits, ranges, []),
        "person_point": types.PointStamped(header(types, now_s, "base_link"), types.Point(0.8172, 1.3529, 0.0628)),
    }

writers = {name: make_writer(place, settings.topic(name), type(one).__name__) for name, one in messages().items()}
while True:
    for name, message in messages().items():
        writers[name].write(message)
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def watchers() -> Iterator[int]:
    """A process of its own that tells of an arm's joints, all at 0, and in three ways of a person beside it."""
    process = subprocess.Popen([sys.executable, "-c", WATCHERS, str(DOMAIN)])
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("given", "expected_m"),
    [
        ({"person_from": "distance"}, 1.25),
        # Worked out by hand in test_people.py: from the leg to the wrist, and from the point to the tool's tip.
        (
            {"person_from": "scan", "person_scan_pose": "1,-1,1.5708", "person_zone": "-1.5708,1.5708,2"},
            np.hypot(1 - 0.8172, 0.5) - 0.08,
        ),
        ({"person_from": "point"}, 1.0 - 0.04),
    ],
    ids=lambda value: value["person_from"] if isinstance(value, dict) else "",
)
def test_how_far_people_are_from_an_arm_comes_over_dds(watchers: int, given: dict[str, str], expected_m: float) -> None:
    """From another process, and again and again, so that it stays fresh."""
    link = Ros2Link(UR5E, settings(namespace="watched", lost_after_s=60.0, **given))
    first = until(lambda: link.read().get("person_distance"), within_s=60.0)
    assert first.values == pytest.approx([expected_m], abs=1e-4)
    later = until(lambda: (lambda now: now if now.stamp_s > first.stamp_s else None)(link.read()["person_distance"]))
    assert later.values == pytest.approx([expected_m], abs=1e-4) and later.arrived_s > first.arrived_s
    link.close()


RUNTIME = """
import sys, time
import numpy as np
from companion.deploy.link import TURTLEBOT3
from companion.deploy.links import open_link
from companion.deploy.watchdog import Plan, Watchdog

settings = dict(pair.split("=") for pair in sys.argv[1:])
link = open_link("ros2", TURTLEBOT3, settings)
watchdog = Watchdog(Plan("ros2", "turtlebot3", settings), ready_within_s=60.0)
while True:
    watchdog.beat()
    link.send(np.array((0.22, 0.0)))
    time.sleep(0.05)
"""


def test_the_watchdog_sends_zeros_over_dds_when_the_runtime_is_killed(base: Ros2Robot) -> None:
    words = [f"domain={DOMAIN}", "namespace=base", "connect_timeout_s=60", "lost_after_s=60"]
    runtime = subprocess.Popen([sys.executable, "-c", RUNTIME, *words])
    told: list[float] = []

    def last() -> float:
        told.extend(command.values[0] for command in base.commands())
        return told[-1] if told else -1.0

    try:
        until(lambda: last() > 0, within_s=60.0)
        runtime.kill()
        struck_s = time.monotonic()
        until(lambda: last() == 0)
        assert time.monotonic() - struck_s < 0.5
        count = len(told)
        until(lambda: last() == 0 and len(told) > count + 3)
        assert set(told[count:]) == {0.0}
    finally:
        runtime.kill()
        runtime.wait()
