"""`companion robot-sim`: a robot at the other end of a wire that a runtime drives, in step with a clock."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from companion import tasks
from companion.cli._robot_play import Play, Robot, told
from companion.deploy.link import TURTLEBOT3
from companion.deploy.links._robot_end import Taken
from companion.deploy.links.udp import Settings, UdpLink, UdpRobot
from companion.simulator.faults import Plan, parse_fault
from companion.simulator.robot import Contact, Episode, RobotSimulator
from tests.cli.conftest import Companion, environment

KEY = bytes(range(32))


class Together:
    """A robot and a runtime's link in one process, in simulated time."""

    def __init__(self, folder: Path, *faults: str) -> None:
        (folder / "key").write_text(KEY.hex())
        self.simulator = RobotSimulator(tasks.load("mobile_goto"), seed=3)
        self.end = UdpRobot(TURTLEBOT3, KEY, ("127.0.0.1", 0), lambda: self.simulator.time_s)
        plan = Plan(faults=tuple(map(parse_fault, faults)))
        self.play = Play(Robot(self.simulator, self.end, plan, is_enabled=True))
        settings = Settings("127.0.0.1", str(folder / "key"), self.end.port, lost_after_s=100.0)
        self.link = UdpLink(TURTLEBOT3, settings, lambda: self.simulator.time_s)

    def go_on(self, until_s: float, forward_mps: float = 0.1) -> None:
        """The runtime asks for circles, ten times a second."""
        steps = 0
        while self.simulator.time_s < until_s - 1e-9:
            self.play.step()
            measured = self.link.read()
            steps += 1
            if measured and steps % 10 == 0:
                self.link.send(np.array((forward_mps, 2.0)))

    def close(self) -> None:
        self.link.close()
        self.end.close()
        self.simulator.close()


def test_a_runtime_drives_the_robot_over_the_wire(tmp_path: Path) -> None:
    both = Together(tmp_path)
    both.go_on(2.0)
    measured = both.link.read()
    assert set(measured) == {"scan", "pose_room", "velocity", "goal_position_room", "operator"}
    assert measured["velocity"].values[0] == pytest.approx(0.1, abs=0.04)
    assert measured["operator"].values.tolist() == [1.0, 0.0, 0.0]
    assert 1.75 < measured["scan"].stamp_s <= 2.0 and both.play.tally.commands > 15
    both.close()


def test_a_robot_whose_process_restarts_is_found_again_and_stands_meanwhile(tmp_path: Path) -> None:
    both = Together(tmp_path, "restart=1@2")
    both.go_on(2.9)
    assert both.simulator.speed_mps < 0.005 and both.link.read()["velocity"].stamp_s < 2.0
    both.go_on(5.0)
    assert both.link.read()["velocity"].stamp_s > 4.9 and both.simulator.speed_mps > 0.05
    both.close()


def test_a_robot_whose_process_hangs_drives_on_and_takes_what_waited(tmp_path: Path) -> None:
    both = Together(tmp_path, "hang@2..3")
    both.go_on(2.0)
    before = both.play.tally.commands
    both.go_on(2.9, forward_mps=0.0)
    assert both.simulator.speed_mps > 0.05, "nothing tells a TurtleBot3 to stop then: hence the robot's own timeout"
    assert both.play.tally.commands == before
    both.go_on(3.3, forward_mps=0.0)
    assert both.simulator.speed_mps < 0.02
    both.close()


def test_a_wrong_type_is_not_taken(tmp_path: Path) -> None:
    both = Together(tmp_path, "wrong_type:scanner@1")
    both.go_on(2.0)
    assert both.link.read()["scan"].stamp_s < 1.0 < both.link.read()["velocity"].stamp_s
    assert both.link.refused["part"] > 3
    both.close()


def test_further_stops_hold_the_robot_where_the_first_one_did() -> None:
    """An arm that is held anew wherever it is sinks a little under its load each time."""
    simulator = RobotSimulator(tasks.load("arm_reach"), seed=3, overrides={"payload_kg": 1.0})
    play = Play(Robot(simulator, SimpleNamespace(), Plan()))  # pyright: ignore[reportArgumentType] (no wire is needed)
    stop, command = Taken(np.zeros(6), is_stop=True), Taken(simulator.asked + 0.2)
    play._obey(command)
    held = []
    for _ in range(3):
        for _ in range(20):
            simulator.advance()
        play._obey(stop)
        held.append(simulator.asked)
    np.testing.assert_array_equal(held[0], held[2])
    play._obey(command)
    for _ in range(20):
        simulator.advance()
    play._obey(stop)
    assert np.abs(simulator.asked - held[0]).max() > 0.01, "once it was commanded again it is held anew"
    assert play.tally.stops == 4 and play.tally.commands == 2
    simulator.close()


def test_an_episode_is_told_in_one_line() -> None:
    person = Episode(False, 3.2, "contact", Contact(0.11, True, True), 0.0, 0.22)
    assert told(4, person) == "episode 4: contact after 3.2 s with a person who walked in at 0.11 m/s"
    assert told(1, Episode(True, 9.0, "success", None, 0.2, 0.22)) == "episode 1: success after 9.0 s"


def test_the_verb_plays_in_its_own_process(tmp_path: Path) -> None:
    """An arm that nobody commands, twenty times as fast as real time."""
    (tmp_path / "key").write_text(KEY.hex())
    words = ["robot-sim", "arm_reach", "--link-set", f"key_file={tmp_path / 'key'}", "--link-set", "port=47123"]
    words += ["--speed", "20", "--episodes", "1", "--json"]
    command = [sys.executable, "-m", "companion.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    episode, summary = map(json.loads, done.stdout.splitlines())
    assert episode["ended_by"] == "time" and episode["duration_s"] == pytest.approx(5.0 + 1.1)
    assert summary["episodes"] == 1 and summary["successes"] == 0 and summary["commands"] == 0


def test_bad_words_are_refused(companion: Companion, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY.hex())
    key = ("--link-set", f"key_file={tmp_path / 'key'}")
    companion("robot-sim", "mobile_got").assert_refused("no task 'mobile_got'")
    companion("robot-sim", "arm_rally", *key).assert_refused("no physical robot for task 'arm_rally'", "mobile_goto")
    companion("robot-sim", "mobile_goto").assert_refused("the link 'udp' needs key_file=")
    companion("robot-sim", "mobile_goto", "--link-set", "key_file=nowhere").assert_refused("nowhere: No such file")
    companion("robot-sim", "mobile_goto", "--link-set", "x").assert_refused("--link-set x: expected KEY=VALUE")
    companion("robot-sim", "mobile_goto", *key, "--link", "tcp").assert_refused("no link 'tcp'; choose from", "udp")
    companion("robot-sim", "mobile_goto", *key, "--fault", "nan").assert_refused("the fault 'nan' must read")
    companion("robot-sim", "mobile_goto", *key, "--loss", "2").assert_refused("loss=2 must be")
    companion("robot-sim", "mobile_goto", *key, "--speed", "0").assert_refused("--speed 0 is not a number of at least")
