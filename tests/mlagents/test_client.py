import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from companion.mlagents.client import FastEnvironment
from companion.mlagents.player import Address, Role, play
from companion.mlagents.stock import (
    ActionTuple,
    EnvironmentParametersChannel,
    UnityEnvironment,
    UnityWorkerInUseException,
)
from tests.mlagents.counting import BEHAVIOR, STATISTICS, CountingWorld
from tests.mlagents.test_side_channels import manager


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


class Known:
    """As much of a client as building a step's message needs: three agents that decide, and one that does not."""

    def __init__(self) -> None:
        self._env_state = {BEHAVIOR.name: ([0, 1, 2], []), "Idle?team=0": ([], [])}
        channel = EnvironmentParametersChannel()
        channel.set_float_parameter("bias", 1.0)
        self._side_channel_manager = manager(channel)

    _generate_reset_input = UnityEnvironment._generate_reset_input
    _wrap_unity_input = staticmethod(UnityEnvironment._wrap_unity_input)


def test_the_message_is_the_stock_clients() -> None:
    actions = {
        BEHAVIOR.name: ActionTuple(np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)),
        "Idle?team=0": ActionTuple(np.zeros((0, 2), np.float32)),
    }
    assert_the_same_message(actions)


def test_choices_are_written_as_the_stock_client_writes_them() -> None:
    random = np.random.default_rng(0)
    continuous = random.normal(size=(3, 2)).astype(np.float32)
    assert_the_same_message({BEHAVIOR.name: ActionTuple(continuous, random.integers(9, size=(3, 2), dtype=np.int32))})
    assert_the_same_message({BEHAVIOR.name: ActionTuple(discrete=random.integers(9, size=(3, 1), dtype=np.int32))})


def assert_the_same_message(actions: dict[str, ActionTuple]) -> None:
    ours = FastEnvironment._generate_step_input(Known(), actions)  # type: ignore[arg-type]  # a stand-in by shape
    theirs = UnityEnvironment._generate_step_input(Known(), actions)  # type: ignore[arg-type]  # a stand-in by shape
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)


def test_it_talks_to_a_player_on_the_loopback(port: int) -> None:
    with ThreadPoolExecutor(1) as pool:
        role = Role(BEHAVIOR, 2, lambda number, _: CountingWorld(number), None, STATISTICS)
        playing = pool.submit(play, role, Address(port))
        client = FastEnvironment(None, base_port=port, seed=7, timeout_wait=10)
        try:
            client.reset()
            for _ in range(3):
                client.set_actions(BEHAVIOR.name, ActionTuple(np.full((2, 2), 0.25, np.float32)))
                client.step()
            decisions, terminals = client.get_steps(BEHAVIOR.name)
        finally:
            client.close()
        playing.result(timeout=10)
    np.testing.assert_array_equal(decisions.obs[0], [[0, 0, 7], [1, 3, 7]])
    np.testing.assert_array_equal(terminals.reward, [0.5])


def test_a_port_in_use_is_told(port: int) -> None:
    first = FastEnvironment._get_communicator(0, port, 5)
    with pytest.raises(UnityWorkerInUseException):
        FastEnvironment._get_communicator(0, port, 5)
    first.close()


def test_the_port_is_free_once_it_is_closed(port: int) -> None:
    for _ in range(20):
        communicator = FastEnvironment._get_communicator(0, port, 5)
        communicator.close()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
