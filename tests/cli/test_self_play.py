"""Self-play as a user meets it: a robot and its opponents learn in turn, are kept, judged, and gone on with exactly."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from companion import tasks
from companion.cli import _self_play
from companion.cli._opponents import LearnedOpponent, Standing
from companion.cli.main import main
from companion.deploy.actor import OnnxActor
from companion.tasks import arm_rally
from tests.cli.conftest import Companion
from tests.trainers.runs import figures
from trainers.common.run import Run

TASK = replace(tasks.load("arm_rally"), max_episode_s=8.0)
SMALL = "rollout_steps: 24\nhidden_sizes: [16]\nepochs: 1\nminibatches: 2\nthreads: 1\nteacher_coefficient: 1\n"
SELF_PLAY = """\
team_change: 192
opponent_steps: 8
held_out_every: 2
opponent: {copies: 4, rollout_steps: 8, hidden_sizes: [8], epochs: 1, threads: 1}
"""
RECIPE = """\
task: arm_rally
description: With a limit and stages, which self-play has to get along with.
terms:
  came_back_in_reach: {kind: event, weight: 4, rationale: what the game is about}
  ball_missed: {kind: event, weight: -2, rationale: a lost ball ends the row}
  jerky: {function: action_change_squared, kind: constraint, limit: 0.001, rationale: gentle motions}
curriculum:
  difficulty: {by: steps, at: [300], stages: [0.2, [0.5, 1]]}
"""
"""8 copies, a rollout of 24: three turns of the robot, between which the opponent learns twice."""


def words(*given: object) -> list[str]:
    return [str(word) for word in given]


def command(folder: Path, run: str) -> list[str]:
    (folder / "small.yaml").write_text(SMALL)
    (folder / "play.yaml").write_text(SELF_PLAY)
    (folder / "limited.yaml").write_text(RECIPE)
    flags = ("--steps", 576, "--copies", 8, "--episodes", 1, "--record", 0, "--quiet", "--seed", 5)
    recipe = ("--recipe", folder / "limited.yaml")
    files = ("--config", folder / "small.yaml", "--self-play-config", folder / "play.yaml", "--run-dir", folder / run)
    return words("train", "arm_rally", "--self-play", *flags, *recipe, *files)


@pytest.fixture(scope="module", autouse=True)
def _short_and_few() -> Iterator[None]:
    """Episodes of eight seconds, in which a few balls are played, and opponents that are judged on few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arm_rally, "TASK", TASK)
        patch.setattr(_self_play, "SAMPLED", 4)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run."""
    folder = tmp_path_factory.mktemp("self_play")
    assert main(command(folder, "run")) == 0
    return folder / "run"


def test_opponents_are_kept_with_their_cards(trained: Path) -> None:
    assert sorted(path.name for path in (trained / "opponents").iterdir()) == ["000001.onnx", "000002.onnx"]
    card = OnnxActor(trained / "opponents" / "000001.onnx").card
    assert (card.task, card.robot, card.behavior) == ("arm_rally.player", "player", "ArmRally?team=1")
    assert [one.name for one in card.action] == ["from_aside", "to_aside", "speed", "wait"]
    assert (card.action[2].low, card.action[2].high, card.action[2].unit) == (0.3, 0.8, "m/s")
    assert len(card.robot_facts["decision_std"]) == 4
    assert card.evaluation is not None and card.evaluation["episodes"] == 4


def test_every_second_one_is_held_out(trained: Path) -> None:
    standing = Standing.read(trained)
    assert standing is not None
    assert (standing.met, standing.held_out) == (("000001",), ("000002",))
    assert [one.robot_steps for one in standing.snapshots] == [192, 384]
    assert standing.ratings["turn"] == 4
    assert {"robot", "learner", "000001", "000002"} <= standing.ratings["ratings"].keys()


def test_ratings_are_logged_for_both_sides(trained: Path) -> None:
    robot, opponent = figures(trained), figures(trained / "opponent")
    assert [line["Self-play/Opponents"] for line in robot] == [0, 1, 2]
    assert "Self-play/Opponent ELO" not in robot[0] and "Self-play/Opponent ELO" in robot[1]
    assert robot[-1]["Self-play/ELO"] != 1200
    assert opponent[-1]["step"] >= 16 and opponent[-1]["Self-play/ELO"] != 1200
    assert robot[-1]["step"] == 576
    assert [line["Curriculum/difficulty"] for line in robot] == [0, 1, 1]


def test_success_is_told_against_each_kind_of_opponent(trained: Path, companion: Companion) -> None:
    told = json.loads((trained / "against.json").read_text())
    assert list(told) == ["scripted", "latest", "held-out"]
    assert all(one["episodes"] == 1 for one in told.values())
    flags = ("--opponent", "scripted", "--opponent", trained / "opponents" / "000001.onnx", "--episodes", 1)
    found = companion("evaluate", trained, *flags, "--seed", 1_000_005, "--json")
    again = json.loads(found.out)[str(trained / "policy.onnx")]
    assert again["scripted"] == {**told["scripted"], "model": again["scripted"]["model"]}
    shown = companion("evaluate", trained, *flags[:2], "--baseline", "arm_rally", "--episodes", 1).out
    assert "success against" in shown and "baseline of arm_rally" in shown


def test_a_training_that_was_stopped_goes_on_with_the_very_numbers(
    trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Stopped after the first update in each side's second turn."""
    log, stops = Run.log, [("run", 384), ("opponent", 9)]

    def log_and_stop(run: Run, step: int, scalars: Mapping[str, float]) -> None:
        log(run, step, scalars)
        if stops and run.directory.name == stops[0][0] and step >= stops[0][1]:
            stops.pop(0)
            run.request_stop()

    monkeypatch.setattr(Run, "log", log_and_stop)
    once = command(tmp_path, "run")
    assert main(once) == 130
    again = words("train", "--resume", "--run-dir", tmp_path / "run", "--episodes", 1, "--record", 0, "--quiet")
    assert main(again) == 130
    assert not stops
    assert main([*once, "--resume"]) == 0
    for part in (".", "opponent"):
        assert figures(tmp_path / "run" / part) == figures(trained / part)
    assert Standing.read(tmp_path / "run") == Standing.read(trained)
    sight, random = np.random.default_rng(0).normal(size=(20, 6)), np.random.default_rng
    for name in ("000001", "000002"):
        both = (LearnedOpponent(folder / "opponents" / f"{name}.onnx", TASK) for folder in (trained, tmp_path / "run"))
        first, second = (opponent(sight, random(1)) for opponent in both)
        assert np.array_equal(first, second)


