"""Files of mlagents-learn on the command line: every behavior of somebody's player gets a policy of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml

from companion.cli.main import main
from companion.deploy.actor import OnnxActor
from tests.cli.conftest import REPOSITORY, Companion, environment
from tests.cli.test_train import free_port

LEARN = """
behaviors:
  Runner:
    trainer_type: ppo
    hyperparameters: {batch_size: 32, buffer_size: 64, num_epoch: 1}
    network_settings: {hidden_units: 16, num_layers: 1, normalize: true}
    max_steps: 200
  Talker:
    trainer_type: sac
    hyperparameters: {batch_size: 16, buffer_size: 500, buffer_init_steps: 50}
    network_settings: {hidden_units: 16, num_layers: 1}
    max_steps: 150
"""


def learn_file(folder: Path, text: str = LEARN) -> Path:
    path = folder / "learn.yaml"
    path.write_text(text)
    return path


def foreign_player(folder: Path) -> Path:
    """The player of somebody else, as an executable."""
    path = folder / "foreign"
    script = REPOSITORY / "tests" / "worlds" / "foreign_player.py"
    python_path = f"{REPOSITORY / 'python'}{os.pathsep}{REPOSITORY}"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{python_path}" exec "{sys.executable}" "{script}" "$@"\n')
    path.chmod(0o755)
    return path


def words(folder: Path, *more: object) -> tuple[object, ...]:
    """To learn in that player: it shows up to three agents of a behavior at once."""
    player = ("--env", foreign_player(folder), "--copies", 3, "--port", free_port())
    return ("train", "--config", learn_file(folder), *player, "--episodes", 5, "--quiet", *more)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run `run`."""
    folder = tmp_path_factory.mktemp("learned")
    story = ("--env-args", "--story", folder / "story.json")
    assert main([str(word) for word in words(folder, "--run-dir", folder / "run", *story)]) == 0
    return folder


@pytest.fixture
def finished(learned: Path, tmp_path: Path) -> Path:
    """A copy of that run, to do things to."""
    shutil.copytree(learned / "run", tmp_path / "run")
    return tmp_path / "run"


def test_every_behavior_is_learned_by_its_own_trainer(learned: Path) -> None:
    for name, trainer, steps in (("Runner", "ppo", 200), ("Talker", "sac", 150)):
        run = learned / "run" / name
        record = json.loads((run / "run.json").read_text())
        assert (record["task"], record["trainer"], record["world"]) == (f"unity:{name}", trainer, "unity")
        assert yaml.safe_load((run / "config.yaml").read_text())["hidden_sizes"] == [16]
        assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] >= steps
        evaluation = json.loads((run / "evaluation.json").read_text())
        assert evaluation["episodes"] == 5 and evaluation["success_rate"] is None
    assert (learned / "run" / "trainer_config.yaml").read_text() == LEARN
    assert (learned / "story.json").exists(), "what stands behind --env-args reached the player"


def test_the_card_tells_what_unity_told(learned: Path) -> None:
    card = OnnxActor(learned / "run" / "Runner" / "policy.onnx").card
    assert (card.robot, card.task, card.behavior) == ("unity", "unity:Runner", "Runner")
    assert [(signal.name, signal.size) for signal in card.observation] == [("obs_0", 2), ("obs_1", 1)]
    assert len(card.action) == 2 and [len(branch.choices) for branch in card.branches] == [3, 2] and card.is_masked


def test_each_gets_a_file_for_unity(learned: Path) -> None:
    runner = onnxruntime.InferenceSession(str(learned / "run" / "Runner.onnx"), providers=["CPUExecutionProvider"])
    assert [door.name for door in runner.get_inputs()] == ["obs_0", "obs_1", "action_masks"]
    observation, mask = np.array([[1, 5, 42]], np.float32), np.array([[0, 1, 1, 1, 1]], np.float32)
    given = {"obs_0": observation[:, :2], "obs_1": observation[:, 2:], "action_masks": mask}
    names = ["deterministic_continuous_actions", "deterministic_discrete_actions"]
    continuous, discrete = map(np.asarray, runner.run(names, given))
    robot = OnnxActor(learned / "run" / "Runner" / "policy.onnx").act(observation, mask)
    assert robot == pytest.approx(np.concatenate((continuous, discrete), axis=1), abs=1e-5) and discrete[0, 0] != 0
    assert (learned / "run" / "Talker.onnx").exists()


def test_a_run_is_resumed_with_its_own_file_and_player(finished: Path, companion: Companion) -> None:
    before = {name: last_step(finished / name) for name in ("Runner", "Talker")}
    gone_on = companion("train", "--run-dir", finished, "--resume", "--steps", 320, "--episodes", 3, "--quiet")
    assert gone_on.code == 0, gone_on.err
    for name in ("Runner", "Talker"):
        assert last_step(finished / name) >= 320 > before[name]
    companion("train", "--config", finished / "trainer_config.yaml", "--run-dir", finished).assert_refused(
        "holds a run"
    )


def last_step(run: Path) -> int:
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"]


