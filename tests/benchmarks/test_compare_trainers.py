"""The comparison's own statistics, against numbers worked out by hand, and its book-keeping."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks import compare_trainers as compare
from benchmarks.compare_trainers import Job, Records, Row, Verdict

ROW = Row("CartPole-v1", "a3c", steps=10, seeds=2, wanted=475, against="a2c")


def record(trainer: str, seed: int, returns: list[float]) -> dict[str, object]:
    return {"environment": "CartPole-v1", "trainer": trainer, "seed": seed, "steps": 10, "returns": returns}


def test_ties_count_half_in_the_probability_to_be_worse() -> None:
    # of the pairs (1,1) (1,3) (2,1) (2,3): one tie, two lost, one won
    assert compare.worse_probability(np.array([1.0, 2.0]), np.array([1.0, 3.0])) == (2 + 0.5) / 4


def test_the_p_value_counts_the_orders_that_look_as_bad() -> None:
    low, high = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    # of the 20 ways to call three of six scores ours, one looks as bad as this, and all as good
    assert compare.p_value_worse(low, high) == pytest.approx(1 / 20)
    assert compare.p_value_worse(high, low) == pytest.approx(1.0)
    assert Verdict(ROW, low, high).worse is True
    assert Verdict(ROW, high, low).worse is False


def test_a_single_seed_is_no_verdict_on_being_worse() -> None:
    assert Verdict(ROW, np.array([1.0]), np.array([2.0, 3.0])).worse is None


def test_results_are_kept_per_run_and_the_last_one_counts(tmp_path: Path) -> None:
    records = Records("companion", tmp_path)
    assert records.scores(ROW).size == 0
    for returns in ([1.0, 3.0], [400.0, 500.0]):
        records.add(record("a3c", 1, returns))
    again = Records("companion", tmp_path)
    assert again.get(Job("companion", "CartPole-v1", "a3c", 1, 10)) is not None
    assert again.get(Job("companion", "CartPole-v1", "a3c", 0, 10)) is None
    assert again.scores(ROW).tolist() == [450.0]


def test_the_other_side_of_a_row_is_what_it_stands_against(tmp_path: Path) -> None:
    Records("sb3", tmp_path).add(record("a2c", 0, [499.0]))
    (verdict,) = compare.verdicts([ROW], tmp_path)
    assert verdict.theirs.tolist() == [499.0]
    assert "499.0 [499.0, 499.0], 1 of 2 seeds (a2c)" in compare.table([verdict])


def test_a_run_that_two_rows_share_is_done_once() -> None:
    rows = [ROW, Row("CartPole-v1", "a2c", steps=10, seeds=2, wanted=475, against="a2c")]
    assert [job.seed for job in compare.jobs("sb3", rows)] == [0, 1]
    assert len(list(compare.jobs("companion", rows))) == 4


def test_a_trainer_without_a_counterpart_is_run_on_our_side_only() -> None:
    row = Row("CartPole-v1", "reinforce", steps=10, seeds=2, wanted=475)
    assert list(compare.jobs("sb3", [row])) == []
    assert "has none" in compare.table([Verdict(row, np.array([500.0, 500.0]), np.zeros(0))])


def test_a_robots_task_is_judged_by_its_successes(tmp_path: Path) -> None:
    row = Row("arm_reach", "sac", steps=10, seeds=2, wanted=0.95)
    records = Records("companion", tmp_path)
    for seed, success in enumerate((0.9, 0.98)):
        records.add({**record("sac", seed, [7.0]), "environment": "arm_reach", "success": success})
    (verdict,) = compare.verdicts([row], tmp_path)
    assert verdict.ours.tolist() == [0.9, 0.98] and verdict.reached is False
    assert "| 95% | 94.0% [90.0%, 98.0%] | **not reached** |" in compare.table([verdict])


def test_a_run_with_other_settings_than_those_kept_is_called_older() -> None:
    kept = yaml.safe_load((compare.FOLDER / "CartPole-v1" / "a2c.yaml").read_text(encoding="utf-8"))
    made = {**record("a2c", 0, [1.0]), "commit": "HEAD"}
    assert compare.changed_since({**made, "settings": kept}) == []
    assert compare.changed_since({**made, "settings": {**kept, "copies": 3}}) == ["a2c.yaml"]


def test_every_row_of_the_comparison_has_settings_that_its_trainer_takes() -> None:
    from importlib import import_module
    from importlib.util import find_spec

    for row in compare.rows():
        file = compare.FOLDER / row.environment / f"{row.trainer}.yaml"
        if file.exists() and find_spec(f"trainers.{row.trainer}"):
            settings = yaml.safe_load(file.read_text(encoding="utf-8"))
            assert import_module(f"trainers.{row.trainer}").config_from({**settings, "steps": row.steps})


def test_the_picture_of_a_comparison_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    compare.plot([Verdict(ROW, np.array([1.0, 2.0]), np.array([3.0]))], tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_kept_results_are_whole() -> None:
    for file in (compare.FOLDER / "results").glob("*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            assert len(found["returns"]) >= 100 and np.isfinite(found["returns"]).all()
            assert found["commit"] and found["seconds"] > 0


def test_the_page_shows_what_the_kept_results_say() -> None:
    text = (compare.ROOT / "docs" / "trainers.md").read_text(encoding="utf-8")
    assert compare.table(compare.verdicts(compare.rows(), compare.FOLDER / "results")) in text


def test_how_many_times_faster_is_the_ratio_of_the_medians() -> None:
    from benchmarks import time_beside_sb3 as beside

    found = beside.summary("arm_reach", "ppo", {"companion": [10.0, 30.0, 20.0], "sb3": [30.0, float("inf"), 25.0]})
    assert (found["companion_seconds"], found["sb3_seconds"], found["times_faster"]) == (20.0, 30.0, 1.5)
    never = beside.summary("arm_reach", "ppo", {"companion": [20.0], "sb3": [float("inf")]})
    assert (never["sb3_seconds"], never["times_faster"]) == (None, None)
