"""An alarm reaches the log, TensorBoard and a file, and keeps an episode to look at."""

import json
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from companion import tasks
from companion.cli._ledgers import Recording, record
from companion.cli._monitoring import ALARMS, MonitoredRun, Watched
from companion.cli._report_runs import EPISODES, RETURN, SUCCESS
from companion.rewards import load_recipe
from companion.rewards.ledger import open_ledger
from companion.worlds.embedded import EmbeddedWorld
from tests.cli.conftest import Companion

ARM = tasks.load("arm_reach")
FULL = load_recipe(ARM, "full")


def line(success: float, total: float, **terms: float) -> dict[str, float]:
    told = {f"Reward/{term.name}": terms.get(term.name, 0.0) for term in FULL.terms}
    return {EPISODES: 60.0, SUCCESS: success, RETURN: total, **told}


def hack(run: MonitoredRun) -> None:
    """Success falls, and staying near pays for it."""
    for step in range(6):
        run.log(1000 * step, line(0.9, 10.0, reached=9.0, stay_near=1.0))
    for step in range(6, 12):
        run.log(1000 * step, line(0.2, 30.0, reached=2.0, stay_near=28.0))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(ARM, FULL, tmp_path, {})


def test_an_alarm_is_logged_everywhere(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    run = MonitoredRun(watched.directory, watched)
    with run:
        hack(run)
    alarms = [json.loads(text) for text in (watched.directory / ALARMS).read_text().splitlines()]
    assert {(alarm["sign"], alarm["term"]) for alarm in alarms} >= {("success falls", "stay_near")}
    assert all(alarm["clip"] is None for alarm in alarms)
    assert "look at the reward: success fell from 90% to" in " ".join(capsys.readouterr().out.split())
    logged = [json.loads(text) for text in (watched.directory / "metrics.jsonl").read_text().splitlines()]
    assert logged[0]["Monitor/Alarms"] == 0 and logged[-1]["Monitor/Alarms"] == len(alarms)
    board = EventAccumulator(str(watched.directory))
    board.Reload()
    assert "Monitor/Alarms" in board.Tags()["scalars"]
    assert "Monitor/Alarm/text_summary" in board.Tags()["tensors"]


def test_an_alarm_keeps_the_failed_episode_that_the_term_paid_most_for(watched: Watched) -> None:
    world = EmbeddedWorld(ARM, FULL, copies=8, discount=0.99)
    record(world, Recording(watched.directory / "ledger", "training", 8), discount=0.99, seed=0)
    world.reset(0)
    for _ in range(101):
        world.step(np.zeros((8, 6), np.float32))
    world.close()
    run = MonitoredRun(watched.directory, watched, quiet=True)
    with run:
        hack(run)
    (clip,) = {
        json.loads(text)["clip"]
        for text in (watched.directory / ALARMS).read_text().splitlines()
        if json.loads(text)["sign"] == "success falls"
    }
    kept = open_ledger(watched.directory / "alarms" / clip)
    episode, whole = kept.read(), open_ledger(watched.directory).read()
    assert len(episode.starts) == 1 and not episode.succeeded[0] and "success fell" in kept.about.source
    # Nothing moves, so staying near pays most where the tool began nearest to its target.
    assert episode.signals["distance"][-1, 0] == whole.signals["distance"][whole.lasts, 0].min()


def test_lines_without_ended_episodes_are_passed_over(watched: Watched) -> None:
    assert watched.seen(5, {"Policy/Entropy": 1.0}) is None
    assert watched.seen(5, {**line(0.5, 1.0), EPISODES: 0.0}) is None
    seen = watched.seen(5, line(0.5, 1.0, reached=5.0))
    assert seen is not None and seen.counts == {"reached": 0.5}


def test_good_episodes_tell_how_often_an_event_fires(watched: Watched) -> None:
    counts = watched.good_counts()
    assert counts == {"reached": pytest.approx(1.0)}


def test_a_training_is_watched(tmp_path: Path, companion: Companion) -> None:
    words = ("--copies", 16, "--steps", 2500, "--episodes", 2, "--quiet", "--run-dir", tmp_path / "run")
    assert companion("train", "arm_reach", *words).code == 0
    lines = [json.loads(text) for text in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {line["Monitor/Alarms"] for line in lines if EPISODES in line} == {0} and not (
        tmp_path / "run" / ALARMS
    ).exists()
