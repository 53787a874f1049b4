"""The robot stops when its runtime hangs or dies, and the runtime knows when its watchdog does; real processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from companion.deploy.link import TURTLEBOT3, UR5E, Interface, Measurement
from companion.deploy.links.udp import UdpRobot
from companion.deploy.watchdog import END, MOVING, STANDING, Guard, Plan, Stopper, Watchdog, WatchdogError

KEY = bytes(range(32))
PLAN = Plan("udp", "turtlebot3")
STOPPED_WITHIN_S = 0.3
SLACK_S = 0.2
"""What a machine that is busy with other things may add to it; with it, the half second that is promised."""


def test_silence_is_dangerous_only_while_the_robot_may_move() -> None:
    guard = Guard(PLAN)
    assert not guard.must_stop(1000.0), "the runtime has not begun"
    guard.hear(STANDING, 1000.0)
    assert not guard.must_stop(1010.0)
    guard.hear(STANDING + MOVING, 1010.0)
    assert not guard.must_stop(1010.25)
    assert guard.must_stop(1010.26)
    guard.hear(MOVING, 1010.27)
    assert guard.must_stop(1010.27), "once it has fired it stays so"
    guard.hear(MOVING + END, 1010.3)
    assert not guard.must_stop(1010.3) and guard.is_over(1010.3)


def test_a_broken_pipe_stops_at_once_and_for_as_long_as_planned() -> None:
    guard = Guard(replace(PLAN, stop_for_s=3.0))
    guard.hear(MOVING, 5.0)
    guard.hear(b"", 5.01)
    assert guard.must_stop(5.01) and "died" in guard.why()
    guard.hear(b"", 7.0)
    assert guard.must_stop(8.0) and not guard.is_over(8.0)
    assert guard.is_over(8.02)


class Recorded:
    """A link that remembers what it was told."""

    def __init__(self, **measured: NDArray[np.float64]) -> None:
        self.measured = {name: Measurement(values, 0.0, 0.0) for name, values in measured.items()}
        self.sent: list[list[float]] = []

    def read(self) -> dict[str, Measurement]:
        return self.measured

    def send(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        self.sent.append(command.tolist())
        return command

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("interface", "measured", "sent"),
    [
        (TURTLEBOT3, {}, [[0.0, 0.0]] * 2),
        (UR5E, {"joint_position": np.arange(6.0)}, [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]] * 2),
        (UR5E, {}, []),
        (UR5E, {"joint_position": np.full(6, np.nan)}, []),
    ],
)
def test_a_base_gets_zeros_and_an_arm_the_place_where_it_is(
    interface: Interface, measured: dict[str, NDArray[np.float64]], sent: list[list[float]]
) -> None:
    link = Recorded(**measured)
    stopper = Stopper(link, interface)
    stopper.look()
    stopper.stop()
    if sent and interface is UR5E:  # it creeps; it is still told the place where it was first to stay
        link.measured["joint_position"] = Measurement(np.ones(6), 0.0, 0.0)
    stopper.look()
    stopper.stop()
    assert link.sent == sent


class RobotThread:
    """A robot at the other end of the udp link that writes down what it was told, and when."""

    def __init__(self) -> None:
        self.robot = UdpRobot(TURTLEBOT3, KEY, ("127.0.0.1", 0))
        self.told: list[tuple[float, bool, float]] = []
        """When, whether it was a stop, the forward speed."""
        self._is_over = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over:
            for command in self.robot.commands():
                self.told.append((time.monotonic(), command.is_stop, float(command.values[0])))
            self.robot.publish({"velocity": np.zeros(2)}, time.monotonic())
            time.sleep(0.01)

    def wait_for(self, condition: Callable[[], bool], within_s: float = 20.0) -> None:
        end_s = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < end_s, "it did not happen in time"
            time.sleep(0.005)

    def is_driving(self) -> bool:
        return bool(self.told) and self.told[-1][2] > 0

    def is_stopped(self) -> bool:
        return bool(self.told) and self.told[-1][1]

    def close(self) -> None:
        self._is_over = True
        self._thread.join()
        self.robot.close()


@pytest.fixture
def robot() -> Iterator[RobotThread]:
    thread = RobotThread()
    yield thread
    thread.close()


def settings(folder: Path, robot: RobotThread) -> dict[str, str]:
    file = folder / "robot.key"
    file.write_text(KEY.hex())
    return {"host": "127.0.0.1", "port": str(robot.robot.port), "key_file": str(file)}


RUNTIME = """
import sys, time
import numpy as np
from companion.deploy.link import TURTLEBOT3
from companion.deploy.links import open_link
from companion.deploy.watchdog import Plan, Watchdog

