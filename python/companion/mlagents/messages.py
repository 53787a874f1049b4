"""The messages a player sends, written straight from arrays, and the actions it reads.

A step of 64 agents is a few kilobytes of identical records that differ in numbers only. Filling those numbers into a
prepared table of bytes takes microseconds; building the same message from protobuf objects takes longer than the
physics. The result is ordinary protobuf wire format, which the tests compare with protobuf's own reading of it.

Field numbers: mlagents_envs/communicator_objects, API 1.5.0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.mlagents.side_channels import WireError
from companion.mlagents.stock import UnityMessageProto

API_VERSION = "1.5.0"
MESSAGE_LIMIT = 4 * 1024 * 1024
"""gRPC's default limit for what a server receives, bytes; the stock client does not raise it."""
_OK = 200


@dataclass(frozen=True)
class Behavior:
    """One behaviour as it is announced to a trainer: a vector observation and continuous actions."""

    name: str
    """ML-Agents' full name, `Name?team=0`."""
    observation_size: int
    action_size: int
    observation_name: str = "observation"
    action_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Agents:
    """What happened to some agents of one behaviour: arrays with one entry per agent."""

    id: NDArray[np.int64]
    observation: NDArray[np.float32]
    reward: NDArray[np.float32]
    done: bool
    max_step_reached: NDArray[np.bool_] | bool = False


class AgentTable:
    """Writes the AgentInfo messages of one behaviour as one table of bytes."""

    def __init__(self, behavior: Behavior) -> None:
        self._observation_size = behavior.observation_size
        floats = _message(4, _message(1, bytes(4 * behavior.observation_size)))
        tail = _integer(7, 0) + _message(8, behavior.observation_name.encode())
        shape = _message(1, _varint(behavior.observation_size))
        kinds = _message(6, _varint(1))
        observation = _message(13, shape + floats + kinds + tail)
        head = _tag(7, 5) + bytes(4) + _integer(8, 0) + _integer(9, 0) + _tag(10, 0) + _fixed_varint(0)
        item = _message(1, head + observation)
        self._template = np.frombuffer(item, np.uint8)
        start = len(item) - len(head) - len(observation)
        self._reward = slice(start + 1, start + 5)
        self._done = start + 6
        self._max_step = start + 8
        self._id = slice(start + 10, start + 15)
        data_end = len(item) - len(kinds) - len(tail)
        self._data = slice(data_end - 4 * behavior.observation_size, data_end)

    @property
    def bytes_per_agent(self) -> int:
        """Size of one agent's record."""
        return len(self._template)

    def write(self, agents: Agents) -> bytes:
        """The records of these agents, each an item of ListAgentInfoProto."""
        count = len(agents.id)
        table = np.empty((count, len(self._template)), np.uint8)
        table[:] = self._template
        table[:, self._reward] = _as_bytes(agents.reward, "<f4", (count, 1))
        table[:, self._done] = agents.done
        table[:, self._max_step] = agents.max_step_reached
        table[:, self._id] = _varint_columns(agents.id)
        table[:, self._data] = _as_bytes(agents.observation, "<f4", (count, self._observation_size))
        return table.tobytes()


def hello(name: str, package_version: str) -> bytes:
    """The first message: who dials in, and what it is capable of."""
    message = UnityMessageProto()
    message.header.status = _OK
    init = message.unity_output.rl_initialization_output
    init.name = name
    init.communication_version = API_VERSION
    init.package_version = package_version
    for field in init.capabilities.DESCRIPTOR.fields:
        setattr(init.capabilities, field.name, True)
    return message.SerializeToString()


def empty(status: int = _OK, text: str = "") -> bytes:
    """A message without content: asks for the first input (200), or says goodbye (any other status)."""
    message = UnityMessageProto()
    message.header.status = status
    message.header.message = text
    return message.SerializeToString()


def announcement(behaviors: Sequence[Behavior]) -> bytes:
    """The part of a message in which new behaviours are announced, to be sent with their first agents."""
    message = UnityMessageProto()
    for behavior in behaviors:
        parameters = message.unity_output.rl_initialization_output.brain_parameters.add()
        parameters.brain_name = behavior.name
        parameters.is_training = True
        parameters.action_spec.num_continuous_actions = behavior.action_size
        parameters.action_spec.action_descriptions.extend(behavior.action_names)
    return message.unity_output.SerializeToString()


