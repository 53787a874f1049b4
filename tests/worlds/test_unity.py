import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mlagents_envs.base_env import ActionSpec, DimensionProperty, ObservationSpec, ObservationType

from benchmarks.wire_parity import compare
from companion.mlagents.stock import BehaviorSpec, DecisionSteps, TerminalSteps, UnityEnvironment, UnityException
from companion.tasks import load
from companion.worlds._unity_worker import PlayerSettings, Slots, explain, sizes
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


def decisions(ids: list[int], values: list[float], reward: float = 1.0) -> DecisionSteps:
    count = len(ids)
    observation = [np.array(values, np.float32).reshape(count, 1), np.zeros((count, 1), np.float32)]
    rewards = np.full(count, reward, np.float32)
    return DecisionSteps(observation, rewards, np.array(ids, np.int32), None, np.zeros(count), np.zeros(count))


def terminals(ids: list[int], values: list[float], reward: float = 2.0, interrupted: bool = False) -> TerminalSteps:
    count = len(ids)
    observation = [np.array(values, np.float32).reshape(count, 1), np.zeros((count, 1), np.float32)]
    cut, rewards = np.full(count, interrupted), np.full(count, reward, np.float32)
    return TerminalSteps(observation, rewards, cut, np.array(ids, np.int32), np.zeros(count), np.zeros(count))


def slots_with(ids: list[int]) -> Slots:
    slots = Slots(3, 2)
    slots.clear()
    slots.hear(decisions(ids, [0.0] * len(ids)), terminals([], []))
    return slots


def test_a_new_agent_holds_no_transition_until_it_has_acted() -> None:
    slots = slots_with([10, 11])
    np.testing.assert_array_equal(slots.table["active"], [False, False, False])
    slots.begin_step()
    slots.hear(decisions([10, 11, 12], [1.0, 2.0, 3.0]), terminals([], []))
    np.testing.assert_array_equal(slots.table["active"], [True, True, False])
    np.testing.assert_array_equal(slots.table["reward"], [1.0, 1.0, 0.0])
    np.testing.assert_array_equal(slots.table["observation"][:, 0], [1.0, 2.0, 3.0])


def test_an_end_without_a_successor_leaves_the_row_empty_afterwards() -> None:
    slots = slots_with([10, 11, 12])
    slots.begin_step()
    slots.hear(decisions([10, 12], [1.0, 3.0]), terminals([11], [9.0], interrupted=True))
    np.testing.assert_array_equal(slots.table["active"], [True, True, True])
    np.testing.assert_array_equal(slots.table["truncated"], [False, True, False])
    np.testing.assert_array_equal(slots.table["final_observation"][:, 0], [1.0, 9.0, 3.0])
    slots.begin_step()
    slots.hear(decisions([10, 12], [1.5, 3.5]), terminals([], []))
    np.testing.assert_array_equal(slots.table["active"], [True, False, True])


def test_an_agent_with_a_new_id_takes_the_row_of_the_one_that_ended() -> None:
    slots = slots_with([10, 11, 12])
    slots.begin_step()
    slots.hear(decisions([10, 12, 99], [1.0, 3.0, 5.0]), terminals([11], [9.0]))
    np.testing.assert_array_equal(slots.deciding, [0, 2, 1])
    np.testing.assert_array_equal(slots.table["observation"][:, 0], [1.0, 5.0, 3.0])
    np.testing.assert_array_equal(slots.table["final_observation"][1], [9.0, 0.0])
    np.testing.assert_array_equal(slots.table["terminated"], [False, True, False])


def test_an_agent_that_vanished_without_a_word_gives_up_its_row() -> None:
    slots = slots_with([10, 11, 12])
    slots.begin_step()
    slots.hear(decisions([10, 12], [1.0, 3.0]), terminals([], []))
    np.testing.assert_array_equal(slots.table["active"], [True, False, True])
    slots.begin_step()
    slots.hear(decisions([10, 12, 77], [1.0, 3.0, 7.0]), terminals([], []))
    np.testing.assert_array_equal(slots.deciding, [0, 2, 1])
    np.testing.assert_array_equal(slots.table["active"], [True, False, True])


def test_an_end_and_its_successor_may_come_in_two_messages() -> None:
    slots = slots_with([10, 11, 12])
    slots.begin_step()
    slots.hear(decisions([], []), terminals([11], [9.0]))
    assert not len(slots.deciding)
    slots.hear(decisions([10, 11, 12], [1.0, 2.0, 3.0]), terminals([], []))
    np.testing.assert_array_equal(slots.table["active"], [True, True, True])
    np.testing.assert_array_equal(slots.table["reward"], [1.0, 2.0, 1.0])
    np.testing.assert_array_equal(slots.table["observation"][:, 0], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(slots.table["final_observation"][:, 0], [1.0, 9.0, 3.0])


def test_more_agents_than_rows_are_told() -> None:
    with pytest.raises(ValueError, match="more than 3 agents at once"):
        slots_with([1, 2, 3, 4])


def spec(shapes: list[tuple[int, ...]], continuous: int, branches: tuple[int, ...] = ()) -> BehaviorSpec:
    none = DimensionProperty.NONE
    observations = [ObservationSpec(s, (none,) * len(s), ObservationType.DEFAULT, "o") for s in shapes]
    return BehaviorSpec(observations, ActionSpec(continuous, branches))


def test_vector_observations_stand_side_by_side() -> None:
    assert sizes("A", spec([(4,), (3,)], 2)) == (7, 2)


def test_images_and_discrete_actions_are_told() -> None:
    with pytest.raises(ValueError, match=r"observation 1 of A has shape \(3, 84, 84\)"):
        sizes("A", spec([(4,), (3, 84, 84)], 2))
    with pytest.raises(ValueError, match=r"A has discrete actions \(2,\)"):
        sizes("A", spec([(4,)], 2, (2,)))


def test_another_version_is_told() -> None:
    settings = PlayerSettings("player", 5005, 0, 1.0, 1, None, (), None, None)
    with pytest.raises(UnityException) as error:
        UnityEnvironment._raise_version_exception("2.0.0")
    failure = explain(error.value, settings)
    assert "speaks another version" in failure.reason and "2.0.0" in failure.reason
    assert not failure.is_retry_useful


@pytest.mark.parametrize(("task", "steps"), [("arm_reach", 220), ("mobile_goto", 410)])
def test_a_task_is_the_same_embedded_and_over_the_wire(task: str, steps: int, tmp_path: Path, port: int) -> None:
    found = compare(load(task), executable(tmp_path / "player", "-m companion.cli.player"), port, copies=8, steps=steps)
    assert found["largest_difference"] <= 1e-6
    assert found["ends"] >= 8
