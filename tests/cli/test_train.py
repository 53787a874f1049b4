"""From training to a judged and exported policy, and whatever may stand in the way."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from companion import tasks
from companion.cli._run_directory import read_record
from companion.cli.main import main
from companion.deploy.actor import OnnxActor
from tests.cli.conftest import REPOSITORY, Companion, environment

SMALL = ("--steps", 512, "--copies", 8, "--episodes", 4, "--quiet")


def settings(folder: Path, text: str = "rollout_steps: 16\nhidden_sizes: [16]\nepochs: 1\n") -> Path:
    path = folder / "small.yaml"
    path.write_text(text)
    return path


def words(*given: object) -> list[str]:
    return [str(word) for word in given]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run `run` and exported models `models`."""
    folder = tmp_path_factory.mktemp("trained")
    config = settings(folder)
    command = ("train", "arm_reach", *SMALL, "--config", config, "--seed", 3, "--run-dir", folder / "run")
    assert main(words(*command, "--export-dir", folder / "models")) == 0
    return folder


@pytest.fixture
def finished(trained: Path, tmp_path: Path) -> Path:
    """A copy of that run, to do things to."""
    shutil.copytree(trained / "run", tmp_path / "run")
    return tmp_path / "run"


def test_a_run_directory_holds_everything(trained: Path) -> None:
    run = trained / "run"
    record = read_record(run)
    assert (record.task, record.trainer, record.recipe, record.world) == ("arm_reach", "ppo", "full", "embedded")
    assert record.versions["mujoco"]
    assert (run / "recipe.yaml").read_text() == (REPOSITORY / "reward_configs/arm_reach/full.yaml").read_text()
    assert "hidden_sizes:\n- 16\n" in (run / "config.yaml").read_text()
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 512
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert evaluation["episodes"] == 4 and evaluation["seed"] == 1_000_003
    assert evaluation["model"] == str(run / "policy.onnx")


def test_the_card_tells_what_was_trained(trained: Path) -> None:
    card = OnnxActor(trained / "models" / "arm_reach.onnx").card
    assert (card.robot, card.task, card.behavior) == ("ur5e", "arm_reach", "ArmReach")
    assert card.layout == tasks.load("arm_reach").layout and len(card.action) == 6
    assert card.latency_s == (0.0, pytest.approx(0.1))
    assert card.robot_facts["joint_names"][0] == "shoulder_pan_joint"
    assert card.provenance.steps == 512 and card.provenance.seed == 3
    assert card.provenance.config["hidden_sizes"] == [16]
    assert card.recipe.name == "full" and len(card.recipe.hash) == 64
    assert card.evaluation is not None and card.evaluation["episodes"] == 4
    assert card.observation_range is not None and len(card.observation_range.low) == card.layout.size
    assert len(card.golden.observation) == 16


def test_the_exported_model_is_the_runs(trained: Path) -> None:
    assert (trained / "models" / "arm_reach.onnx").read_bytes() == (trained / "run" / "policy.onnx").read_bytes()
    exported = json.loads((trained / "models" / "arm_reach.json").read_text())
    own = json.loads((trained / "run" / "evaluation.json").read_text())
    assert exported == {**own, "model": str(trained / "models" / "arm_reach.onnx")}
    assert sorted(os.listdir(trained / "models")) == ["arm_reach.json", "arm_reach.onnx"]


def test_the_robots_file_is_old_enough_for_robots(trained: Path) -> None:
    model = onnx.load(str(trained / "run" / "policy.onnx"))
    assert model.ir_version <= 7 and [entry.version for entry in model.opset_import] == [13]


def test_evaluate_repeats_what_training_found(trained: Path, companion: Companion) -> None:
    found = companion("evaluate", trained / "run", "--episodes", 4, "--seed", 1_000_003, "--json")
    assert found.code == 0 and found.err == ""
    assert json.loads(found.out) == json.loads((trained / "run" / "evaluation.json").read_text())


def test_evaluate_shows_a_table(trained: Path, companion: Companion) -> None:
    model = trained / "models" / "arm_reach.onnx"
    shown = companion("evaluate", model, "--episodes", 3, "--copies", 2, "--set", "action_delay_steps=3")
    assert shown.code == 0 and "of 3 episodes succeed" in shown.out and "distance" in shown.out


