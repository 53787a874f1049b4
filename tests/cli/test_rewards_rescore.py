"""`companion rewards rescore` on what `evaluate --record` and `train` leave behind."""

import json
from pathlib import Path

import pytest

from companion.rewards.ledger import open_ledger
from tests.cli.conftest import REPOSITORY, Companion

MODEL = REPOSITORY / "exported_models/arm_reach.onnx"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from companion.cli.main import main

    folder = tmp_path_factory.mktemp("recorded") / "ledger"
    assert main(["evaluate", str(MODEL), "--episodes", "12", "--copies", "6", "--record", str(folder)]) == 0
    return folder


def test_an_evaluation_is_scored_exactly_as_it_was_rewarded(ledger: Path, companion: Companion) -> None:
    shown = json.loads(companion("rewards", "rescore", ledger, "--json").out)
    (full,) = shown["recipes"]
    assert shown["task"] == "arm_reach" and shown["source"] == "evaluation" and shown["recorded_recipe"] == "full"
    assert shown["episodes"] >= 12 and shown["success_rate"] >= 0.9
    assert full["largest_difference_to_recorded"] <= 1e-6
    assert sum(full["shares"].values()) == pytest.approx(1.0)


def disagreeing(ledger: Path, companion: Companion, top: int) -> list[dict[str, object]]:
    found = json.loads(companion("rewards", "rescore", ledger, "full", "sparse", "--top", top, "--json").out)
    return found["disagreements"]["sparse"]["episodes"]


def test_two_recipes_side_by_side(ledger: Path, companion: Companion) -> None:
    shown = companion("rewards", "rescore", ledger, "full", "sparse").out
    assert "'full' and 'sparse': Kendall" in shown and "does not predict" in shown
    (watching,) = (line for line in shown.splitlines() if line.startswith("companion view"))
    numbers = {str(one["episode"]) for one in disagreeing(ledger, companion, 5)}
    assert watching.startswith(f"companion view --ledger {ledger} --episodes ")
    assert set(watching.split("--episodes ")[1].split()) == numbers
    found = json.loads(companion("rewards", "rescore", ledger, "full", "sparse", "--top", 3, "--json").out)
    assert [one["recipe"] for one in found["recipes"]] == ["full", "sparse"]
    # 10 for reaching, discounted by 0.99 per decision: after half a second's hold at the least, and mostly after more
    assert 1.0 < found["recipes"][1]["return_of_successes"] < 10 * 0.99**10
    assert len(found["disagreements"]["sparse"]["episodes"]) <= 3


def test_shown_episodes_can_be_kept_as_cases(ledger: Path, tmp_path: Path, companion: Companion) -> None:
    assert companion("rewards", "rescore", ledger, "--top", 2, "--keep", tmp_path / "kept").code == 0
    kept, whole = open_ledger(tmp_path / "kept").read(), open_ledger(ledger).read()
    assert len(kept.starts) == 4 and set(kept.signals) == set(whole.signals)
    assert "pose.position" in open_ledger(tmp_path / "kept").last().signals
    companion("rewards", "rescore", ledger, "--keep", tmp_path / "kept").assert_refused("choose an empty one")


def test_a_training_leaves_a_ledger_and_goes_on_with_it(tmp_path: Path, companion: Companion) -> None:
    words = ("--run-dir", tmp_path / "run", "--copies", 8, "--episodes", 2, "--seed", 1, "--quiet", "--record", 3)
    assert companion("train", "arm_reach", "--steps", 2000, *words).code == 0
    first = open_ledger(tmp_path / "run").read(["distance"])
    assert len(first.starts) >= 3 and first.transitions.max() <= 2100
    assert open_ledger(tmp_path / "run").about.recorded_copies == 3
    assert companion("train", "arm_reach", "--steps", 4000, *words, "--resume").code == 0
    both = open_ledger(tmp_path / "run").read(["distance"])
    assert len(both.starts) > len(first.starts)
    shown = json.loads(companion("rewards", "rescore", tmp_path / "run", "--json").out)
    assert shown["recipes"][0]["largest_difference_to_recorded"] <= 1e-6


def test_nothing_is_recorded_where_nobody_wants_it(tmp_path: Path, companion: Companion) -> None:
    words = ("--run-dir", tmp_path / "run", "--copies", 4, "--episodes", 1, "--steps", 200, "--quiet", "--record", 0)
    assert companion("train", "arm_reach", *words).code == 0
    assert not (tmp_path / "run" / "ledger").exists()
    companion("rewards", "rescore", tmp_path / "run").assert_refused("holds no ledger")


def test_bad_input_is_one_line(ledger: Path, tmp_path: Path, companion: Companion) -> None:
    companion("rewards", "rescore", tmp_path).assert_refused("holds no ledger")
    companion("rewards", "rescore", ledger, "fulll").assert_refused("no recipe 'fulll'", "full, sparse")
    companion("evaluate", MODEL, "--record", ledger).assert_refused("holds something")
    companion("train", "gym:CartPole-v1", "--record", 3, "--run-dir", tmp_path / "gym").assert_refused("--record 3")
