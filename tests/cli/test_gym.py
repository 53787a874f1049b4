"""Environments of gymnasium on the command line: trained, judged, exported, resumed, and what can't be is told."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from companion.cli._problems import GymTask, gym_settings
from companion.cli._worlds import GymPlan
from companion.cli.main import main
from companion.cli.verbs.train import Arguments, make_plan
from companion.deploy.actor import OnnxActor
from tests.cli.conftest import Companion

SMALL = ("--steps", 512, "--copies", 4, "--episodes", 3, "--quiet")
CONFIG = "rollout_steps: 32\nhidden_sizes: [16]\nepochs: 1\ncheckpoint_interval_s: 0\n"


def settings(folder: Path) -> Path:
    path = folder / "small.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished runs `pole` (discrete), `swing` (continuous) and `taxi` (with masks)."""
    folder = tmp_path_factory.mktemp("gym")
    config = settings(folder)
    for run, environment in (("pole", "CartPole-v1"), ("swing", "Pendulum-v1"), ("taxi", "Taxi-v4")):
        words = ("train", f"gym:{environment}", *SMALL, "--config", config, "--run-dir", folder / run)
        assert main([str(word) for word in (*words, "--export-dir", folder / "models")]) == 0
    return folder


def test_a_run_tells_what_was_trained(trained: Path) -> None:
    record = json.loads((trained / "pole" / "run.json").read_text())
    assert (record["task"], record["world"], record["recipe"]) == ("gym:CartPole-v1", "gym", "")
    assert not (trained / "pole" / "recipe.yaml").exists()
    card = OnnxActor(trained / "models" / "Pendulum-v1.onnx").card
    assert (card.robot, card.task, card.behavior) == ("gymnasium", "gym:Pendulum-v1", "Pendulum-v1")
    assert [(entry.low, entry.high) for entry in card.action] == [(-2, 2)] and card.control_period_s == 0.05
    pole = OnnxActor(trained / "pole" / "policy.onnx").card
    assert [len(branch.choices) for branch in pole.branches] == [2] and not pole.is_masked
    assert OnnxActor(trained / "taxi" / "policy.onnx").card.is_masked


def test_evaluate_repeats_what_training_found(trained: Path, companion: Companion) -> None:
    for run in ("pole", "swing", "taxi"):
        found = companion("evaluate", trained / run, "--episodes", 3, "--seed", 1_000_000, "--json")
        assert found.code == 0 and found.err == ""
        assert json.loads(found.out) == json.loads((trained / run / "evaluation.json").read_text())


def test_the_return_is_told_and_success_where_it_is_defined(trained: Path, companion: Companion) -> None:
    swing = companion("evaluate", trained / "swing", "--episodes", 2).out
    assert swing.startswith("gym:Pendulum-v1: mean return -") and "succeed" not in swing
    pole = companion("evaluate", trained / "pole", "--episodes", 2).out
    assert "succeed, by a return of 475 or more" in pole and "decisions" in pole


def test_settings_of_the_environment_stay_with_the_policy(tmp_path: Path, companion: Companion) -> None:
    config, run = settings(tmp_path), tmp_path / "short"
    short = ("--set", "max_episode_steps=7", "--set", "sutton_barto_reward=true")
    command = ("train", "gym:CartPole-v1", *SMALL, "--config", config, "--run-dir", run)
    assert companion(*command, *short).code == 0
    again = json.loads(companion("evaluate", run, "--episodes", 4, "--json").out)
    assert again["set"] == {"max_episode_steps": 7, "sutton_barto_reward": True}
    assert again["metrics"]["length"] == 7 and again["metrics"]["return"] == 0
    longer = json.loads(companion("evaluate", run, "--episodes", 4, "--json", "--set", "max_episode_steps=9").out)
    assert longer["metrics"]["length"] == 9 and longer["set"]["sutton_barto_reward"] is True
    gone_on = companion(*command[:2], "--steps", 640, "--quiet", "--episodes", 2, "--run-dir", run, "--resume")
    assert gone_on.code == 0, gone_on.err
    assert json.loads((run / "evaluation.json").read_text())["metrics"]["length"] == 7
    companion(*command, "--resume", "--set", "max_episode_steps=8").assert_refused("set", "can't be resumed")


def test_a_resumed_run_gives_the_numbers_of_an_undisturbed_one(tmp_path: Path, companion: Companion) -> None:
    def figures(run: Path) -> list[dict[str, float]]:
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [{name: value for name, value in line.items() if not name.startswith("Time/")} for line in lines]

    command = ("train", "gym:Pendulum-v1", "--copies", 4, "--episodes", 2, "--quiet", "--config", settings(tmp_path))
    for run, lengths in (("whole", (1536,)), ("parts", (640, 1536))):
        for steps in lengths:
            done = companion(*command, "--steps", steps, "--run-dir", tmp_path / run, "--resume")
            assert done.code == 0, done.err
    assert figures(tmp_path / "whole") == figures(tmp_path / "parts")