settings = dict(pair.split("=") for pair in sys.argv[1:])
link = open_link("udp", TURTLEBOT3, settings)
watchdog = Watchdog(Plan("udp", "turtlebot3", settings))
while not (trouble := watchdog.beat()):
    link.read()
    link.send(np.array((0.22, 0.0)))
    time.sleep(0.05)
print(trouble, flush=True)
link.send(np.array((0.22, 0.0)))
time.sleep(60)
"""


def start_runtime(given: dict[str, str]) -> subprocess.Popen[str]:
    words = [f"{name}={value}" for name, value in given.items()]
    return subprocess.Popen([sys.executable, "-c", RUNTIME, *words], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=lambda blow: blow.name)
def test_the_robot_stops_when_its_runtime_dies_or_hangs(
    blow: signal.Signals, robot: RobotThread, tmp_path: Path
) -> None:
    runtime = start_runtime(settings(tmp_path, robot))
    try:
        robot.wait_for(robot.is_driving)
        runtime.send_signal(blow)
        struck_s = time.monotonic()
        robot.wait_for(robot.is_stopped)
        first_stop_s = next(when for when, is_stop, _ in robot.told if is_stop)
        assert first_stop_s - struck_s < STOPPED_WITHIN_S + SLACK_S
        if blow is signal.SIGSTOP:  # a runtime that wakes up again moves nothing, and is told why
            runtime.send_signal(signal.SIGCONT)
            assert runtime.stdout is not None
            assert runtime.stdout.readline().strip() == "the watchdog has stopped the robot"
            robot.wait_for(lambda: robot.robot.refused["held"] > 0)
        count = len(robot.told)
        robot.wait_for(lambda: len(robot.told) >= count + 3)
        assert all(is_stop for when, is_stop, _ in robot.told if when > first_stop_s)
    finally:
        runtime.kill()
        runtime.wait()


@pytest.mark.parametrize(("moves", "stops"), [(False, 0), (True, 3)])
def test_a_runtime_that_ends_in_order_is_seconded(moves: bool, stops: int, robot: RobotThread, tmp_path: Path) -> None:
    """Its own last command may have been lost, with its link; where nothing ever moved there is nothing to stop."""
    watchdog = Watchdog(replace(PLAN, settings=settings(tmp_path, robot)))
    assert watchdog.beat(may_move=moves) == "" and watchdog.beat(may_move=False) == ""
    watchdog.close()
    with pytest.raises(ProcessLookupError):
        os.kill(watchdog.process_id, 0)
    robot.wait_for(lambda: len(robot.told) >= stops)
    assert [is_stop for _, is_stop, _ in robot.told] == [True] * stops


@pytest.mark.parametrize(
    ("blow", "trouble"), [(signal.SIGKILL, "has died"), (signal.SIGSTOP, "is silent")], ids=lambda value: str(value)
)
def test_the_runtime_knows_when_its_watchdog_is_gone(
    blow: signal.Signals, trouble: str, robot: RobotThread, tmp_path: Path
) -> None:
    watchdog = Watchdog(replace(PLAN, settings=settings(tmp_path, robot)))
    try:
        assert watchdog.beat() == ""
        os.kill(watchdog.process_id, blow)
        robot.wait_for(lambda: watchdog.beat() != "", within_s=2.0)
        assert trouble in watchdog.beat()
    finally:
        watchdog.close()


def test_without_a_robot_the_watchdog_does_not_start(tmp_path: Path, robot: RobotThread) -> None:
    nowhere = {**settings(tmp_path, robot), "port": "1", "connect_timeout_s": "0.1"}
    with pytest.raises(WatchdogError, match="watchdog"):
        Watchdog(replace(PLAN, settings=nowhere))


def test_a_link_that_is_lost_while_it_stops_is_opened_anew(robot: RobotThread, tmp_path: Path) -> None:
    """A robot whose power was cut is stopped again when it comes back."""
    given = settings(tmp_path, robot)
    watchdog = Watchdog(replace(PLAN, settings=given))
    try:
        assert watchdog.beat() == ""
        robot.wait_for(robot.is_stopped)  # the runtime has hung
        robot.robot.restart()
        os.remove(given["key_file"])  # nothing that happens meanwhile may end it
        robot.told.clear()
        robot.wait_for(robot.is_stopped)
    finally:
        watchdog.close()
