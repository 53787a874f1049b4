"""The links talk with real ROS 2, both ways and in every message: a node of rclpy's in a Python of its own.

COMPANION_ROS_PYTHON names that Python. PyPI's ros-* wheels make one (docs/ros2.md).
"""

import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="needs cyclonedds: pip install -c constraints.txt cyclonedds")

from companion.deploy.link import TURTLEBOT3, UR5E, Interface
from companion.deploy.links._ros_messages import Settings
from companion.deploy.links.ros2 import Ros2Robot, connect

ROS_PYTHON = os.environ.get("COMPANION_ROS_PYTHON", "")
pytestmark = pytest.mark.skipif(
    not ROS_PYTHON, reason="needs real ROS 2: COMPANION_ROS_PYTHON must name a Python that has rclpy (docs/ros2.md)"
)
FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
DOMAIN = 140 + os.getpid() % 40


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**kept, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "PYTHONPATH": str(ROOT / "python")}


class Peer:
    """A real node."""

    def __init__(self, wants: str, domain: int) -> None:
        words = [ROS_PYTHON, str(FOLDER / "ros_peer.py"), str(domain), wants]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment(), bufsize=0)
        self._heard = b""
        assert self._process.stdout is not None and self._process.stdout.readline().strip() == b"ready"

    def told(self) -> list[Any]:
        """What it was told so far."""
        assert self._process.stdout is not None
        while select.select([self._process.stdout], [], [], 0)[0]:
            self._heard += os.read(self._process.stdout.fileno(), 4096)
        *whole, _ = self._heard.split(b"\n")
        return [json.loads(line) for line in whole]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(params=["Twist", "TwistStamped"])
def peer(request: pytest.FixtureRequest) -> Iterator[tuple[str, Peer, int]]:
    domain = DOMAIN + (request.param == "Twist")
    made = Peer(request.param, domain)
    yield request.param, made, domain
    made.close()


def until(condition: Callable[[], Any], within_s: float = 60.0) -> Any:
    end_s = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.02)
    return found


def whole(link: Any, interface: Interface) -> Any:
    """All of an interface's measurements, once they have come."""
    names = {one.name for one in (*interface.measured, *interface.optional)}
    return until(lambda: (lambda measured: measured if set(measured) == names else None)(link.read()))


def told(link: Any, peer: Peer, kind: str, command: np.ndarray) -> list[float]:
    def tried() -> Any:
        link.send(command)
        return [one["values"] for one in peer.told() if one["kind"] == kind]

    return until(tried)[-1]


def test_a_real_node_is_read_and_commanded(peer: tuple[str, Peer, int]) -> None:
    wants, node, domain = peer
    settings = Settings(domain=domain, connect_timeout_s=60.0, lost_after_s=60.0)
    base = connect(TURTLEBOT3, settings)
    measured = whole(base, TURTLEBOT3)
    np.testing.assert_allclose(measured["scan"].values[:359], 1 + np.arange(359) / 360, rtol=1e-6)
    assert measured["scan"].values[359] == 3.5
    assert measured["pose_room"].values.tolist() == [1.5, 0.0, 0.0]
    assert measured["velocity"].values.tolist() == [0.125, -0.5]
    assert measured["goal_position_room"].values.tolist() == [2.0, -1.0]
    assert measured["operator"].values.tolist() == [1.0, 0.0, 0.0]
    assert measured["person_distance"].values.tolist() == [2.5] and measured["contact"].values.tolist() == [1.0]
    assert abs(measured["scan"].stamp_s - time.time()) < 10.0
    assert told(base, node, wants, np.array((0.2, -0.75))) == [0.2, -0.75]
    assert not base.refused
    base.close()
    if wants == "Twist":
        return
    for controller, kind in (("trajectory", "JointTrajectory"), ("positions", "Float64MultiArray")):
        arm = connect(UR5E, Settings(domain=domain, controller=controller, connect_timeout_s=60.0, lost_after_s=60.0))
        measured = whole(arm, UR5E)
        # The node tells them in the alphabet's order: elbow, lift, pan; the arm's is pan, lift, elbow.
        assert measured["joint_position"].values.tolist() == [0.25, 0.125, 0.0, 0.375, 0.5, 0.625]
        assert measured["target_position_base"].values.tolist() == [0.5, 0.0, 0.25]
        found = told(arm, node, kind, np.arange(6) / 4)
        assert found[:6] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]
        assert kind == "Float64MultiArray" or found[6] == pytest.approx(0.05)
        arm.close()


NODE = """
import json, sys, time
import numpy as np
from companion.deploy.link import TURTLEBOT3
from companion.deploy.links import open_link

link = open_link("rclpy", TURTLEBOT3, dict(pair.split("=") for pair in sys.argv[1:]))
names = {one.name for one in TURTLEBOT3.measured}
while not names <= set(measured := link.read()):
    time.sleep(0.02)
print(json.dumps({name: one.values[:3].tolist() for name, one in measured.items()}), flush=True)
while True:
    link.send(np.array((0.125, 0.5)))
    link.read()
    time.sleep(0.05)
"""


def test_the_rclpy_link_talks_with_the_cyclonedds_robot() -> None:
    """Real ROS 2 on the runtime's side, the simulated robot's end on the other."""
    robot = Ros2Robot(TURTLEBOT3, Settings(domain=DOMAIN + 2), ("TwistStamped",))
    given = [f"domain={DOMAIN + 2}", "connect_timeout_s=60", "lost_after_s=60"]
    process = subprocess.Popen([ROS_PYTHON, "-c", NODE, *given], stdout=subprocess.PIPE, env=environment(), bufsize=0)
    try:

        def heard() -> Any:
            robot.publish({"scan": np.linspace(0.5, 3.0, 360)}, time.time())
            robot.publish({"goal_position_room": np.array((1.0, 2.0))}, time.time())
            robot.publish({"pose_room": np.array((0.25, 0.5, 0.0)), "velocity": np.zeros(2)}, time.time())
            assert process.poll() is None and process.stdout is not None
            return select.select([process.stdout], [], [], 0)[0] and process.stdout.readline()

        measured = json.loads(until(heard))
        assert measured["pose_room"] == [0.25, 0.5, 0.0] and measured["goal_position_room"] == [1.0, 2.0]
        np.testing.assert_allclose(measured["scan"], np.linspace(0.5, 3.0, 360)[:3], rtol=1e-6)
        assert until(robot.commands)[-1].values.tolist() == [0.125, 0.5]
    finally:
        process.kill()
        process.wait()
        robot.close()
