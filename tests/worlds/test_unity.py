import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.wire_parity import compare
from companion.mlagents.stock import UnityEnvironment, UnityException
from companion.tasks import load
from companion.worlds._unity_worker import PlayerSettings, explain
from companion.worlds.unity import PlayerError, Restarts, Uniform, UnityWorld

COUNTING = "tests/mlagents/counting.py"


def executable(path: Path, command: str) -> Path:
    """A player that is a script, as `companion-player` is one."""
    found = os.pathsep.join(sys.path)
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{found}" exec "{sys.executable}" {command} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return executable(tmp_path_factory.mktemp("player") / "counting", os.path.abspath(COUNTING))


@pytest.fixture
def port() -> int:
    """A port that is free, and the next one with it."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.fixture
def world(counting: Path, port: int) -> Iterator[Callable[..., UnityWorld]]:
    """Makes worlds of counting players and closes them."""
    made: list[UnityWorld] = []

    def make(*arguments: str, **settings: object) -> UnityWorld:
        all_settings: dict = {"base_port": port, "timeout_s": 20.0, "additional_args": arguments, **settings}
        made.append(UnityWorld(counting, **all_settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_two_players_are_one_world(world: Callable[..., UnityWorld]) -> None:
    both = world("--copies", "3", "--bad", "2", players=2, seed=7, parameters={"bias": 0.5})
    assert (both.num_envs, both.observation_size, both.action_size) == (6, 3, 2)
    assert both.behavior == "Counting?team=0"
    first = both.reset(0)
    np.testing.assert_array_equal(first[:, 0], [0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(first[:, 2], [7, 7, 7, 8, 8, 8])
    steps = [both.step(np.full((6, 2), 0.25, np.float32)) for _ in range(4)]
    np.testing.assert_array_equal(steps[0].reward, np.ones(6))
    assert steps[0].active.all()

    # Copy 2 of each player has a numerically bad episode at its second decision.
    np.testing.assert_array_equal(steps[1].active, [True, True, False] * 2)
    np.testing.assert_array_equal(steps[1].truncated, [False, False, True] * 2)
    assert not len(steps[1].episodes.copy)

    # Copy 0 succeeds after three decisions, copy 1 is cut off after four.
    np.testing.assert_array_equal(steps[2].terminated, [True, False, False] * 2)
    np.testing.assert_array_equal(steps[2].final_observation[0], [0, 3, 7])
    np.testing.assert_array_equal(steps[2].observation[0], [0, 0, 7])
    ended = steps[2].episodes
    np.testing.assert_array_equal(ended.copy, [0, 3])
    np.testing.assert_array_equal(ended.length, [3, 3])
    np.testing.assert_array_equal(ended.total_reward, [3.0, 3.0])
    np.testing.assert_array_equal(ended.success, [True, True])
    np.testing.assert_array_equal(ended.terms["sum"], [3.0, 3.0])
    np.testing.assert_array_equal(ended.raw_terms["sum"], [1.0, 1.0])
    np.testing.assert_array_equal(ended.metrics["length"], [3.0, 3.0])
    np.testing.assert_array_equal(steps[3].truncated, [False, True, False] * 2)
    np.testing.assert_array_equal(steps[3].episodes.success, [False, False])

    again = both.reset(0)
    np.testing.assert_array_equal(again[:, 1], np.zeros(6))
    assert both.get_state() is None
    with pytest.raises(RuntimeError, match="cannot be put back"):
        both.set_state({})


def test_parameters_can_be_changed_and_drawn(world: Callable[..., UnityWorld]) -> None:
    one = world("--copies", "3")
    one.set_parameters({"bias": Uniform(1.0, 2.0, seed=1337)})
    one.step(np.zeros((3, 2), np.float32))
    one.reset(0)
    drawn = one.step(np.zeros((3, 2), np.float32)).reward
    np.testing.assert_allclose(drawn[:2], [1.208888, 1.118017], atol=1e-4)


def test_a_parameter_that_the_player_refuses_is_told(world: Callable[..., UnityWorld]) -> None:
    with pytest.raises(PlayerError, match=r"refused 1 environment parameters.*'baas'.*choose from bias"):
        world(parameters={"baas": 1.0})


def test_a_crashed_player_starts_again_within_its_quota(world: Callable[..., UnityWorld]) -> None:
    one = world("--copies", "3", "--crash-after", "2", restarts=Restarts(lifetime=1))
    action = np.ones((3, 2), np.float32)
    assert [one.step(action).active.all() for _ in range(2)] == [True, True]
    crashed = one.step(action)
    assert not crashed.active.any() and not crashed.terminated.any() and crashed.truncated.all()
    np.testing.assert_array_equal(crashed.observation[:, 1], np.zeros(3))
    assert [one.step(action).active.all() for _ in range(2)] == [True, True]
    with pytest.raises(PlayerError, match=r"return code 7.*a wheel fell off.*after 1 restarts"):
        one.step(action)


def test_restarts_are_limited_per_window(world: Callable[..., UnityWorld]) -> None:
    one = world("--crash-after", "0", restarts=Restarts(lifetime=10, per_window=0))
    with pytest.raises(PlayerError, match="return code 7"):
        one.step(np.ones((4, 2), np.float32))


def test_a_busy_port_is_told(world: Callable[..., UnityWorld], port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("localhost", port))
        taken.listen()
        with pytest.raises(PlayerError, match=f"port {port} is busy"):
            world()


def test_a_player_that_dies_at_once_is_told_with_its_last_words(tmp_path: Path, port: int) -> None:
    dying = tmp_path / "dying"
    dying.write_text('#!/bin/sh\nwhile [ "$1" != "-logFile" ]; do shift; done\necho "no licence" > "$2"\nexit 3\n')
    dying.chmod(0o755)
    with pytest.raises(PlayerError, match=r"dying stopped: .*return code 3.*its log ends with: no licence"):
        UnityWorld(dying, base_port=port, timeout_s=10.0)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the port is still listened at"


def test_a_player_that_never_answers_is_told(tmp_path: Path, port: int) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    with pytest.raises(PlayerError, match=f"silent did not answer on port {port} within 1 s"):
        UnityWorld(silent, base_port=port, timeout_s=1.0)


def test_a_file_that_is_no_program_is_told(tmp_path: Path, port: int) -> None:
    nothing = tmp_path / "nothing"
    nothing.write_text("hello")
    with pytest.raises(ValueError, match=r"nothing' is not executable; chmod \+x"):
        UnityWorld(nothing, base_port=port)
    nothing.chmod(0o755)
    with pytest.raises(PlayerError, match=r"cannot be started: Exec format error"):
        UnityWorld(nothing, base_port=port)


def test_what_cannot_work_is_told_before_anything_starts(tmp_path: Path, counting: Path) -> None:
    with pytest.raises(ValueError, match="there is no player"):
        UnityWorld(tmp_path / "missing")
    with pytest.raises(ValueError, match="5 copies cannot be shared out evenly among 2 players"):
        UnityWorld(counting, players=2, copies=5)
    with pytest.raises(ValueError, match="0 players"):
        UnityWorld(counting, players=0)
    with pytest.raises(ValueError, match="an Editor plays alone"):
        UnityWorld(None, players=2)
    mangled = tmp_path / "my.app.d"
    mangled.mkdir()
    with pytest.raises(ValueError, match=r"strips \.app"):
        UnityWorld(executable(mangled / "player", COUNTING))


def test_another_version_is_told() -> None:
    settings = PlayerSettings("player", port=5005, seed=0, timeout_s=1.0)
    with pytest.raises(UnityException) as error:
        UnityEnvironment._raise_version_exception("2.0.0")
    failure = explain(error.value, settings)
    assert "speaks another version" in failure.reason and "2.0.0" in failure.reason
    assert not failure.is_retry_useful


@pytest.mark.parametrize(
    ("task", "steps", "discrete"), [("arm_reach", 220, False), ("mobile_goto", 410, False), ("mobile_goto", 410, True)]
)
def test_a_task_is_the_same_embedded_and_over_the_wire(
    task: str, steps: int, discrete: bool, tmp_path: Path, port: int
) -> None:
    player = executable(tmp_path / "player", "-m companion.cli.player")
    found = compare(load(task), player, port, copies=8, steps=steps, discrete=discrete)
    assert found["largest_difference"] <= 1e-6
    assert found["ends"] >= 8
