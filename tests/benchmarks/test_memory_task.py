"""The T-maze asks for a memory and for nothing else."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def maze(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("memory_task")
    return module.TMaze(corridor=3)


def _walk(maze: Any, actions: list[int]) -> tuple[list[tuple[int, ...]], list[float], bool]:
    steps = [maze.step(np.int64(action)) for action in actions]
    views = [tuple(int(entry) for entry in step[0]) for step in steps]
    return views, [step[1] for step in steps], steps[-1][2]


@pytest.mark.parametrize(("goal", "turn", "sign"), [(-1, 0, (0, 1, 1)), (1, 1, (1, 1, 0))])
def test_the_sign_is_at_the_start_only_and_tells_the_turn(maze: Any, goal: int, turn: int, sign: tuple[int]) -> None:
    first = maze.reset(seed=0)[0]
    while maze._goal != goal:
        first = maze.reset()[0]
    assert tuple(first) == sign
    views, rewards, ended = _walk(maze, [2, 2, 2, turn])
    assert views[:3] == [(1, 0, 1), (1, 0, 1), (0, 1, 0)]
    assert rewards == [0.0, 0.0, 0.0, 4.0]
    assert ended


def test_the_other_turn_fails_and_walls_cost_a_little(maze: Any) -> None:
    maze.reset(seed=0)
    _, rewards, ended = _walk(maze, [3, 0, 2, 1, 3, 2, 2, 2])
    assert rewards == pytest.approx([-0.1, -0.1, 0.0, -0.1, 0.0, 0.0, 0.0, 0.0])
    assert not ended
    *_, info = maze.step(np.int64(0 if maze._goal > 0 else 1))
    assert info["is_success"] is False


def test_it_is_an_environment_like_any_other(maze: Any) -> None:
    check_env(gymnasium.make("memory_task:TMaze-v0").unwrapped, skip_render_check=True)


def test_both_goals_come_up_and_a_seed_repeats_them(maze: Any) -> None:
    def goals() -> list[int]:
        maze.reset(seed=3)
        return [maze.reset() and maze._goal for _ in range(20)]

    assert set(goals()) == {-1, 1}
    assert goals() == goals()


def test_both_kinds_of_policy_are_trained_and_judged() -> None:
    arguments = ("--seeds", "0", "--steps", "4096", "--episodes", "8")
    command = [sys.executable, str(BENCHMARKS / "memory_task.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [entry["policy"] for entry in found] == ["recurrent"] * 2 + ["memoryless"] * 2
    assert {entry["episodes"] for entry in found if "episodes" in entry} == {8}
    assert all(0 <= entry["success"] <= 1 for entry in found if "success" in entry)
