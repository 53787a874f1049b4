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
from companion.mlagents.stock import ActionTuple, UnityMessageProto

API_VERSION = "1.5.0"
MESSAGE_LIMIT = 4 * 1024 * 1024
"""gRPC's default limit for what a server receives, bytes; the stock client does not raise it."""
_OK = 200


@dataclass(frozen=True)
class Behavior:
    """One behaviour as it is announced to a trainer: a vector observation and its actions."""

    name: str
    """ML-Agents' full name, `Name?team=0`."""
    observation_size: int
    action_size: int
    """Columns of an action: continuous ones, then one per discrete branch."""
    observation_name: str = "observation"
    action_names: tuple[str, ...] = ()
    discrete_branches: tuple[int, ...] = ()
    """Choices of each branch."""


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
        table[:, self._reward] = _as_bytes(agents.reward[:, None], "<f4")
        table[:, self._done] = agents.done
        table[:, self._max_step] = agents.max_step_reached
        table[:, self._id] = _varint_columns(agents.id, 5)
        table[:, self._data] = _as_bytes(agents.observation, "<f4")
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
        parameters.action_spec.num_continuous_actions = behavior.action_size - len(behavior.discrete_branches)
        parameters.action_spec.num_discrete_actions = len(behavior.discrete_branches)
        parameters.action_spec.discrete_branch_sizes.extend(behavior.discrete_branches)
        parameters.action_spec.action_descriptions.extend(behavior.action_names)
    return message.unity_output.SerializeToString()


def output(records: Mapping[str, bytes], side_channel: bytes = b"", announced: bytes = b"") -> bytes:
    """One message to the trainer: each behaviour's agent records, side channel bytes, and new behaviours if any."""
    rl_output = [_message(2, _message(1, name.encode()) + _message(2, data)) for name, data in records.items()]
    rl_output.append(_message(3, side_channel))
    return _message(1, _integer(1, _OK)) + _message(2, _message(1, b"".join(rl_output)) + announced)


def step_input(actions: Mapping[str, ActionTuple]) -> bytes:
    """A UnityInput that holds each behaviour's actions, one row per agent, as the stock client writes them."""
    return _message(1, b"".join(_behavior_actions(name, action) for name, action in actions.items()))


def _behavior_actions(name: str, action: ActionTuple) -> bytes:
    continuous, discrete = action.continuous, action.discrete
    width = _varint_width(int(discrete.max(initial=0)))
    item = _ActionItem(continuous.shape[1], discrete.shape[1], width)
    rows = np.empty((len(continuous), len(item.template)), np.uint8)
    rows[:] = item.template
    rows[:, item.repeated] = _as_bytes(np.concatenate((continuous, discrete), axis=1), "<f4")
    rows[:, item.continuous] = _as_bytes(continuous, "<f4")
    rows[:, item.discrete] = _varint_columns(discrete, width).reshape(len(rows), -1)
    return _message(1, _message(1, name.encode()) + _message(2, rows.tobytes()))


class _ActionItem:
    """The bytes of one agent's action in the stock client's order, and where its numbers stand in them.

    It writes each action twice: all numbers as floats (`vector_actions_deprecated` 1), then the continuous ones
    (`continuous_actions` 6) and the discrete ones (`discrete_actions` 7, here varints of one width).
    """

    def __init__(self, continuous: int, discrete: int, width: int = 1) -> None:
        sizes = (4 * (continuous + discrete), 4 * continuous, width * discrete)
        fields = [_message(field, bytes(size)) if size else b"" for field, size in zip((1, 6, 7), sizes, strict=True)]
        content = b"".join(fields)
        item = _message(1, content)
        self.template = np.frombuffer(item, np.uint8)
        ends = len(item) - len(content) + np.cumsum([len(field) for field in fields])
        self.repeated, self.continuous, self.discrete = (
            slice(int(end) - size, int(end)) for end, size in zip(ends, sizes, strict=True)
        )


def actions(listed: Any, agents: int, action_size: int, branches: tuple[int, ...] = ()) -> NDArray[np.float32]:
    """The actions `[agents, action_size]` of a ListAgentActionProto: continuous ones, then the number of each branch.

    Raises:
        WireError: if there are not as many agents or numbers as decisions were asked for, or a number is not finite
            or no choice of its branch.
    """
    values = listed.value
    if len(values) != agents:
        raise WireError(f"{len(values)} actions came for {agents} agents that asked for a decision")
    continuous = action_size - len(branches)
    table = _uniform_actions(listed.SerializeToString(), agents, continuous, len(branches))
    if table is None:
        _check_count("continuous", [len(value.continuous_actions) for value in values], continuous)
        _check_count("discrete", [len(value.discrete_actions) for value in values], len(branches))
        rows = [[*value.continuous_actions, *value.discrete_actions] for value in values]
        table = np.array(rows, np.float32).reshape(agents, action_size)
    if not np.isfinite(table).all():
        agent, entry = np.argwhere(~np.isfinite(table))[0]
        raise WireError(f"action {entry} of agent {agent} is {table[agent, entry]}; the trainer's policy has diverged")
    for branch, choices in enumerate(branches):
        chosen = table[:, continuous + branch]
        wrong = (chosen < 0) | (chosen >= choices)
        if wrong.any():
            raise WireError(f"choice {chosen[wrong][0]:g} came for branch {branch}, which has 0 to {choices - 1}")
    return table


def _check_count(kind: str, counts: list[int], expected: int) -> None:
    wrong = next((count for count in counts if count != expected), None)
    if wrong is not None:
        raise WireError(f"an action has {wrong} {kind} numbers, this behaviour has {expected}")


def _uniform_actions(data: bytes, agents: int, continuous: int, discrete: int) -> NDArray[np.float32] | None:
    """The actions, if every item has the layout in which the stock client writes them, else None."""
    item = _ActionItem(continuous, discrete)
    if len(data) != agents * len(item.template):
        return None
    table = np.frombuffer(data, np.uint8).reshape(agents, len(item.template))
    framing = np.ones(len(item.template), bool)
    for numbers in (item.repeated, item.continuous, item.discrete):
        framing[numbers] = False
    chosen = table[:, item.discrete]
    if not (table[:, framing] == item.template[framing]).all() or (chosen > 0x7F).any():
        return None
    found = np.ascontiguousarray(table[:, item.continuous]).view("<f4")
    return np.concatenate((found, chosen), axis=1, dtype=np.float32) if discrete else found


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


def _varint_columns(values: NDArray[Any], width: int) -> NDArray[np.uint8]:
    """Varints of many values, padded to `width` bytes each, `[..., width]`."""
    places = np.arange(width)
    return ((values[..., None] >> 7 * places & 0x7F) | np.where(places < width - 1, 0x80, 0)).astype(np.uint8)


def _varint_width(largest: int) -> int:
    """Bytes that a varint of this value takes."""
    return max(1, -(-largest.bit_length() // 7))


def _as_bytes(values: NDArray[Any], dtype: str) -> NDArray[np.uint8]:
    """The rows of a table of numbers `[rows, n]` as bytes `[rows, n * size]`."""
    return np.ascontiguousarray(values, dtype).view(np.uint8).reshape(len(values), -1)