def test_evaluate_sets_perturbations(trained: Path, companion: Companion) -> None:
    model = trained / "models" / "arm_reach.onnx"

    def found(*flags: str) -> dict[str, object]:
        return json.loads(companion("evaluate", model, "--episodes", 3, "--json", *flags).out)

    heavy = found("--set", "payload_kg=5", "--set", "joint_friction_nm=20")
    assert heavy["set"] == {"payload_kg": 5.0, "joint_friction_nm": 20.0}
    assert heavy["metrics"] != found()["metrics"]


def test_export_for_both_ends(trained: Path, tmp_path: Path, companion: Companion) -> None:
    robot, unity = tmp_path / "deep" / "robot.onnx", tmp_path / "unity.onnx"
    assert companion("export", trained / "run", "--output", robot).code == 0
    assert companion("export", trained / "run", "--format", "unity", "--output", unity).code == 0
    observation = np.random.default_rng(0).normal(size=(5, tasks.load("arm_reach").layout.size)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(unity), providers=["CPUExecutionProvider"])
    action = session.run(["deterministic_continuous_actions"], {"obs_0": observation})[0]
    assert action == pytest.approx(OnnxActor(robot).act(observation), abs=1e-5)


def test_a_run_is_never_overwritten(finished: Path, companion: Companion) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    again = ("train", "arm_reach", *SMALL, "--run-dir", finished)
    companion(*again).assert_refused("holds a run", "--resume", "--force")
    companion(*again, "--resume", "--force").assert_refused("contradict")
    companion("train", "mobile_goto", *SMALL, "--run-dir", finished, "--resume").assert_refused("task was 'arm_reach'")
    companion(*again, "--resume", "--recipe", "sparse").assert_refused("can't be resumed", "recipe_hash")
    companion(*again, "--resume", "--seed", 4).assert_refused("seed was 3, now 4")
    companion(*again, "--resume", "--set", "payload_kg=1").assert_refused("set")
    assert {path: path.read_bytes() for path in before} == before


def test_force_sets_the_old_run_aside(finished: Path, companion: Companion) -> None:
    policy = (finished / "policy.onnx").read_bytes()
    config = settings(finished.parent)
    forced = companion("train", "arm_reach", *SMALL, "--config", config, "--run-dir", finished, "--force")
    assert forced.code == 0
    assert (finished.parent / "run.old-1" / "policy.onnx").read_bytes() == policy
    assert (finished / "policy.onnx").exists()


def test_resume_goes_on_where_the_run_stopped(finished: Path, companion: Companion) -> None:
    gone_on = companion(
        "train", "arm_reach", "--steps", 1024, "--episodes", 4, "--quiet", "--run-dir", finished, "--resume"
    )
    assert gone_on.code == 0, gone_on.err
    steps = [json.loads(line)["step"] for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps) and steps[0] == 128 and steps[-1] == 1024
    assert "steps: 1024\n" in (finished / "config.yaml").read_text()
    assert OnnxActor(finished / "policy.onnx").card.provenance.steps == 1024


UNDISTURBED = ("train", "arm_reach", "--steps", 2560, "--copies", 16, "--episodes", 4, "--quiet")


def figures(run: Path) -> list[dict[str, float]]:
    """What a run learned, step by step, without the clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.startswith("Time/")} for line in lines]


def start_and_signal(command: tuple[object, ...], run: Path, number: int) -> int:
    """Start a training in a process of its own, send it a signal once it has learned a little; its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-m", "companion.cli.main", *words(*command, "--run-dir", run)],
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    metrics = run / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.read_bytes().count(b"\n") >= 3):
        time.sleep(0.01)
    process.send_signal(number)
    return process.wait(timeout=60)


def test_a_killed_run_gives_the_numbers_of_an_undisturbed_one(tmp_path: Path, companion: Companion) -> None:
    config = settings(tmp_path, "rollout_steps: 16\nhidden_sizes: [16]\ncheckpoint_interval_s: 0\n")
    command = (*UNDISTURBED, "--config", config)
    assert companion(*command, "--run-dir", tmp_path / "whole").code == 0
    killed = tmp_path / "killed"
    assert start_and_signal(command, killed, signal.SIGKILL) == -signal.SIGKILL
    assert companion(*command, "--run-dir", killed, "--resume").code == 0
    assert figures(killed) == figures(tmp_path / "whole")
    golden = [OnnxActor(run / "policy.onnx").card.golden for run in (killed, tmp_path / "whole")]
    assert golden[0] == golden[1]


