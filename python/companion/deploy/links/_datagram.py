"""The udp link's format: datagrams, sealed with a key and opened once only. docs/udp.md has the byte table.

A datagram is a fixed header of 32 bytes, a payload, and a tag of 16 bytes: the first half of the HMAC-SHA256 over all
that stands before. A session begins with a nonce from either side and has a key of its own, so that nothing recorded
in one session is worth anything in another.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from companion.deploy.link import Interface, Quantity

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = b"Cp"
VERSION = 1
HELLO, WELCOME, HERE, MEASUREMENT, COMMAND, STOP = 1, 2, 3, 4, 5, 6
HEADER = struct.Struct("<2sBBHHQIHHq")
"""Magic, version, kind, quantity, first entry, session, sequence, payload bytes, zero, stamp in microseconds."""
TAG_BYTES = 16
NONCE_BYTES = 16
LEAST_KEY_BYTES = 16
MOST_ENTRIES = 256
"""Of a quantity in one datagram; a longer one travels in parts. The largest datagram is 1072 bytes, within any MTU."""
MOST_PAYLOAD_BYTES = 4 * MOST_ENTRIES
MOST_DATAGRAM_BYTES = HEADER.size + MOST_PAYLOAD_BYTES + TAG_BYTES
WINDOW = 64
"""Datagrams may overtake each other by less than this."""
REASONS = (
    "short", "long", "magic", "version", "kind", "size", "session", "tag", "replayed",
    "late", "quantity", "part", "not_finite", "held", "nonce",
)  # fmt: skip
"""Why a datagram was not taken."""
MOST_PER_READ = 512
"""Datagrams looked at in one call: who floods the port delays the runtime by no more than that."""
ROLES = ("runtime", "watchdog")
"""Who asks for a session; a robot keeps one for each, so that a watchdog gets through beside a runtime."""


class RefusedError(ValueError):
    """A datagram that is not taken; its only argument is one of `REASONS`."""


@dataclass(frozen=True)
class Datagram:
    """The fields of one datagram."""

    kind: int
    quantity: int = 0
    """Row of the table that the robot gave in its WELCOME; 0 where none is meant."""
    first: int = 0
    """Which of the quantity's entries the payload begins with."""
    session: int = 0
    """0 in HELLO and WELCOME."""
    sequence: int = 0
    """Counts what one side sent in a session, from 1; 0 in HELLO and WELCOME."""
    stamp_us: int = 0
    """When it was measured or commanded, by the sender's clock, microseconds."""
    payload: bytes = b""

    def sealed(self, key: bytes) -> bytes:
        """The bytes that go on the wire."""
        header = HEADER.pack(
            MAGIC, VERSION, self.kind, self.quantity, self.first,
            self.session, self.sequence, len(self.payload), 0, self.stamp_us,
        )  # fmt: skip
        return header + self.payload + _tag(key, header + self.payload)


def parse(data: bytes) -> Datagram:
    """The fields of received bytes; nothing in them is to be trusted before `check_tag`.

    Raises:
        RefusedError: if they are no datagram of ours.
    """
    if len(data) < HEADER.size + TAG_BYTES:
        raise RefusedError("short")
    if len(data) > MOST_DATAGRAM_BYTES:
        raise RefusedError("long")
    magic, version, kind, quantity, first, session, sequence, size, zero, stamp_us = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise RefusedError("magic")
    if version != VERSION:
        raise RefusedError("version")
    if not HELLO <= kind <= STOP:
        raise RefusedError("kind")
    if zero or size != len(data) - HEADER.size - TAG_BYTES or (size and kind in (HERE, STOP)):
        raise RefusedError("size")
    return Datagram(kind, quantity, first, session, sequence, stamp_us, data[HEADER.size : -TAG_BYTES])


def check_tag(data: bytes, key: bytes) -> None:
    """Pass what was sealed with this key.

    Raises:
        RefusedError: all else.
    """
    if not hmac.compare_digest(_tag(key, data[:-TAG_BYTES]), data[-TAG_BYTES:]):
        raise RefusedError("tag")