def test_an_interrupted_training_saves_every_behavior(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [str(word) for word in words(tmp_path, "--steps", 100_000, "--run-dir", run)]
    process = subprocess.Popen(
        [sys.executable, "-m", "companion.cli.main", *command],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    metrics = run / "Runner" / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.read_bytes().count(b"\n") >= 2):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert told.splitlines()[-1] == f"stopped; `--run-dir {run} --resume` goes on"
    assert all((run / name / "checkpoint.pt").exists() for name in ("Runner", "Talker"))


def test_lessons_go_on_and_are_kept(tmp_path: Path, companion: Companion) -> None:
    lessons = """
environment_parameters:
  height:
    curriculum:
      - name: Low
        completion_criteria: {behavior: Talker, measure: progress, threshold: 0.3}
        value: 1.0
      - {name: High, value: 2.0}
"""
    command = words(tmp_path, "--run-dir", tmp_path / "run")
    learn_file(tmp_path, LEARN + lessons)
    done = companion(*command)
    assert done.code == 0, done.err
    told = [json.loads(line) for line in (tmp_path / "run" / "Talker" / "metrics.jsonl").read_text().splitlines()]
    numbers = [line["Metrics/lesson_height"] for line in told if "Metrics/lesson_height" in line]
    assert numbers and numbers[-1] > 0.5
    assert json.loads((tmp_path / "run" / "lessons.json").read_text())["number"] == {"height": 1}


def test_a_tasks_settings_may_stand_in_such_a_file(tmp_path: Path, companion: Companion) -> None:
    file = REPOSITORY / "benchmarks" / "mlagents_learn" / "arm_reach.yaml"
    command = ("train", "arm_reach", "--config", file, "--episodes", 2, "--quiet", "--copies", 8)
    done = companion(*command, "--steps", 256, "--run-dir", tmp_path / "run")
    assert done.code == 0 and "arm_reach.yaml:27: keep_checkpoints changes nothing here" in done.err
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (config["batch_size"], config["buffer_size"], config["copies"]) == (2048, 8192, 8)
    companion(*command, "--trainer", "sac").assert_refused("'ArmReach' is configured for ppo", "--trainer ppo")


BAD_INPUT = {
    "nothing": ((), ["what to learn?", "TASK"]),
    "no file of mlagents-learn": (("--config", "plain.yaml"), ["what to learn?"]),
    "no player": (("--config", "learn.yaml", "--env", "nowhere"), ["there is no player", "nowhere"]),
    "no executable": (("--config", "learn.yaml", "--env", "plain.yaml"), ["plain.yaml", "not executable"]),
    "a trainer": (("--config", "learn.yaml", "--env", "foreign", "--trainer", "sac"), ["--trainer can't be given"]),
    "a recipe": (("--config", "learn.yaml", "--env", "foreign", "--recipe", "full"), ["--recipe can't be given"]),
    "no such behavior": (("arm_reach", "--config", "learn.yaml"), ["no behavior 'ArmReach'", "Runner, Talker"]),
    "words for nobody": (("arm_reach", "--env-args", "--fast"), ["--env-args"]),
    "not supported": (("--config", "poca.yaml", "--env", "foreign"), ["poca.yaml:3", "poca"]),
    "wrong name": (("--config", "wrong.yaml", "--env", "foreign"), ["wrong.yaml:4", "max_stepz", "max_steps"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_nothing(
    case: str, tmp_path: Path, companion: Companion, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn_file(tmp_path)
    foreign_player(tmp_path)
    (tmp_path / "plain.yaml").write_text("epochs: 1\n")
    (tmp_path / "poca.yaml").write_text("behaviors:\n  Runner:\n    trainer_type: poca\n")
    (tmp_path / "wrong.yaml").write_text("behaviors:\n  Runner:\n    trainer_type: ppo\n    max_stepz: 3\n")
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    given, expected = BAD_INPUT[case]
    companion("train", *given).assert_refused(*expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_behavior_that_nobody_configured_is_told(tmp_path: Path, companion: Companion) -> None:
    command = words(tmp_path, "--run-dir", tmp_path / "run")
    learn_file(tmp_path, LEARN.replace("Talker", "Walker"))
    refused = companion(*command)
    assert refused.code == 2
    assert refused.err.splitlines() == [
        "behavior 'Walker' is configured, but the player does not show it",
        "companion: the player shows behavior 'Talker'; configured are Runner, Walker, without default_settings",
    ]


def test_a_start_that_failed_is_not_in_the_way(tmp_path: Path, companion: Companion) -> None:
    nobody = "env_settings: {timeout_wait: 1}\n"
    command = words(tmp_path, "--run-dir", tmp_path / "run")
    waiting = [word for word in command if word not in ("--env", command[4])]
    learn_file(tmp_path, LEARN + nobody)
    told = companion(*waiting)
    assert told.code == 2 and told.err.splitlines()[1].startswith("companion: the Editor did not answer")
    learn_file(tmp_path)
    assert companion(*command).code == 0
    (tmp_path / "run" / "thesis.doc").touch()
    shutil.rmtree(tmp_path / "run" / "Runner")
    shutil.rmtree(tmp_path / "run" / "Talker")
    companion(*command).assert_refused("is no run and not empty", "choose another --run-dir")


def test_a_policy_of_a_player_is_judged_where_it_was_trained(learned: Path, companion: Companion) -> None:
    companion("evaluate", learned / "run" / "Runner").assert_refused("unity:Runner", "evaluation.json")
