import numpy as np
import pytest

from companion.mlagents import messages
from companion.mlagents.messages import Agents, AgentTable, Behavior
from companion.mlagents.side_channels import WireError
from companion.mlagents.stock import UnityMessageProto
from tests.mlagents.scripted_trainer import step

BEHAVIOR = Behavior("Test?team=0", observation_size=200, action_size=3, action_names=("a", "b", "c"))


def test_agents_read_back_as_protobuf_reads_them() -> None:
    rng = np.random.default_rng(1)
    observation = rng.normal(size=(3, 200)).astype(np.float32)
    reward = np.array([0.0, -1.5, 3e8], np.float32)
    agents = Agents(np.array([0, 300, 2**31 - 1]), observation, reward, True, np.array([False, True, False]))
    data = messages.output({"Test?team=0": AgentTable(BEHAVIOR).write(agents), "Other": b""}, b"side", b"")
    read = UnityMessageProto.FromString(data)
    assert read.header.status == 200
    assert read.unity_output.rl_output.side_channel == b"side"
    infos = read.unity_output.rl_output.agentInfos
    assert set(infos) == {"Test?team=0", "Other"}
    rows = infos["Test?team=0"].value
    assert [row.id for row in rows] == [0, 300, 2**31 - 1]
    assert [row.max_step_reached for row in rows] == [False, True, False]
    assert all(row.done and len(row.observations) == 1 for row in rows)
    np.testing.assert_array_equal(np.array([row.reward for row in rows], np.float32), reward)
    for row, sent in zip(rows, observation, strict=True):
        assert list(row.observations[0].shape) == [200]
        assert row.observations[0].name == "observation"
        np.testing.assert_array_equal(np.array(row.observations[0].float_data.data, np.float32), sent)


def test_a_behaviour_is_announced_with_its_actions() -> None:
    announced = messages.announcement([BEHAVIOR])
    read = UnityMessageProto.FromString(messages.output({}, b"", announced)).unity_output
    (parameters,) = read.rl_initialization_output.brain_parameters
    assert parameters.brain_name == "Test?team=0"
    assert parameters.action_spec.num_continuous_actions == 3
    assert list(parameters.action_spec.action_descriptions) == ["a", "b", "c"]


def listed(data: bytes) -> object:
    return UnityMessageProto.FromString(data).unity_input.rl_input.agent_actions["Test?team=0"]


@pytest.mark.parametrize("twice", [True, False])
@pytest.mark.parametrize("agents", [1, 64])
def test_actions_are_read_whichever_way_they_are_written(twice: bool, agents: int) -> None:
    sent = np.random.default_rng(2).normal(size=(agents, 3)).astype(np.float32)
    found = messages.actions(listed(step(sent, "Test?team=0", twice)), agents, 3)
    np.testing.assert_array_equal(found, sent)
    assert found.dtype == np.float32


def test_deprecated_numbers_are_never_taken_for_actions() -> None:
    message = UnityMessageProto.FromString(step(np.ones((2, 3)), "Test?team=0"))
    for value in message.unity_input.rl_input.agent_actions["Test?team=0"].value:
        value.vector_actions_deprecated[:] = [9.0, 9.0, 9.0]
    found = messages.actions(listed(message.SerializeToString()), 2, 3)
    np.testing.assert_array_equal(found, np.ones((2, 3)))


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (np.ones((3, 3)), "3 actions came for 2 agents"),
        (np.ones((2, 4)), "4 continuous numbers"),
        (np.ones((2, 0)), "0 continuous numbers"),
        ([[0.0, 0.0, 0.0], [0.0, np.nan, 0.0]], "action 1 of agent 1 is nan"),
        ([[0.0, 0.0, np.inf], [0.0, 0.0, 0.0]], "action 2 of agent 0 is inf"),
    ],
)
def test_actions_that_make_no_sense_are_told(action: object, said: str) -> None:
    with pytest.raises(WireError, match=said):
        messages.actions(listed(step(action, "Test?team=0")), 2, 3)
