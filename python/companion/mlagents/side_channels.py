"""The side channels of ML-Agents as a player sees them: parameters and engine settings come in, statistics go out.

Layout (mlagents_envs/side_channel, `SideChannelManager.cs`): repeated [16-byte channel id, little-endian GUID]
[int32 length][payload], all little-endian; a string is [int32 length][ASCII].
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from companion.mlagents import samplers
from companion.mlagents.samplers import Draw

ENVIRONMENT_PARAMETERS = UUID("534c891e-810f-11ea-a9d0-822485860400")
ENGINE_CONFIGURATION = UUID("e951342c-4f7e-11ea-b238-784f4387d1f7")
STATS = UUID("a1d8f7b7-cec8-50f9-b78b-d3e165a78520")
TRAINING_ANALYTICS = UUID("b664a4a9-d86f-5a5f-95cb-e8353a7e8356")
FLOAT_PROPERTIES = UUID("60ccf7d0-4f7e-11ea-b238-784f4387d1f7")


class WireError(ValueError):
    """Bytes that no ML-Agents trainer would send; says which and what was expected."""


class Aggregation(IntEnum):
    """How a trainer combines the values of one statistic within a summary period."""

    AVERAGE = 0
    MOST_RECENT = 1
    SUM = 2
    HISTOGRAM = 3


@dataclass(frozen=True)
class EngineConfiguration:
    """What a trainer asked of a Unity engine; a player without a screen notes it and goes on at full speed."""

    width: int | None = None
    """Window width, pixels."""
    height: int | None = None
    """Window height, pixels."""
    quality_level: int | None = None
    time_scale: float | None = None
    """Simulated seconds per real second; has no effect here, decisions never wait for a clock."""
    target_frame_rate: int | None = None
    """Frames per second, -1 for unlimited."""
    capture_frame_rate: int | None = None
    """Frames per simulated second."""


class Reader:
    """Takes one payload apart."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._offset = 0

    def int32(self) -> int:
        return struct.unpack("<i", self._take(4))[0]

    def float32(self) -> float:
        return struct.unpack("<f", self._take(4))[0]

    def string(self) -> str:
        raw = self._take(self.int32())
        try:
            return raw.decode("ascii")
        except UnicodeDecodeError:
            raise WireError(f"a side channel string is not ASCII: {raw[:40]!r}") from None

    def float32_list(self) -> list[float]:
        count = self.int32()
        if count < 0:
            raise WireError(f"a side channel list of {count} numbers")
        return [float(value) for value in np.frombuffer(self._take(4 * count), "<f4")]

    def _take(self, size: int) -> bytes:
        end = self._offset + size
        if size < 0 or end > len(self._payload):
            raise WireError(f"a side channel message of {len(self._payload)} bytes ends too early")
        taken, self._offset = self._payload[self._offset : end], end
        return taken


def split(data: bytes) -> Iterator[tuple[UUID, bytes]]:
    """The (channel, payload) pairs of one message's side channel bytes.

    Raises:
        WireError: if the bytes end in the middle of one.
    """
    offset = 0
    while offset < len(data):
        if offset + 20 > len(data):
            raise WireError(f"the side channel bytes end {offset + 20 - len(data)} bytes before a header is complete")
        channel = UUID(bytes_le=data[offset : offset + 16])
        (length,) = struct.unpack_from("<i", data, offset + 16)
        offset += 20
        if not 0 <= length <= len(data) - offset:
            raise WireError(f"side channel {channel} announces {length} bytes, {len(data) - offset} are there")
        yield channel, data[offset : offset + length]
        offset += length


def environment_parameter(payload: bytes) -> tuple[str, Draw]:
    """The name of an environment parameter, and what draws its values (a plain float draws itself).

    Raises:
        WireError: on an unknown kind, a number that is not finite, or missing bytes.
    """
    reader = Reader(payload)
    name = reader.string()
    kind = reader.int32()
    if kind == 0:
        return name, samplers.constant(_finite(reader.float32(), name))
    if kind != 1:
        raise WireError(f"environment parameter '{name}' is of kind {kind}; known are 0 (float) and 1 (sampler)")
    return name, _sampler(name, reader)


def _sampler(name: str, reader: Reader) -> Draw:
    seed, kind = reader.int32(), reader.int32()
    if kind == 0:
        return samplers.uniform(_finite(reader.float32(), name), _finite(reader.float32(), name), seed)
    if kind == 1:
        return samplers.gaussian(_finite(reader.float32(), name), _finite(reader.float32(), name), seed)
    if kind == 2:
        return samplers.multi_range_uniform([_finite(value, name) for value in reader.float32_list()], seed)
    raise WireError(
        f"environment parameter '{name}' has sampler kind {kind}; "
        "known are 0 (uniform), 1 (gaussian) and 2 (multirangeuniform)"
    )


def _finite(value: float, name: str) -> float:
    if not np.isfinite(value):
        raise WireError(f"environment parameter '{name}' holds {value}, which is not a number")
    return value


def engine_configuration(payload: bytes, known: EngineConfiguration) -> EngineConfiguration:
    """What is known of the engine settings after one more message.

    Raises:
        WireError: on an unknown setting or missing bytes.
    """
    reader = Reader(payload)
    kind = reader.int32()
    if kind == 0:
        return replace(known, width=reader.int32(), height=reader.int32())
    if kind == 1:
        return replace(known, quality_level=reader.int32())
    if kind == 2:
        return replace(known, time_scale=reader.float32())
    if kind == 3:
        return replace(known, target_frame_rate=reader.int32())
    if kind == 4:
        return replace(known, capture_frame_rate=reader.int32())
    raise WireError(f"engine configuration message of kind {kind}; known are 0 to 4")


def float_property(payload: bytes) -> tuple[str, float]:
    """The key and value of a message on the float properties channel."""
    reader = Reader(payload)
    return reader.string(), reader.float32()


def statistics(values: Mapping[str, NDArray[np.float32]], aggregation: Aggregation = Aggregation.AVERAGE) -> bytes:
    """Side channel bytes that carry every value under its key, the values of a key in their order."""
    return b"".join(
        record.tobytes()
        for key, column in values.items()
        if len(column)
        for record in (_stat(key, column, aggregation),)
    )


def statistics_size(keys: list[str]) -> int:
    """Bytes of one value under each of these keys."""
    return sum(32 + len(key) for key in keys)


def _stat(key: str, column: NDArray[np.float32], aggregation: Aggregation) -> NDArray[np.void]:
    """One message per value, as records of equal size."""
    name = key.encode("ascii", "replace")
    prefix = STATS.bytes_le + struct.pack("<ii", 12 + len(name), len(name)) + name
    layout = np.dtype([("prefix", f"V{len(prefix)}"), ("value", "<f4"), ("aggregation", "<i4")])
    records = np.empty(len(column), layout)
    records["prefix"] = np.void(prefix)
    records["value"] = column
    records["aggregation"] = int(aggregation)
    return records