def test_an_interrupted_run_can_be_resumed(tmp_path: Path, companion: Companion) -> None:
    command = (*UNDISTURBED[:3], 100_000, *UNDISTURBED[4:], "--config", settings(tmp_path))
    assert start_and_signal(command, tmp_path / "run", signal.SIGINT) == 130
    assert not (tmp_path / "run" / "policy.onnx").exists()
    assert companion(*UNDISTURBED, "--run-dir", tmp_path / "run", "--resume").code == 0


def test_resume_starts_a_run_that_is_not_there(tmp_path: Path, companion: Companion) -> None:
    config = settings(tmp_path)
    run = tmp_path / "new"
    assert companion("train", "arm_reach", *SMALL, "--config", config, "--run-dir", run, "--resume").code == 0
    assert (run / "policy.onnx").exists()


ONE_PLAYER = ["trainer a3c makes a world per worker", "--world unity", "--world embedded", "--trainer from a2c, ddpg"]
BAD_INPUT = {
    "unknown task": (("arm_raech",), ["no task 'arm_raech'; choose from", "arm_reach"]),
    "unknown recipe": (("arm_reach", "--recipe", "ful"), ["no recipe 'ful'", "full, sparse"]),
    "missing recipe file": (("arm_reach", "--recipe", "no/such.yaml"), ["no/such.yaml", "No such file"]),
    "unknown trainer": (("arm_reach", "--trainer", "pop"), ["no trainer 'pop'; choose from", "ppo"]),
    "shared code as a trainer": (("arm_reach", "--trainer", "common"), ["no trainer 'common'"]),
    "unknown world": (("arm_reach", "--world", "mars"), ["--world", "embedded"]),
    "no copies": (("arm_reach", "--copies", "0"), ["--copies", "0 is below 1"]),
    "half a copy": (("arm_reach", "--copies", "1.5"), ["--copies", "not a whole number"]),
    "negative steps": (("arm_reach", "--steps", "-5"), ["--steps"]),
    "no episodes": (("arm_reach", "--episodes", "0"), ["--episodes"]),
    "huge seed": (("arm_reach", "--seed", "99999999999"), ["--seed"]),
    "nan": (("arm_reach", "--set", "payload_kg=nan"), ["payload_kg=nan"]),
    "unknown perturbation": (("arm_reach", "--set", "gravity=1"), ["no perturbation 'gravity'", "payload_kg"]),
    "missing config": (("arm_reach", "--config", "nowhere.yaml"), ["nowhere.yaml", "No such file"]),
    "missing player": (("arm_reach", "--world", "unity", "--env", "nowhere"), ["no player nowhere"]),
    "a player per worker": (("arm_reach", "--trainer", "a3c", "--world", "unity"), ONE_PLAYER),
    "player without its world": (("arm_reach", "--env", "nowhere"), ["--world unity"]),
    "resume what": (("arm_reach", "--resume"), ["--resume needs --run-dir"]),
    "wrong kind of recipe": (("arm_reach", "--recipe", "../mobile.yaml"), ["mobile_goto"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_nothing(
    case: str, tmp_path: Path, companion: Companion, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    shutil.copy(REPOSITORY / "reward_configs/mobile_goto/full.yaml", tmp_path / "mobile.yaml")
    monkeypatch.chdir(here)
    given, expected = BAD_INPUT[case]
    companion("train", *given).assert_refused(*expected)
    assert list(here.iterdir()) == []


def test_wrong_yaml_is_told_with_its_line(tmp_path: Path, companion: Companion) -> None:
    bad = settings(tmp_path, "epochs: 1\nlearning_rat: 1e-3\n")
    run = ("train", "arm_reach", "--run-dir", tmp_path / "run")
    companion(*run, "--config", bad).assert_refused("small.yaml:2", "learning_rat", "learning_rate")
    recipe = tmp_path / "r.yaml"
    recipe.write_text("task: arm_reach\ndescription: x\nterms:\n  reachd: {kind: event, weight: 1, rationale: x}\n")
    companion(*run, "--recipe", recipe).assert_refused("r.yaml:4", "reachd", "did you mean 'reached'?")
    assert not (tmp_path / "run").exists()


def test_a_place_that_cannot_be_written_is_told_before_training(tmp_path: Path, companion: Companion) -> None:
    (tmp_path / "file").write_text("mine")
    train = ("train", "arm_reach", *SMALL)
    companion(*train, "--run-dir", tmp_path / "file").assert_refused("is a file, not a folder")
    companion(*train, "--run-dir", tmp_path / "file" / "run").assert_refused("cannot write here")
    companion(*train, "--run-dir", tmp_path / "run", "--export-dir", tmp_path / "file").assert_refused("cannot write")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").write_text("mine")
    companion(*train, "--run-dir", tmp_path / "full").assert_refused("thesis.doc", "choose another")
    companion(*train, "--run-dir", tmp_path / "full", "--force").assert_refused("thesis.doc")
    assert (tmp_path / "file").read_text() == "mine" and not (tmp_path / "run").exists()


def test_files_that_are_no_policies_are_refused(trained: Path, tmp_path: Path, companion: Companion) -> None:
    whole = (trained / "models" / "arm_reach.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(whole[: len(whole) // 2])
    companion("evaluate", cut).assert_refused("cut.onnx", "not a whole ONNX model")
    companion("evaluate", trained / "run" / "policy.unity.onnx").assert_refused("no policy card")
    companion("evaluate", tmp_path).assert_refused("policy.onnx", "No such file")
    companion("evaluate", trained / "run", "--copies", 0).assert_refused("--copies")
    companion("evaluate", trained / "run", "--set", "payload_kg=nan").assert_refused("payload_kg=nan")
    companion("export", tmp_path).assert_refused("no run directory")


def test_an_unfinished_run_cannot_be_exported(finished: Path, companion: Companion) -> None:
    (finished / "policy.onnx").unlink()
    companion("export", finished).assert_refused("not finished", "--resume")


def test_a_bad_export_never_takes_the_place_of_a_good_one(finished: Path, tmp_path: Path, companion: Companion) -> None:
    good = tmp_path / "good.onnx"
    assert companion("export", finished, "--output", good).code == 0
    before = good.read_bytes()
    (finished / "policy.onnx").write_bytes(before[:-1000])
    companion("export", finished, "--output", good).assert_refused("not a whole ONNX model")
    shutil.copy(finished / "policy.onnx", finished / "policy.unity.onnx")
    assert good.read_bytes() == before


def test_a_record_that_was_tampered_with_is_told(finished: Path, companion: Companion) -> None:
    (finished / "run.json").write_text("{}")
    companion("export", finished).assert_refused("run.json", "not a run's record")


def player(folder: Path) -> Path:
    """`companion-player` of this source tree as an executable."""
    path = folder / "player.sh"
    python_path = f"{REPOSITORY / 'python'}{os.pathsep}{REPOSITORY}"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{python_path}" exec "{sys.executable}" -m companion.cli.player "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        yield busy.getsockname()[1]


def test_training_over_the_wire(tmp_path: Path, companion: Companion) -> None:
    config = settings(tmp_path)
    command = ("train", "arm_reach", "--steps", 256, "--copies", 8, "--episodes", 2, "--quiet", "--config", config)
    wire = ("--world", "unity", "--env", player(tmp_path), "--port", free_port())
    done = companion(*command, *wire, "--run-dir", tmp_path / "run")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["episodes"] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Unity's builds end otherwise")
def test_a_player_is_found_without_its_suffix(tmp_path: Path, companion: Companion) -> None:
    """As by mlagents-learn, before the training and by the world, which then finds its port taken."""
    player(tmp_path).rename(tmp_path / "3DBall.x86_64")
    command = ("train", "arm_reach", *SMALL, "--world", "unity", "--run-dir", tmp_path / "run")
    with taken_port() as port:
        companion(*command, "--env", tmp_path / "3DBall", "--port", port).assert_refused(str(port))
    companion(*command, "--env", tmp_path / "3DBal").assert_refused("there is no player", "3DBal")


def test_a_player_that_does_not_start_is_told(tmp_path: Path, companion: Companion) -> None:
    plain = tmp_path / "plain.sh"
    plain.write_text("#!/bin/sh\nexit 3\n")
    command = ("train", "arm_reach", *SMALL, "--world", "unity", "--run-dir", tmp_path / "run", "--port", free_port())
    companion(*command, "--env", plain).assert_refused("plain.sh", "not executable")
    with taken_port() as port:
        companion(*command[:-1], port, "--env", player(tmp_path)).assert_refused(str(port))
    # Nothing was learned, so nothing stands in the way of a second try.
    config = settings(tmp_path)
    assert companion("train", "arm_reach", *SMALL, "--config", config, "--run-dir", tmp_path / "run").code == 0
