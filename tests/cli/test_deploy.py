"""`companion deploy` on the loopback, from a policy's file to a scored log of what the robot did."""

import io
import json
import socket
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from companion.deploy.enabling import Keyboard
from companion.deploy.safety import Operator
from companion.rewards.ledger import open_ledger
from tests.cli.conftest import REPOSITORY, Companion

ARM, MOBILE = (REPOSITORY / "exported_models" / f"{task}.onnx" for task in ("arm_reach", "mobile_goto"))


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the arm did in a few episodes."""
    from companion.cli.main import main

    path = tmp_path_factory.mktemp("deployed") / "arm.box"
    assert main(["deploy", str(ARM), "--episodes", "4", "--black-box", str(path), "--json"]) == 0
    return path


def test_the_arm_reaches_its_targets_through_filter_and_senses(companion: Companion) -> None:
    told = json.loads(companion("deploy", ARM, "--episodes", "6", "--json").out)
    assert told["task"] == "arm_reach" and told["link"] == "loopback"
    assert told["episodes"]["count"] == 6 and told["episodes"]["success_rate"] >= 5 / 6
    assert told["episodes"]["evaluation_success_rate"] == 1.0
    assert told["refused"] == {} and told["missed"] == 0 and told["mode_s"]["RUN"] > 5


def test_the_mobile_robot_drives_to_its_goals(companion: Companion) -> None:
    shown = companion("deploy", MOBILE, "--episodes", "2", "--set", "people_count=0")
    assert shown.code == 0 and "of 2 episodes succeed" in shown.out and "when it was judged" in shown.out
    assert "contacts: 0" in shown.out


def test_what_a_robot_did_is_scored_like_a_training(box: Path, tmp_path: Path, companion: Companion) -> None:
    ledger = tmp_path / "ledger"
    shown = companion("rewards", "unbox", box, ledger)
    assert shown.code == 0 and "0 in the ledger: power, contact" in shown.out
    about = open_ledger(ledger).about
    assert about.source == "robot" and about.task == "arm_reach" and about.control_period_s == 0.05
    scored = json.loads(companion("rewards", "rescore", ledger, "full", "sparse", "--json").out)
    assert scored["episodes"] >= 3 and scored["success_rate"] > 0.7
    assert scored["recipes"][0]["return_of_successes"] > 3.0
    companion("rewards", "unbox", box, ledger).assert_refused("holds something")
    companion("rewards", "unbox", ARM, tmp_path / "other").assert_refused("arm_reach.onnx", "no black box")


def test_a_black_box_is_replayed_and_the_same_policy_answers_the_same(box: Path, companion: Companion) -> None:
    replay = ("--link", "recorded", "--link-set", f"box={box}")
    told = json.loads(companion("deploy", ARM, *replay, "--json").out)
    assert told["is_alike"] and told["same_model"] and told["ticks"] == told["modes_alike"] > 60
    assert told["acted_both"] > 40 and told["acted_then_only"] == told["acted_now_only"] == 0
    assert told["action_difference"] < 1e-5 and told["command_difference"] < 1e-5
    shown = companion("deploy", ARM, *replay)
    assert shown.code == 0 and "the same file" in shown.out and "ticks that differ" in shown.out
    companion("deploy", MOBILE, *replay).assert_refused(
        "arm.box", "is of task arm_reach; the policy is for mobile_goto"
    )
    companion("deploy", ARM, "--link", "recorded", "--link-set", f"box={ARM}").assert_refused("no black box")
    companion("deploy", ARM, *replay, "--seconds", "3").assert_refused("--seconds", "replayed whole")
    companion("deploy", ARM, *replay, "--link-set", "speed=2").assert_refused("--link-set speed", "needs none")
    companion("deploy", ARM, "--link", "recorded").assert_refused("needs bag=", "box=")


def test_its_status_page_tells_of_the_run_and_a_taken_port_stops_it_before(
    companion: Companion, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        refused = companion("deploy", ARM, "--status", taken, "--black-box", tmp_path / "a.box")
    refused.assert_refused(f"--status: 127.0.0.1:{taken}: Address already in use")
    assert not (tmp_path / "a.box").exists(), "nothing is left behind"
    companion("deploy", ARM, "--status", "here").assert_refused("--status here: expected [HOST:]PORT")
    seen: list[dict[str, Any]] = []
    asking = threading.Thread(target=_ask, args=(taken, seen))
    asking.start()
    shown = companion("deploy", ARM, "--episodes", "3", "--status", f"0.0.0.0:{taken}")
    asking.join()
    assert shown.code == 0 and f"http://0.0.0.0:{taken}/" in shown.err and shown.err.count("warning:") == 1
    assert seen and seen[-1]["about"]["task"] == "arm_reach" and seen[-1]["mode"] in ("INIT", "READY", "ARMED", "RUN")


def _ask(port: int, seen: list[dict[str, Any]]) -> None:
    """Look at the page until it has something to tell."""
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s and not (seen and "mode" in seen[-1]):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/status.json", timeout=5) as answer:
            seen.append(json.load(answer))
        time.sleep(0.02)


def test_bad_input_is_refused_in_one_line(tmp_path: Path, box: Path, companion: Companion) -> None:
    companion("deploy").assert_refused("MODEL")
    companion("deploy", tmp_path / "none.onnx").assert_refused("none.onnx", "No such file")
    companion("deploy", ARM, "--link", "carrier-pigeon").assert_refused("no link 'carrier-pigeon'", "udp")
    companion("deploy", ARM, "--robot", "turtle").assert_refused("no robot profile 'turtle'; choose from", "ur5e")
    companion("deploy", ARM, "--robot", "turtlebot3").assert_refused("6 continuous entries", "'turtlebot3' takes 2")
    companion("deploy", ARM, "--set", "payload=1").assert_refused("no perturbation 'payload'")
    companion("deploy", ARM, "--link", "udp", "--set", "payload_kg=1").assert_refused("--set", "--link-set")
    companion("deploy", ARM, "--link-set", "port=1").assert_refused("--link-set port=1")
    companion("deploy", ARM, "--shadow").assert_refused("--shadow")
    companion("deploy", ARM, "--realtime").assert_refused("--realtime", "simulated")
    companion("deploy", ARM, "--seconds", "0").assert_refused("--seconds 0")
    companion("deploy", ARM, "--box-minutes", "nan").assert_refused("--box-minutes")
    companion("deploy", ARM, "--black-box", box).assert_refused("File exists", "arm.box")


def test_the_keyboard_enables_stops_and_resets() -> None:
    keyboard = Keyboard(io.StringIO(""))
    keyboard.listener.join()
    assert keyboard.wants_to_quit, "nobody is at the keyboard"
    keyboard.wants_to_quit = False
    seen = []
    for line in ("\n", "\n", "\n", "s\n", "\n", "r\n", "\n", "what\n"):
        keyboard.take(line)
        seen.append(keyboard())
    on, off, stopped = Operator(enabled=True), Operator(), Operator(stop=True)
    assert seen[:4] == [on, off, on, stopped]
    assert seen[4] == Operator(enabled=True, stop=True), "a stop lasts"
    assert seen[5:] == [Operator(reset=True), on, off]
    keyboard.take("q")
    assert keyboard.wants_to_quit and keyboard() == off