def test_other_settings_of_self_play_are_refused_on_resume(trained: Path, companion: Companion, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("window: 3\n")
    flags = ("--resume", "--run-dir", trained, "--self-play", "--self-play-config", other)
    companion("train", "arm_rally", *flags).assert_refused("other settings of self-play")


def test_an_opponent_learns_against_the_baseline_and_is_exported(tmp_path: Path, companion: Companion) -> None:
    config = tmp_path / "small.yaml"
    config.write_text("rollout_steps: 8\nhidden_sizes: [8]\nepochs: 1\nthreads: 1\n")
    run = tmp_path / "run"
    flags = ("--steps", 8, "--copies", 4, "--episodes", 4, "--set", "difficulty=1", "--quiet", "--config", config)
    done = companion("train", "arm_rally", "--opponent-of", "baseline", *flags, "--run-dir", run)
    assert done.code == 0, done.err
    card = OnnxActor(run / "policy.onnx").card
    assert card.behavior == "ArmRally?team=1" and card.evaluation is not None
    assert card.evaluation["set"] == {"difficulty": 1.0}
    opponent = str(run / "policy.onnx")
    told = companion("evaluate", "--baseline", "arm_rally", "--opponent", opponent, "--episodes", 1, "--json")
    assert json.loads(told.out)["baseline of arm_rally"][opponent]["episodes"] == 1
    again = companion("train", "--resume", "--run-dir", run, "--steps", 10, "--episodes", 2, "--quiet")
    assert again.code == 0, again.err
    companion("evaluate", run / "policy.onnx").assert_refused("is an opponent", "--opponent")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("train", "arm_reach", "--self-play"), ("nobody plays", "arm_reach", "arm_rally")),
        (("train", "arm_reach", "--opponent-of", "baseline"), ("nobody plays", "arm_rally")),
        (("train", "arm_rally", "--opponent-of", "gone.onnx"), ("gone.onnx", "no such file", "baseline")),
        (("train", "arm_rally", "--opponent-of", "baseline", "--recipe", "full"), ("--recipe", "can't be given")),
        (("train", "arm_rally", "--opponent-of", "baseline", "--trainer", "dqn"), ("dqn", "continuous")),
        (("train", "arm_rally", "--self-play", "--trainer", "a3c", "--recipe", "sparse"), ("--self-play", "a3c")),
        (("train", "arm_rally", "--self-play-config", "x.yaml"), ("--self-play-config", "--self-play")),
        (("train", "gym:CartPole-v1", "--opponent-of", "baseline"), ("--opponent-of", "robots' tasks")),
        (("evaluate", "--baseline", "arm_rally", "--opponent", "gone"), ("gone", "scripted", "latest", "held-out")),
        (("evaluate", "--baseline", "arm_rally", "--opponent", "latest"), ("latest", "--self-play")),
        (("evaluate", "--baseline", "arm_reach", "--opponent", "scripted"), ("nobody plays", "arm_rally")),
        (("evaluate", "--baseline", "arm_rally", *("--opponent", "scripted") * 2), ("scripted", "twice")),
        (("record", "--task", "arm_rally", "--opponent", "gone"), ("gone", "no such file")),
    ],
)
def test_what_can_t_be_meant_is_told_in_one_line(
    given: tuple[str, ...], told: tuple[str, ...], companion: Companion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    companion(*given).assert_refused(*told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("windw: 3\n", ("play.yaml:1", "windw", "window")),
        ("window: 3\nscripted_ratio: 2\n", ("play.yaml:2", "scripted_ratio")),
        ("opponent: {steps: 3}\n", ("play.yaml:1", "opponent_steps")),
        ("window: 3\nopponent: {epoch: 3}\n", ("play.yaml:2", "epoch")),
        ("- 3\n", ("play.yaml", "mapping")),
    ],
)
def test_a_wrong_setting_of_self_play_is_told_with_its_line(
    text: str, told: tuple[str, ...], companion: Companion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("play.yaml").write_text(text)
    companion("train", "arm_rally", "--self-play", "--self-play-config", "play.yaml").assert_refused(*told)
