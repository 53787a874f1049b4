import numpy as np
import pytest

from companion.mlagents import messages
from companion.mlagents.messages import Agents, AgentTable, Behavior
from companion.mlagents.side_channels import WireError
from companion.mlagents.stock import ActionTuple, UnityMessageProto
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


HYBRID = (3, 200)
"""Branches of 3 and 200 choices, so that some choices take two bytes."""


def hybrid_actions(continuous: object, discrete: object) -> object:
    """Actions as protobuf itself writes them."""
    message = UnityMessageProto()
    listed = message.unity_input.rl_input.agent_actions["Test?team=0"]
    for left, right in zip(np.asarray(continuous).tolist(), np.asarray(discrete).tolist(), strict=True):
        listed.value.add(vector_actions_deprecated=[*left, *right], continuous_actions=left, discrete_actions=right)
    return listed


@pytest.mark.parametrize("largest", [3, 200])
@pytest.mark.parametrize("agents", [1, 64])
def test_choices_stand_behind_the_continuous_actions(agents: int, largest: int) -> None:
    rng = np.random.default_rng(3)
    continuous = rng.normal(size=(agents, 2)).astype(np.float32)
    discrete = rng.integers((3, largest), size=(agents, 2))
    found = messages.actions(hybrid_actions(continuous, discrete), agents, 4, HYBRID)
    np.testing.assert_array_equal(found, np.concatenate((continuous, discrete), axis=1))
    assert found.dtype == np.float32


@pytest.mark.parametrize(("continuous", "branches"), [(2, (3,)), (0, (7,)), (0, (300, 2)), (3, ())])
def test_actions_are_written_so_that_protobuf_reads_them(continuous: int, branches: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    numbers = rng.normal(size=(5, continuous)).astype(np.float32)
    choices = rng.integers(branches, size=(5, len(branches))).astype(np.int32)
    wanted = UnityMessageProto()
    wanted.unity_input.MergeFromString(messages.step_input({"Test?team=0": ActionTuple(numbers, choices)}))
    read = wanted.unity_input.rl_input.agent_actions["Test?team=0"].value
    np.testing.assert_array_equal(np.array([list(row.continuous_actions) for row in read], np.float32), numbers)
    np.testing.assert_array_equal([list(row.discrete_actions) for row in read], choices)
    repeated = np.concatenate((numbers, choices), axis=1, dtype=np.float32)
    np.testing.assert_array_equal([list(row.vector_actions_deprecated) for row in read], repeated)


@pytest.mark.parametrize(
    ("discrete", "said"),
    [
        ([[0, 0], [3, 0]], "choice 3 came for branch 0, which has 0 to 2"),
        ([[0, -1], [0, 0]], "choice -1 came for branch 1, which has 0 to 199"),
        ([[0], [0]], "1 discrete numbers, this behaviour has 2"),
    ],
)
def test_choices_that_make_no_sense_are_told(discrete: object, said: str) -> None:
    with pytest.raises(WireError, match=said):
        messages.actions(hybrid_actions(np.zeros((2, 1)), discrete), 2, 3, HYBRID)


def test_branches_are_announced() -> None:
    behavior = Behavior("Test?team=0", observation_size=4, action_size=3, discrete_branches=HYBRID)
    read = UnityMessageProto.FromString(messages.output({}, b"", messages.announcement([behavior]))).unity_output
    action = read.rl_initialization_output.brain_parameters[0].action_spec
    assert (action.num_continuous_actions, action.num_discrete_actions) == (1, 2)
    assert list(action.discrete_branch_sizes) == [3, 200]