def test_export_for_both_ends(trained: Path, tmp_path: Path, companion: Companion, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert companion("export", trained / "taxi").out == "Taxi-v4.onnx\n"
    unity = companion("export", trained / "taxi", "--format", "unity", "--output", "unity.onnx")
    assert unity.code == 0 and sorted(path.name for path in tmp_path.iterdir()) == ["Taxi-v4.onnx", "unity.onnx"]


@pytest.mark.parametrize("task", ["gym:CartPole-v1", "mobile_goto"])
def test_a_world_can_be_made_in_another_process(task: str, tmp_path: Path) -> None:
    plan = make_plan(Arguments(task=task, run_dir=tmp_path / "run", copies=2, actions="auto"))
    make_world = pickle.loads(pickle.dumps(plan.world.make))
    first, second = make_world(2, 5), plan.world.make(2, 5)
    assert np.array_equal(first.reset(5), second.reset(5))
    first.close()
    second.close()


def test_the_discrete_trainer_of_a_robot_picks_motions(tmp_path: Path, companion: Companion) -> None:
    run = tmp_path / "run"
    command = ("train", "mobile_goto", *SMALL, "--actions", "discrete", "--config", settings(tmp_path))
    assert companion(*command, "--run-dir", run).code == 0
    card = OnnxActor(run / "policy.onnx").card
    assert len(card.motions) == 7 and len(card.action) == 2 and not card.branches
    assert json.loads((run / "run.json").read_text())["actions"] == "discrete"
    action = OnnxActor(run / "policy.onnx").act(np.zeros((1, card.layout.size), np.float32))
    assert action[0].tolist() in [pytest.approx(motion.action) for motion in card.motions]
    assert companion("evaluate", run, "--episodes", 2, "--json").code == 0
    gone_on = ("train", "mobile_goto", "--steps", 640, "--quiet", "--episodes", 2, "--run-dir", run, "--resume")
    assert companion(*gone_on).code == 0, "the run's own actions are gone on with"
    companion(*gone_on, "--actions", "continuous").assert_refused("actions", "can't be resumed")


BAD_INPUT = {
    "misspelled": (("gym:Pendulm-v1",), ["gym:Pendulm-v1", "Did you mean: `Pendulum`?"]),
    "no id": (("gym:",), ["gymnasium can't make it"]),
    "pictures": (("gym:CarRacing-v3",), ["picture"]),
    "not installed": (("gym:nosuchpackage:Foo-v0",), ["nosuchpackage", "not installed"]),
    "wrong setting": (("gym:CartPole-v1", "--set", "gravity=3"), ["unexpected keyword argument 'gravity'"]),
    "half a setting": (("gym:CartPole-v1", "--set", "gravity"), ["expected KEY=VALUE"]),
    "a setting twice": (("gym:CartPole-v1", "--set", "a=1", "--set", "a=2"), ["--set a is given twice"]),
    "no YAML": (("gym:CartPole-v1", "--set", "gravity=[1"), ["'[1' is no number"]),
    "a recipe": (("gym:CartPole-v1", "--recipe", "full"), ["--recipe is for the robots' tasks"]),
    "a player": (("gym:CartPole-v1", "--world", "unity"), ["--world unity is for the robots' tasks"]),
    "actions": (("gym:CartPole-v1", "--actions", "discrete"), ["--actions discrete is for the robots' tasks"]),
    "wrong kind of actions": (("gym:Pendulum-v1", "--trainer", "dqn"), ["trainer dqn", "continuous"]),
    "no motions": (("arm_reach", "--trainer", "dqn"), ["trainer dqn picks", "'arm_reach' has none"]),
    "no motions to pick": (("arm_reach", "--actions", "discrete"), ["--actions discrete", "'arm_reach' has none"]),
    "contradiction": (("mobile_goto", "--trainer", "dqn", "--actions", "continuous"), ["dqn", "only discrete"]),
    "unknown device": (("gym:CartPole-v1", "--device", "tpu"), ["--device", "'tpu' is none of cpu, cuda, auto"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_nothing(
    case: str, tmp_path: Path, companion: Companion, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, expected = BAD_INPUT[case]
    if case == "pictures":
        pytest.importorskip("Box2D")
    monkeypatch.chdir(tmp_path)
    companion("train", *given).assert_refused(*expected)
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_that_is_not_there_is_told_before_anything_is_written(
    tmp_path: Path, companion: Companion, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    run = tmp_path / "run"
    companion("train", "gym:CartPole-v1", *SMALL, "--device", "cuda", "--run-dir", run).assert_refused("no NVIDIA GPU")
    assert not run.exists()


def test_settings_are_read_as_yaml_reads_them() -> None:
    assert gym_settings(["a=1", "b=0.5", "c=true", "d=[1, 2]", "e=word"]) == {
        "a": 1, "b": 0.5, "c": True, "d": [1, 2], "e": "word",
    }  # fmt: skip


def test_a_policy_for_an_environment_that_changed_is_refused(
    trained: Path, companion: Companion, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = GymTask.open("Acrobot-v1", {})
    monkeypatch.setattr(GymTask, "open", lambda environment, settings: other)
    companion("evaluate", trained / "pole").assert_refused("policy.onnx", "observation", "train it anew")
    assert GymPlan("Acrobot-v1").make(1, 0).observation_size == 6