def _tag(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()[:TAG_BYTES]


class ReplayWindow:
    """Lets each sequence number through once, none that is `WINDOW` or more behind the greatest (RFC 4303, 3.4.3)."""

    def __init__(self) -> None:
        self._greatest = 0
        self._seen = 0
        """Bit n: the number n below the greatest was taken."""

    def take(self, sequence: int) -> None:
        """Mark the number as taken.

        Raises:
            RefusedError: if it was before, or is too far behind to tell.
        """
        behind = self._greatest - sequence
        if sequence < 1 or behind >= WINDOW or (behind >= 0 and self._seen >> behind & 1):
            raise RefusedError("replayed")
        if behind < 0:
            self._seen = (self._seen << min(-behind, WINDOW) | 1) & (1 << WINDOW) - 1
            self._greatest = sequence
        else:
            self._seen |= 1 << behind


class Session:
    """One side's end of a session: numbers and seals what goes out, opens what comes in, each only once."""

    def __init__(self, shared_key: bytes, client_nonce: bytes, robot_nonce: bytes) -> None:
        self.number = session_number(robot_nonce)
        self._key = session_key(shared_key, client_nonce, robot_nonce)
        self._window = ReplayWindow()
        self._sent = 0

    def seal(self, kind: int, stamp_s: float, payload: bytes = b"", quantity: int = 0, first: int = 0) -> bytes:
        """The bytes of the next datagram."""
        self._sent += 1
        stamp_us = round(stamp_s * 1e6)
        return Datagram(kind, quantity, first, self.number, self._sent, stamp_us, payload).sealed(self._key)

    def check(self, data: bytes, datagram: Datagram) -> None:
        """Pass what the other side sealed and has not come before.

        Raises:
            RefusedError: all else.
        """
        check_tag(data, self._key)
        self._window.take(datagram.sequence)


def session_number(robot_nonce: bytes) -> int:
    """What stands in the header of a session's datagrams: the first 8 bytes of the robot's nonce, little-endian."""
    return int.from_bytes(robot_nonce[:8], "little")


def session_key(shared_key: bytes, client_nonce: bytes, robot_nonce: bytes) -> bytes:
    """A session's own key, 32 bytes."""
    return hmac.new(shared_key, b"companion udp session" + client_nonce + robot_nonce, hashlib.sha256).digest()


@dataclass(frozen=True)
class Row:
    """One row of the table that a robot gives in its WELCOME."""

    is_command: bool
    quantity: Quantity


def table_of(interface: Interface) -> tuple[Row, ...]:
    """What the robot measures, the optional part too, then what it takes."""
    measured = (*interface.measured, *interface.optional)
    return (*(Row(False, quantity) for quantity in measured), Row(True, interface.command))


def table_bytes(rows: tuple[Row, ...]) -> bytes:
    """How many rows, then of each: 0 measured or 1 commanded, entries (2 bytes), name and unit with their lengths."""
    parts = [bytes((len(rows),))]
    for row in rows:
        name, unit = row.quantity.name.encode(), row.quantity.unit.encode()
        parts.append(
            struct.pack("<BHB", row.is_command, row.quantity.size, len(name)) + name + bytes((len(unit),)) + unit
        )
    return b"".join(parts)


def table_from_bytes(data: bytes) -> tuple[Row, ...]:
    """What `table_bytes` wrote.

    Raises:
        ValueError: if it is none.
    """
    rows, place = [], 1
    try:
        for _ in range(data[0]):
            is_command, size = struct.unpack_from("<BH", data, place)
            name, place = _text(data, place + 3)
            unit, place = _text(data, place)
            rows.append(Row(bool(is_command), Quantity(name, size, unit)))
    except (IndexError, struct.error, UnicodeDecodeError):
        raise ValueError("the robot's table of quantities is torn") from None
    if place != len(data):
        raise ValueError("the robot's table of quantities has something behind it")
    return tuple(rows)


def _text(data: bytes, place: int) -> tuple[str, int]:
    end = place + 1 + data[place]
    if end > len(data):
        raise IndexError
    return data[place + 1 : end].decode(), end


def parts_of(values: NDArray[Any]) -> list[tuple[int, bytes]]:
    """First entry and payload of each datagram that a quantity's values `[size]` travel in."""
    rounded = as_float32(values)
    return [(first, rounded[first : first + MOST_ENTRIES].tobytes()) for first in range(0, len(rounded), MOST_ENTRIES)]


def as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """As they travel; what is too large for a float32 becomes infinite, which nobody takes for a number."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, "<f4")


class Gathered:
    """Puts the parts of one quantity together; sequence numbers of parts of one measurement follow each other."""

    def __init__(self, size: int) -> None:
        self._values = np.zeros(size)
        self._missing: set[int] = set()
        self._begun = self._done = 0

    def add(self, datagram: Datagram) -> NDArray[np.float64] | None:
        """The values `[size]` where this part was the last one missing.

        Raises:
            RefusedError: if it is older than what has come, or no part of this quantity.
        """
        number, offset = divmod(datagram.first, MOST_ENTRIES)
        wanted = min(MOST_ENTRIES, len(self._values) - datagram.first)
        if offset or wanted <= 0 or len(datagram.payload) != 4 * wanted:
            raise RefusedError("part")
        begun = datagram.sequence - number
        if begun < max(self._begun, self._done + 1):
            raise RefusedError("late")
        if begun > self._begun:
            self._begun, self._missing = begun, set(range(0, len(self._values), MOST_ENTRIES))
        self._values[datagram.first : datagram.first + wanted] = np.frombuffer(datagram.payload, "<f4")
        self._missing.discard(datagram.first)
        if self._missing:
            return None
        self._done = self._begun
        return self._values.copy()


def waiting(door: socket.socket) -> list[tuple[bytes, Any]]:
    """What waits at a socket, and from where; if nothing does, no longer than its own timeout."""
    found: list[tuple[bytes, Any]] = []
    for _ in range(MOST_PER_READ):
        one = _next(door)
        door.setblocking(False)
        if one is None:
            break
        found += [one] if one[1] is not None else []
    return found


def _next(door: socket.socket) -> tuple[bytes, Any] | None:
    """A datagram and where it is from, nowhere where it is word that nobody listens there; None if nothing waits."""
    try:
        return door.recvfrom(MOST_DATAGRAM_BYTES + 1)
    except (BlockingIOError, socket.timeout):  # noqa: UP041 (Python 3.8 has no other name for it)
        return None
    except ConnectionRefusedError:
        return b"", None
