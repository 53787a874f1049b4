"""The agents as a player that ML-Agents' own client starts: real wire, real Academy, a small engine of ours."""

import socket
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from companion import tasks
from companion.cli.player import behavior_of, statistics_of
from companion.deploy.actor import OnnxActor
from companion.mlagents.player import REFUSED_PARAMETERS
from companion.mlagents.stock import ActionTuple, EnvironmentParametersChannel, StatsSideChannel, UnityEnvironment
from companion.rewards import load_recipe
from companion.tasks import Task
from companion.worlds.embedded import EmbeddedWorld
from companion.worlds.unity import UnityWorld
from tests.unity import peer
from tests.unity.toolchain import Toolchain

MODELS = Path(__file__).parents[2] / "exported_models"
START_LIMIT_S = 120
EPISODES = {"mobile_goto": 12, "arm_reach": 12, "arm_handover": 12, "mobile_follow": 12}
FEW_EPISODES = 4
"""Of the other tasks, whose episodes are long."""


@pytest.fixture(scope="session")
def player(chain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return peer.build_player(chain, tmp_path_factory.mktemp("player"))


@pytest.fixture
def port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


class Session:
    """The stock client and its side channels."""

    def __init__(self, player: Path, port: int, seed: int, words: list[str]) -> None:
        self.parameters, self.statistics = EnvironmentParametersChannel(), StatsSideChannel()
        self.client = UnityEnvironment(
            str(player),
            base_port=port,
            seed=seed,
            no_graphics=True,
            timeout_wait=START_LIMIT_S,
            side_channels=[self.parameters, self.statistics],
            additional_args=words,
        )

    @property
    def behavior(self) -> str:
        (name,) = self.client.behavior_specs
        return name

    def observation(self) -> NDArray[np.float32]:
        return self.client.get_steps(self.behavior)[0].obs[0]

    def act(self, action: NDArray[np.float32]) -> None:
        self.client.set_actions(self.behavior, ActionTuple(continuous=action))
        self.client.step()


@contextmanager
def playing(player: Path, port: int, task: str, *words: str, seed: int = 0) -> Iterator[Session]:
    session = Session(player, port, seed, ["--task", task, *words])
    try:
        yield session
    finally:
        session.client.close()


def nominal(task: Task, **others: float) -> dict[str, float]:
    """Every perturbation as it is in the undisturbed world, but for some."""
    return {**{entry.name: entry.nominal for entry in task.perturbations}, **others}


def as_words(values: dict[str, float]) -> list[str]:
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


# --- policies drive the agents ---


def driver_of(task: Task) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """The exported policy, or the classical controller of a task that has none."""
    model = MODELS / f"{task.name}.onnx"
    if model.exists():
        return OnnxActor(model).act
    assert task.baseline is not None
    controller = task.baseline()
    return lambda observation: np.asarray(
        controller({key: np.asarray(part, np.float64) for key, part in task.layout.unpack(observation).items()}),
        np.float32,
    )


@pytest.mark.parametrize("name", tasks.names())
def test_what_drives_the_robot_in_mujoco_drives_the_agents(player: Path, port: int, name: str) -> None:
    task, wanted = tasks.load(name), EPISODES.get(name, FEW_EPISODES)
    copies = min(8, wanted)
    drive = driver_of(task)
    wins, ended = 0, 0
    with playing(player, port, name, "--copies", str(copies), seed=5) as session:
        session.client.reset()
        expected, spec = behavior_of(task), session.client.behavior_specs[session.behavior]
        assert session.behavior == expected.name
        assert [(one.name, one.shape) for one in spec.observation_specs] == [
            (expected.observation_name, (expected.observation_size,))
        ]
        assert (spec.action_spec.continuous_size, spec.action_spec.discrete_size) == (expected.action_size, 0)
        returns = defaultdict[int, float](float)
        told_returns, told_terms = list[float](), list[float]()
        while ended < wanted:
            session.act(drive(session.observation()))
            deciding, terminal = session.client.get_steps(session.behavior)
            for agent, reward in zip(terminal.agent_id, terminal.reward, strict=True):
                told_returns.append(returns.pop(agent) + reward)
            for agent, reward in zip(deciding.agent_id, deciding.reward, strict=True):
                returns[agent] += reward
            statistics = session.statistics.get_and_reset_stats()
            if len(terminal):
                ended += len(terminal)
                recipe = load_recipe(task, "full")
                assert set(statistics) == set(statistics_of(task, recipe))
                assert {len(values) for values in statistics.values()} == {len(terminal)}
                wins += int(sum(value for value, _ in statistics["Environment/Success"]))
                terms = [[value for value, _ in statistics[f"Reward/{term.name}"]] for term in recipe.terms]
                told_terms += np.sum(terms, axis=0).tolist()
            else:
                assert not statistics
    assert wins >= 0.75 * ended
    # An agent's reward is the sum of its terms, as they are reported.
    np.testing.assert_allclose(told_terms, told_returns, atol=2e-3)


def test_actions_may_be_the_tasks_motions_by_number(player: Path, port: int) -> None:
    task = tasks.load("mobile_goto")
    ahead = [motion.name for motion in task.motions].index("ahead")
    with playing(player, port, task.name, "--copies", "2", "--actions", "discrete") as session:
        session.client.reset()
        spec = session.client.behavior_specs[session.behavior].action_spec
        assert (spec.continuous_size, spec.discrete_branches) == (0, (len(task.motions),))
        for _ in range(4):
            session.client.set_actions(session.behavior, ActionTuple(discrete=np.full((2, 1), ahead, np.int32)))
            session.client.step()
        velocity = session.observation()[:, task.layout.where("velocity")]
    # It drives straight on at its full 0.22 m/s, less what its wheels slip.
    assert (velocity[:, 0] > 0.15).all() and (np.abs(velocity[:, 1]) < 0.3).all()


# --- episodes ---


def test_an_episode_is_cut_off_at_its_time_and_rewarded_as_told(player: Path, port: int) -> None:
    task = tasks.load("arm_reach")
    recipe = load_recipe(task, "full")
    with playing(player, port, task.name, "--copies", "3") as session:
        for term in recipe.terms:
            session.parameters.set_float_parameter(f"reward/{term.name}/weight", 0.0)
        session.parameters.set_float_parameter("reward/time_passing/weight", -2.0)
        session.client.reset()
        rest = np.zeros((3, len(task.action)), np.float32)
        for _ in range(task.max_episode_steps - 1):
            session.act(rest)
            deciding, terminal = session.client.get_steps(session.behavior)
            assert len(terminal) == 0
            # -2 per second, a decision every 0.05 s
            np.testing.assert_allclose(deciding.reward, -0.1, atol=1e-6)
        session.act(rest)
        deciding, terminal = session.client.get_steps(session.behavior)
        assert terminal.interrupted.tolist() == [True] * 3
        assert deciding.reward.tolist() == [0.0] * 3  # of the new episodes, which begin in the same message
        assert not np.allclose(terminal.obs[0], deciding.obs[0])


def test_a_trainers_own_recipe_counts_though_its_file_is_not_read(player: Path, port: int, tmp_path: Path) -> None:
    # As `companion train --world unity` does it: a file, and its numbers as parameters.
    task = tasks.load("arm_reach")
    sparse = load_recipe(task, "sparse")
    words = ("--copies", "1", "--recipe", str(tmp_path / "recipe.yaml"))
    with playing(player, port, task.name, *words) as session:
        for term in sparse.terms:
            session.parameters.set_float_parameter(f"reward/{term.name}/weight", term.weight)
        session.client.reset()
        for _ in range(task.max_episode_steps):
            session.act(np.zeros((1, len(task.action)), np.float32))
        assert set(session.statistics.get_and_reset_stats()) == set(statistics_of(task, sparse))


def test_a_parameter_that_there_is_not_is_told_and_counted(player: Path, port: int) -> None:
    with playing(player, port, "arm_reach", "--copies", "2") as session:
        session.parameters.set_float_parameter("reward/nothing/weight", 1.0)
        session.client.reset()
        session.act(np.zeros((2, 6), np.float32))
        told = session.statistics.get_and_reset_stats()
    assert [value for value, _ in told[REFUSED_PARAMETERS]] == [1.0]
    assert "'reward/nothing/weight' is not taken" in (player.parent / "player.log").read_text()


def test_a_robot_that_drives_on_bumps_into_something_which_ends_its_episode(player: Path, port: int) -> None:
    task = tasks.load("mobile_goto")
    ends = list[tuple[bool, float]]()
    with playing(player, port, task.name, "--copies", "4", "--set", "room_size_m=3", seed=2) as session:
        session.client.reset()
        for _ in range(task.max_episode_steps):
            session.act(np.tile(np.array((1.0, 0.0), np.float32), (4, 1)))
            terminal = session.client.get_steps(session.behavior)[1]
            ends += zip(terminal.interrupted.tolist(), terminal.reward.tolist(), strict=True)
            if len(ends) >= 6:
                break
    assert len(ends) >= 6
    assert not any(interrupted for interrupted, _ in ends)
    # A touch costs 10; now and then a robot meets its goal on its way.
    assert sum(reward < -5 for _, reward in ends) > len(ends) / 2


def test_a_ball_that_nobody_brings_back_is_lost_and_rolled_again_until_time_is_up(player: Path, port: int) -> None:
    task = tasks.load("mobile_ball")
    where = [task.layout.where(name) for name in ("ball_distance", "ball_direction")]
    with playing(player, port, task.name, "--copies", "2", "--set", "furniture_count=0", seed=3) as session:
        session.client.reset()
        rest, balls = np.tile(np.array(task.rest_action, np.float32), (2, 1)), list[NDArray[np.float32]]()
        interrupted = list[list[bool]]()
        for _ in range(task.max_episode_steps):
            session.act(rest)
            balls.append(np.concatenate([session.observation()[:, one] for one in where], axis=1))
            interrupted.append(session.client.get_steps(session.behavior)[1].interrupted.tolist())
        assert interrupted == [[]] * (task.max_episode_steps - 1) + [[True, True]]
        told = session.statistics.get_and_reset_stats()
    assert [value for value, _ in told["Metrics/returns"]] == [0.0, 0.0]
    assert [value for value, _ in told["Metrics/contact"]] == [0.0, 0.0]
    places = np.stack(balls)[:, :, :1] * np.stack(balls)[:, :, 1:]
    assert np.abs(np.diff(places, axis=0)).max() > 0.3  # back in the person's hands at once
    assert np.ptp(places[:200], axis=0).max() > 0.8  # and rolled some way before


def test_a_paddle_that_rests_misses_balls_and_touches_nothing(player: Path, port: int) -> None:
    task = tasks.load("arm_rally")
    with playing(player, port, task.name, "--copies", "4", "--set", "difficulty=1", seed=2) as session:
        session.client.reset()
        ended = 0
        while not ended:
            session.act(np.zeros((4, 3), np.float32))
            ended = len(session.client.get_steps(session.behavior)[1])
        told = session.statistics.get_and_reset_stats()
    assert ended == 4  # of all at once, when the time is up
    assert [value for value, _ in told["Metrics/contact"]] == [0.0] * 4
    assert min(value for value, _ in told["Metrics/missed"]) >= 2


def test_an_arm_that_goes_for_the_person_touches_them_which_ends_its_episode(player: Path, port: int) -> None:
    task = tasks.load("arm_handover")
    ends, told = list[float](), defaultdict[str, list[float]](list)
    with playing(player, port, task.name, "--copies", "4", seed=6) as session:
        session.client.reset()
        while len(ends) < 6:
            # Down and ahead, where the forearm lies or the table.
            session.act(np.tile(np.array((0.6, 0.0, -0.8), np.float32), (4, 1)))
            terminal = session.client.get_steps(session.behavior)[1]
            assert not terminal.interrupted.any()
            ends += terminal.reward.tolist()
            for key, values in session.statistics.get_and_reset_stats().items():
                told[key] += [value for value, _ in values]
    assert sum(reward < -5 for reward in ends) > len(ends) / 2
    assert sum(told["Metrics/contact"]) > len(ends) / 2


def test_a_reset_starts_all_anew_without_ends(player: Path, port: int) -> None:
    with playing(player, port, "arm_reach", "--copies", "2") as session:
        session.client.reset()
        for _ in range(3):
            session.act(np.zeros((2, 6), np.float32))
        before = session.observation().copy()
        session.client.reset()
        deciding, terminal = session.client.get_steps(session.behavior)
        assert (len(deciding), len(terminal)) == (2, 0)
        assert not np.allclose(before, deciding.obs[0])
        session.act(np.zeros((2, 6), np.float32))
        assert session.client.get_steps(session.behavior)[0].agent_id.tolist() == deciding.agent_id.tolist()


def test_a_seed_repeats_a_session_and_another_does_not(player: Path, port: int) -> None:
    def seen(seed: int) -> NDArray[np.float32]:
        with playing(player, port, "mobile_goto", "--copies", "2", seed=seed) as session:
            session.client.reset()
            for _ in range(12):
                session.act(np.tile(np.array((0.5, 0.4), np.float32), (2, 1)))
            return session.observation().copy()

    first = seen(7)
    np.testing.assert_array_equal(seen(7), first)
    assert not np.allclose(seen(8), first)
    assert not np.allclose(first[0], first[1])


# --- the same robot as in MuJoCo ---


@pytest.mark.parametrize(
    ("name", "signal", "action", "decisions", "tolerance", "others"),
    [
        (
            "mobile_goto",
            "velocity",
            (0.6, 0.5),
            6,
            0.02,
            {"room_size_m": 8.0, "furniture_count": 0, "people_count": 0},
        ),
        ("mobile_follow", "velocity", (0.6, 0.5), 6, 0.03, {"furniture_count": 0}),
        ("mobile_ball", "velocity", (0.6, 0.5), 6, 0.03, {"furniture_count": 0}),
        ("arm_reach", "joint_lead", (0.5, -0.5, 0.5, -0.5, 0.5, -0.5), 8, 0.01, {}),
        ("arm_handover", "object_velocity_base", (-0.4, 0.3, 0.2), 6, 0.03, {"difficulty": 0}),
        # Its first two entries: MuJoCo's last wrist turns by jerks, so that its speed at an instant says little.
        ("arm_rally", "paddle_velocity_base", (0.3, -0.4, 0.2), 6, 0.02, {}),
    ],
)
def test_a_robot_answers_an_action_as_it_does_in_mujoco(
    player: Path,
    port: int,
    name: str,
    signal: str,
    action: tuple[float, ...],
    decisions: int,
    tolerance: float,
    others: dict[str, float],
) -> None:
    task, copies = tasks.load(name), 12
    values, recipe = nominal(task, **others), load_recipe(task, "full")
    embedded = EmbeddedWorld(task, recipe, copies=copies, discount=0.99, threads=1, overrides=values)
    words = ("--task", name, "--copies", str(copies), *as_words(values))
    unity = UnityWorld(player, base_port=port, timeout_s=START_LIMIT_S, additional_args=words)
    first = task.layout.where(signal).start
    where = slice(first, first + (2 if name == "arm_rally" else len(task.action)))
    asked = np.tile(np.array(action, np.float32), (copies, 1))
    try:
        embedded.reset(1)
        unity.reset(1)
        for _ in range(decisions):
            ours, theirs = unity.step(asked).observation[:, where], embedded.step(asked).observation[:, where]
            # The median leaves out a copy that ended its episode; odometry's noise is 0.01.
            np.testing.assert_allclose(np.median(ours, axis=0), np.median(theirs, axis=0), atol=tolerance)
    finally:
        unity.close()
        embedded.close()


# --- how it ends ---


def test_a_player_ends_cleanly_with_its_trainer(player: Path, port: int) -> None:
    with playing(player, port, "arm_reach", "--copies", "1") as session:
        session.client.reset()
    told = (player.parent / "player.log").read_text()
    assert "clean end" in told
    assert "[error]" not in told and "[warning]" not in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--task", "arm_raech"), "no task 'arm_raech'; choose from"),
        (("--task", "arm_reach", "--copies", "none"), "--copies none: expected a whole number of at least 1"),
        (("--task", "arm_reach", "--recipe", "fulll"), "fulll"),
        (("--task", "arm_reach", "--set", "payload_kg=90"), "payload_kg=90 is outside what may be set, 0 to 5 kg"),
        (("--task", "arm_reach", "--actions", "discrete"), "no motions"),
    ],
)
def test_bad_input_is_told_in_one_line_and_ends_with_2(player: Path, words: tuple[str, ...], said: str) -> None:
    done = subprocess.run([str(player), *words], timeout=START_LIMIT_S)
    told = [line for line in (player.parent / "player.log").read_text().splitlines() if line.startswith("[error]")]
    assert done.returncode == 2
    assert len(told) == 1 and said in told[0]
