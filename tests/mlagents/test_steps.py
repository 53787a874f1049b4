from typing import Any

import numpy as np
import pytest
from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.exception import UnityObservationException

from companion.mlagents._steps import read_steps
from companion.mlagents.stock import UnityMessageProto, steps_from_proto

SHAPES = ((3,), (4, 5), (40,))
BRANCHES = (3, 2)
SPEC = BehaviorSpec(
    [
        ObservationSpec(shape, (DimensionProperty.NONE,) * len(shape), ObservationType.DEFAULT, f"sensor {number}")
        for number, shape in enumerate(SHAPES)
    ],
    ActionSpec(2, BRANCHES),
)


def agents(count: int, seed: int = 0) -> list[Any]:
    """Agents in any order of deciding and ending, some with masks, some in groups."""
    random = np.random.default_rng(seed)
    found = UnityMessageProto().unity_output.rl_output.agentInfos["any"].value
    for number in range(count):
        agent = found.add(id=number + 7, reward=random.normal(), done=bool(random.random() < 0.4), group_id=number % 3)
        agent.group_reward = float(random.normal())
        agent.max_step_reached = bool(agent.done and random.random() < 0.5)
        if random.random() < 0.5:
            agent.action_mask.extend(bool(closed) for closed in random.random(sum(BRANCHES)) < 0.4)
        for shape in SHAPES:
            observation = agent.observations.add(shape=shape)
            observation.float_data.data.extend(random.normal(size=int(np.prod(shape))).astype(np.float32))
    return list(found)


def assert_same(given: list[Any]) -> None:
    for ours, theirs in zip(read_steps(given, SPEC), steps_from_proto(given, SPEC), strict=True):
        assert type(ours) is type(theirs)
        for name, wanted in vars(theirs).items():
            found = getattr(ours, name)
            if isinstance(wanted, list):
                assert len(found) == len(wanted)
                for one, other in zip(found, wanted, strict=True):
                    np.testing.assert_array_equal(one, other)
            else:
                np.testing.assert_array_equal(found, wanted)
            if isinstance(wanted, np.ndarray):
                assert found.dtype == wanted.dtype


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_it_reads_what_the_stock_client_reads(count: int) -> None:
    assert_same(agents(count))


def test_nobody_decides_or_nobody_ends() -> None:
    for done in (True, False):
        given = agents(5)
        for agent in given:
            agent.done = done
        assert_same(given)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("where", ["observation", "reward", "group_reward"])
def test_numbers_that_are_not_finite_are_refused(where: str, value: float) -> None:
    given = agents(5)
    if where == "observation":
        given[3].observations[1].float_data.data[4] = value
    else:
        setattr(given[3], where, value)
    with pytest.raises(RuntimeError, match=f"{where}s provided had {'NaN' if np.isnan(value) else 'Infinite'}"):
        read_steps(given, SPEC)


@pytest.mark.parametrize("wrong", [[1.0, 2.0], []])
def test_an_observation_of_another_size_is_refused_as_by_the_stock_client(wrong: list[float]) -> None:
    given = agents(5)
    for agent in given:
        agent.observations[0].ClearField("shape")
        agent.observations[0].shape.append(len(wrong))
        del agent.observations[0].float_data.data[:]
        agent.observations[0].float_data.data.extend(wrong)
    with pytest.raises(UnityObservationException, match="index=0"):
        read_steps(given, SPEC)
