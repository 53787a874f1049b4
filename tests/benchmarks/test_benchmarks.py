"""Every benchmark runs, in its smallest size, and prints the JSON that its page promises."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


def bench(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "benchmarks" / f"{name}.py", *arguments]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=ROOT, check=False)


def objects(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_benchmark_says_how_to_use_it(name: str) -> None:
    done = bench(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_the_simulator_is_compared_with_bare_mujoco_on_the_same_decisions() -> None:
    (found,) = objects(bench("simulator", "--task", "mobile_goto", "--copies", 8, "--turns", 3, "--steps", 4))
    # Which of both is faster in 12 steps beside other work is no test: benchmarks measure, tests don't.
    assert min(found["bare_rollout_per_second"], found["simulator_per_second"], found["simulator_over_bare"]) > 0


def test_training_is_compared_with_the_simulator_alone() -> None:
    (found,) = objects(bench("training", "--task", "arm_reach", "--updates", 1))
    assert found["simulator_per_second"] > 0 and found["training_per_second"] > 0
    assert found["updates"] == 1


def test_training_ends_at_the_wanted_rate_and_says_when() -> None:
    arguments = ("arm_reach", "--steps", 9000, "--interval", 8000, "--wanted", 0, "--episodes", 8)
    seed, summary = objects(bench("time_to_success", *arguments, "--confirming-episodes", 8))
    assert seed["reached"] == seed["curve"][0]
    assert summary["median_steps"] == seed["reached"]["steps"] >= 8000
    assert summary["seeds_that_reached"] == 1


def test_a_rate_that_is_never_reached_is_told_as_such() -> None:
    arguments = ("arm_reach", "--steps", 9000, "--interval", 8000, "--wanted", 1.1, "--episodes", 8)
    seed, summary = objects(bench("time_to_success", *arguments))
    assert seed["reached"] is None
    assert summary["median_seconds"] is None
    assert summary["seeds_that_reached"] == 0


def test_parity_without_a_run_is_refused_in_one_line(tmp_path: Path) -> None:
    done = bench("onnx_parity", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_curves_are_drawn_from_a_run(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figures = {"Environment/Success": 0.5, "Environment/Cumulative Reward": 1.0, "Time/Elapsed": 60.0}
    lines = [json.dumps({"step": step, **figures}) for step in (1, 2)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    done = bench("pictures", "curves", "--folder", tmp_path, "--runs", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
