"""What ML-Agents' agents tell, as arrays: what `steps_from_proto` of mlagents_envs gives, in a third of the time.

The stock function reads every number of an observation on its own. Here the numbers of one observation are taken as
the bytes that they are in the message (little-endian, Protocol Buffers' encoding of packed floats).
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.mlagents.stock import BehaviorSpec, DecisionSteps, TerminalSteps, steps_from_proto


def read_steps(agents: Sequence[Any], spec: BehaviorSpec) -> tuple[DecisionSteps, TerminalSteps]:
    """The agents of one behaviour (`AgentInfoProto`s) that wait for an action, and those whose episode ended.

    Raises:
        RuntimeError: for observations or rewards that are no finite numbers.
        mlagents_envs.exception.UnityObservationException: for an observation of another size than the behaviour's.
    """
    deciding = [agent for agent in agents if not agent.done]
    ending = [agent for agent in agents if agent.done]
    observed = [_observations(group, spec) for group in (deciding, ending)]
    if observed[0] is None or observed[1] is None:
        return steps_from_proto(agents, spec)
    decided, ended = _rewards(deciding), _rewards(ending)
    return (
        DecisionSteps(observed[0], decided[0], _ids(deciding), _blocked(deciding, spec), _groups(deciding), decided[1]),
        TerminalSteps(
            observed[1],
            ended[0],
            np.array([agent.max_step_reached for agent in ending], np.bool_),
            _ids(ending),
            _groups(ending),
            ended[1],
        ),
    )


def _observations(agents: Sequence[Any], spec: BehaviorSpec) -> list[NDArray[np.float32]] | None:
    """Each observation `[agents, *shape]`; None where one is an image or is not what the behaviour says."""
    tables = [_table(agents, index, each.shape) for index, each in enumerate(spec.observation_specs)]
    found = [table for table in tables if table is not None]
    return found if len(found) == len(tables) else None


def _table(agents: Sequence[Any], index: int, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    if len(shape) > 2:
        return None
    if not agents:
        return np.zeros((0, *shape), np.float32)
    messages = [agent.observations[index].float_data.SerializeToString() for agent in agents]
    record, numbers = len(messages[0]), 4 * prod(shape)
    data = b"".join(messages)
    if record <= numbers or len(data) != record * len(agents):
        return None
    records = np.frombuffer(data, np.uint8).reshape(len(agents), record)
    heads = records[:, : record - numbers]
    if (heads != heads[0]).any() or bytes(heads[0]) != _packed_head(numbers):
        return None
    found = np.ascontiguousarray(records[:, record - numbers :]).view("<f4").reshape(len(agents), *shape)
    return _finite(found, "observations")


def _packed_head(size: int) -> bytes:
    """What stands before `size` bytes of packed numbers in field 1."""
    head = [0x0A]
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size])


def _rewards(agents: Sequence[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of the agents and of their groups."""
    own = np.array([agent.reward for agent in agents], np.float32)
    group = np.array([agent.group_reward for agent in agents], np.float32)
    return _finite(own, "rewards"), _finite(group, "group_rewards")


def _ids(agents: Sequence[Any]) -> NDArray[np.int32]:
    return np.array([agent.id for agent in agents], np.int32)


def _groups(agents: Sequence[Any]) -> list[int]:
    return [agent.group_id for agent in agents]


def _blocked(agents: Sequence[Any], spec: BehaviorSpec) -> list[NDArray[np.bool_]] | None:
    """The choices of each branch that are closed `[agents, choices]`; an agent that says nothing may do all."""
    branches = spec.action_spec.discrete_branches
    if not branches or not agents:
        return None
    choices = sum(branches)
    masks = [agent.action_mask for agent in agents]
    closed = [list(mask) if len(mask) == choices else [False] * choices for mask in masks]
    return np.split(np.array(closed, np.bool_), np.cumsum(branches[:-1]), axis=1)


def _finite(values: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise RuntimeError(f"The {name} provided had {'NaN' if np.isnan(values).any() else 'Infinite'} values.")
    return values