def output(records: Mapping[str, bytes], side_channel: bytes = b"", announced: bytes = b"") -> bytes:
    """One message to the trainer: each behaviour's agent records, side channel bytes, and new behaviours if any."""
    rl_output = [_message(2, _message(1, name.encode()) + _message(2, data)) for name, data in records.items()]
    rl_output.append(_message(3, side_channel))
    return _message(1, _integer(1, _OK)) + _message(2, _message(1, b"".join(rl_output)) + announced)


def step_input(actions: Mapping[str, NDArray[np.float32]]) -> bytes:
    """A UnityInput that holds each behaviour's continuous actions `[agents, n]`, written as the stock client does."""
    return _message(1, b"".join(_behavior_actions(name, table) for name, table in actions.items()))


def _behavior_actions(name: str, table: NDArray[np.float32]) -> bytes:
    numbers = bytes(4 * table.shape[1])
    item = np.frombuffer(_message(1, _message(1, numbers) + _message(6, numbers)), np.uint8)
    rows = np.empty((len(table), len(item)), np.uint8)
    rows[:] = item
    block = len(_message(6, numbers))
    for end in (len(item) - block, len(item)):
        rows[:, end - len(numbers) : end] = _as_bytes(table, "<f4", table.shape)
    return _message(1, _message(1, name.encode()) + _message(2, rows.tobytes()))


def actions(listed: Any, agents: int, action_size: int) -> NDArray[np.float32]:
    """The continuous actions `[agents, action_size]` of a ListAgentActionProto.

    Raises:
        WireError: if there are not as many agents or numbers as decisions were asked for, or a number is not finite.
    """
    values = listed.value
    if len(values) != agents:
        raise WireError(f"{len(values)} actions came for {agents} agents that asked for a decision")
    table = _uniform_actions(listed.SerializeToString(), agents, action_size)
    if table is None:
        rows = [list(value.continuous_actions) for value in values]
        wrong = next((len(row) for row in rows if len(row) != action_size), None)
        if wrong is not None:
            raise WireError(f"an action has {wrong} continuous numbers, this behaviour has {action_size}")
        table = np.array(rows, np.float32)
    if not np.isfinite(table).all():
        agent, entry = np.argwhere(~np.isfinite(table))[0]
        raise WireError(f"action {entry} of agent {agent} is {table[agent, entry]}; the trainer's policy has diverged")
    return table


def _uniform_actions(data: bytes, agents: int, action_size: int) -> NDArray[np.float32] | None:
    """The actions, if every item has the layout in which the stock client writes them, else None.

    It writes each action twice (`vector_actions_deprecated` 1, `continuous_actions` 6), so that all items are equally
    long and begin their numbers at the same place.
    """
    numbers = bytes(4 * action_size)
    item = np.frombuffer(_message(1, _message(1, numbers) + _message(6, numbers)), np.uint8)
    if len(data) != agents * len(item):
        return None
    table = np.frombuffer(data, np.uint8).reshape(agents, len(item))
    block = len(_message(6, numbers))
    framing = np.ones(len(item), bool)
    for end in (len(item) - block, len(item)):
        framing[end - len(numbers) : end] = False
    if not (table[:, framing] == item[framing]).all():
        return None
    return np.ascontiguousarray(table[:, len(item) - len(numbers) :]).view("<f4")


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _message(field: int, content: bytes) -> bytes:
    """A length-delimited field: a message, a string, bytes or packed numbers."""
    return _tag(field, 2) + _varint(len(content)) + content


def _integer(field: int, value: int) -> bytes:
    return _tag(field, 0) + _varint(value)


def _varint(value: int) -> bytes:
    """Protobuf's variable-length integer: seven bits per byte, lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fixed_varint(value: int) -> bytes:
    """A varint padded to five bytes, so that every int32 takes the same room; readers accept the padding."""
    return bytes(value >> 7 * place & 0x7F | (0x80 if place < 4 else 0) for place in range(5))


def _varint_columns(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """`_fixed_varint` of many values, `[count, 5]`."""
    places = np.arange(5)
    return ((values[:, None] >> 7 * places & 0x7F) | np.where(places < 4, 0x80, 0)).astype(np.uint8)


def _as_bytes(values: NDArray[Any], dtype: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Numbers as rows of bytes."""
    return np.ascontiguousarray(values, dtype).reshape(shape).view(np.uint8)
