"""An ONNX file read with numpy alone: the few protobuf messages that a policy's network is made of.

The numbers of fields and types are those of `onnx.proto` in ONNX 1.10 (github.com/onnx/onnx); the bytes between them
are protobuf's wire format (protobuf.dev/programming-guides/encoding).
"""

# ruff: noqa: UP006, UP007, UP035 (Python 3.8)
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from companion.deploy.engines import Door, EngineError

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
"""Protobuf's wire types."""
FLOAT, STRING, TENSOR, FLOATS, INT, INTS = 1, 3, 4, 6, 2, 7
"""AttributeProto.AttributeType."""
TYPES = {1: "f4", 2: "u1", 3: "i1", 6: "i4", 7: "i8", 9: "?", 11: "f8"}
"""TensorProto.DataType, as far as it is read."""

Value = Union[int, bytes]
Message = Dict[int, List[Value]]


@dataclass(frozen=True)
class Node:
    """One operation."""

    operator: str
    inputs: Tuple[str, ...]
    """An optional one that is left out is ""."""
    outputs: Tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class OnnxFile:
    """What stands in the file."""

    ir_version: int
    opset: int
    """Of ONNX' own operators."""
    domains: Tuple[str, ...]
    """Of operators that are not ONNX' own."""
    inputs: Tuple[Door, ...]
    outputs: Tuple[Door, ...]
    constants: Mapping[str, NDArray[Any]]
    nodes: Tuple[Node, ...]
    """In the order in which they are computed."""
    metadata: Mapping[str, str]


def read(model: bytes) -> OnnxFile:
    """The network and what is beside it.

    Raises:
        EngineError: if this is not a whole ONNX file, or has tensors of a type, or in a place, that is not read here.
    """
    try:
        return _model(_message(model))
    except EngineError:
        raise
    except (ValueError, TypeError, AttributeError, OverflowError) as error:  # a field of another kind than it should be
        raise EngineError(f"a damaged field: {error}") from None


def _model(found: Message) -> OnnxFile:
    graph = _message(_one(found, 7, b""))
    if not graph:
        raise EngineError("there is no graph in it")
    constants = [_message(entry) for entry in graph.get(5, [])]
    opsets = {_text(entry, 1): _signed(_one(entry, 2, 0)) for entry in map(_message, found.get(8, []))}
    names = {_text(entry, 8) for entry in constants}
    inputs = tuple(_door(_message(entry)) for entry in graph.get(11, []))
    return OnnxFile(
        ir_version=_signed(_one(found, 1, 0)),
        opset=opsets.pop("", opsets.pop("ai.onnx", 0)),
        domains=tuple(sorted(opsets)),
        inputs=tuple(door for door in inputs if door.name not in names),
        outputs=tuple(_door(_message(entry)) for entry in graph.get(12, [])),
        constants={_text(entry, 8): _tensor(entry) for entry in constants},
        nodes=tuple(_node(_message(entry)) for entry in graph.get(1, [])),
        metadata={_text(entry, 1): _text(entry, 2) for entry in map(_message, found.get(14, []))},
    )


def _node(found: Message) -> Node:
    return Node(
        operator=_text(found, 4),
        inputs=tuple(_decoded(name) for name in found.get(1, [])),
        outputs=tuple(_decoded(name) for name in found.get(2, [])),
        attributes={_text(entry, 1): _attribute(entry) for entry in map(_message, found.get(5, []))},
    )


def _attribute(found: Message) -> Any:
    kind = _one(found, 20, 0)
    if kind == FLOAT:
        return float(np.frombuffer(_one(found, 2, b"\0\0\0\0"), "<f4")[0])
    if kind == INT:
        return _signed(_one(found, 3, 0))
    if kind == STRING:
        return _text(found, 4)
    if kind == TENSOR:
        return _tensor(_message(_one(found, 5, b"")))
    if kind == FLOATS:
        return _numbers(found, 7, "<f4").tolist()
    if kind == INTS:
        return _whole_numbers(found, 8)
    raise EngineError(f"the attribute '{_text(found, 1)}' is of a kind ({kind}) that is not read here")


def _tensor(found: Message) -> NDArray[Any]:
    kind, shape = _one(found, 2, 0), _whole_numbers(found, 1)
    if kind not in TYPES:
        raise EngineError(f"a tensor is of a type ({kind}) that is not read here")
    if _one(found, 14, 0):
        raise EngineError("a tensor lies in another file")
    data_type = np.dtype(TYPES[kind]).newbyteorder("<")
    raw = _one(found, 9, b"")
    if raw:
        values = np.frombuffer(raw, data_type)
    elif TYPES[kind] in ("f4", "f8"):
        values = _numbers(found, 4 if kind == 1 else 10, data_type.str)
    else:
        values = np.array(_whole_numbers(found, 7 if kind == 7 else 5))
    if any(size < 0 for size in shape) or values.size != int(np.prod(shape, dtype=object)):
        raise EngineError(f"a tensor of shape {shape} has {values.size} entries")
    return values.astype(np.dtype(TYPES[kind])).reshape(shape)


def _door(found: Message) -> Door:
    tensor = _message(_one(_message(_one(found, 2, b"")), 1, b""))
    sizes = [_message(entry) for entry in _message(_one(tensor, 2, b"")).get(1, [])]
    shape = tuple(_signed(_one(size, 1, 0)) if 1 in size else _text(size, 2) or None for size in sizes)
    return Door(_text(found, 1), _one(tensor, 1, 0) == 1, shape)


# --- protobuf ---


def _message(data: Value) -> Message:
    """The values of each field, by its number."""
    found: Message = {}
    for number, value in _fields(_expect_bytes(data)):
        found.setdefault(number, []).append(value)
    return found


def _fields(data: bytes) -> Iterator[Tuple[int, Value]]:
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if wire == BYTES:
            size, place = _varint(data, place)
        elif wire in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if wire == EIGHT_BYTES else 4
        else:
            raise EngineError("not protobuf")
        if not number or place + size > len(data):
            raise EngineError("it is cut off, or not protobuf")
        yield number, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> Tuple[int, int]:
    """The number that begins there, and the place after it."""
    value = 0
    for count in range(10):
        if place + count >= len(data):
            raise EngineError("it is cut off, or not protobuf")
        value |= (data[place + count] & 0x7F) << (7 * count)
        if data[place + count] < 0x80:
            return value, place + count + 1
    raise EngineError("not protobuf")


def _one(found: Message, number: int, default: Any) -> Any:
    """A field that is there once at most: the last one counts, and it is of the default's type."""
    value = found.get(number, [default])[-1]
    if type(value) is not type(default):
        raise EngineError(f"field {number} is no {type(default).__name__}")
    return value


def _text(found: Message, number: int) -> str:
    return _decoded(_one(found, number, b""))


def _decoded(value: Value) -> str:
    return _expect_bytes(value).decode("utf-8")


def _expect_bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise EngineError("a number stands where something longer should")
    return value


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _whole_numbers(found: Message, number: int) -> List[int]:
    """A repeated field, packed or not."""
    values: List[int] = []
    for value in found.get(number, []):
        if isinstance(value, int):
            values.append(_signed(value))
            continue
        place = 0
        while place < len(value):
            one, place = _varint(value, place)
            values.append(_signed(one))
    return values


def _numbers(found: Message, number: int, data_type: str) -> NDArray[Any]:
    """A repeated field of floats, packed or not."""
    parts: Sequence[bytes] = [_expect_bytes(value) for value in found.get(number, [])]
    return np.frombuffer(b"".join(parts), data_type)
