"""udp: datagrams for microcontrollers, sealed with a shared key and taken once only. docs/udp.md has the byte table.

`UdpLink` is the runtime's end, `UdpRobot` the robot's.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Mapping  # noqa: UP035 (the edge bundle runs on Python 3.8)

import numpy as np

from companion.deploy.link import Interface, LinkLost, Measurement
from companion.deploy.links._datagram import (
    COMMAND,
    HELLO,
    HERE,
    LEAST_KEY_BYTES,
    MEASUREMENT,
    NONCE_BYTES,
    ROLES,
    STOP,
    WELCOME,
    Datagram,
    Gathered,
    RefusedError,
    Row,
    Session,
    as_float32,
    check_tag,
    parse,
    table_from_bytes,
    table_of,
    waiting,
)
from companion.deploy.links._udp_robot import UdpRobot

if TYPE_CHECKING:
    from numpy.typing import NDArray

PORT = 7447
HELLO_EVERY_S = 0.25
"""A runtime that hears nothing asks anew this often: the robot may have restarted."""
HERE_EVERY_S = 0.5
"""A runtime that sends no commands tells so often that it is there."""


@dataclass(frozen=True)
class Settings:
    """Where the robot is, and the key that it shares."""

    host: str
    """The robot's address."""
    key_file: str
    """A file with the shared key: at least 16 bytes, as hexadecimal digits."""
    port: int = PORT
    connect_timeout_s: float = 3.0
    """How long to wait for the robot's first answer, in seconds."""
    lost_after_s: float = 3.0
    """The link counts as lost after so long a silence, in seconds."""


def read_key(path: str | os.PathLike[str]) -> bytes:
    """The shared key in a file.

    Raises:
        ValueError: if there is none, or it is too short.
        OSError: if the file can't be read.
    """
    try:
        key = bytes.fromhex(Path(path).read_text(encoding="ascii").strip())
    except (UnicodeDecodeError, ValueError):
        raise ValueError(f"{path}: the key must be hexadecimal digits") from None
    if len(key) < LEAST_KEY_BYTES:
        raise ValueError(f"{path}: the key has {len(key)} bytes; it needs at least {LEAST_KEY_BYTES}")
    return key


def connect(
    interface: Interface, settings: Settings, clock: Callable[[], float] = time.monotonic, role: str = "runtime"
) -> UdpLink:
    """A link that the robot has welcomed.

    Raises:
        LinkLost: if it does not answer in time.
        ValueError: if the key is no good, or the robot measures or takes something else.
    """
    link = UdpLink(interface, settings, clock, role)
    try:
        link.wait_for_welcome()
    except BaseException:
        link.close()
        raise
    return link


class UdpLink:
    """The runtime's end. What comes in from anywhere else, or a second time, is counted in `refused` by its reason."""

    def __init__(
        self,
        interface: Interface,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        role: str = "runtime",
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._interface, self._settings, self._clock, self._role = interface, settings, clock, ROLES.index(role)
        self._key = read_key(settings.key_file)
        self._socket = _connected(settings.host, settings.port)
        self._measured: dict[str, Measurement] = {}
        self._session: Session | None = None
        self._names: dict[int, str] = {}
        self._gathered: dict[int, Gathered] = {}
        self._command_row = 0
        self._nonce = b""
        self._heard_s = self._said_s = clock()
        self._asked_s = -HELLO_EVERY_S

    def wait_for_welcome(self) -> None:
        """Return once there is a session.

        Raises:
            LinkLost: if there is none in time.
            ValueError: if the robot measures or takes something else.
        """
        began_s = time.monotonic()
        while self._session is None:
            if time.monotonic() - began_s > self._settings.connect_timeout_s:
                raise LinkLost(
                    f"no robot answered at {self._peer} within {self._settings.connect_timeout_s:g} s;"
                    " does it run, and has it the same key?"
                )
            self._keep_in_touch()
            self._socket.settimeout(0.02)
            self._receive()

    def read(self) -> Mapping[str, Measurement]:
        """The newest measurement of every quantity that has come in so far, by its name; never waits."""
        self._receive()
        self._keep_in_touch()
        silent_s = self._clock() - self._heard_s
        if silent_s > self._settings.lost_after_s:
            raise LinkLost(f"nothing came from {self._peer} for {silent_s:.1f} s")
        return dict(self._measured)

    def send(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        """Send a command `[entries]`; it goes as float32, and in one datagram."""
        if command.shape != (self._interface.command.size,):
            raise ValueError(f"the command has shape {command.shape}, expected ({self._interface.command.size},)")
        rounded = as_float32(command)
        self._say(COMMAND, rounded.tobytes(), self._command_row)
        return rounded.astype(np.float64)

    def stop(self) -> None:
        """Stop the robot at once; it takes no command from anybody for half a second."""
        self._say(STOP)

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    @property
    def _peer(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    def _say(self, kind: int, payload: bytes = b"", quantity: int = 0) -> None:
        if self._session is None:
            raise LinkLost(f"there is no session with {self._peer}")
        self._said_s = self._clock()
        self._put(self._session.seal(kind, self._said_s, payload, quantity))

    def _put(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except (BlockingIOError, ConnectionRefusedError):
            pass  # a full buffer loses a datagram as the air does; whether anybody is there, their silence tells
        except OSError as error:
            raise LinkLost(f"{self._peer}: {error.strerror}") from None

    def _keep_in_touch(self) -> None:
        now_s = self._clock()
        is_silent = self._session is None or now_s - self._heard_s > HELLO_EVERY_S
        if is_silent and now_s - self._asked_s >= HELLO_EVERY_S:
            self._asked_s = now_s
            self._nonce = self._nonce or os.urandom(NONCE_BYTES)
            payload = self._nonce + bytes((self._role,))
            self._put(Datagram(HELLO, stamp_us=round(now_s * 1e6), payload=payload).sealed(self._key))
        if self._session is not None and now_s - self._said_s >= HERE_EVERY_S:
            self._say(HERE)

    def _receive(self) -> None:
        for data, _ in waiting(self._socket):
            self._take_or_count(data)

    def _take_or_count(self, data: bytes) -> None:
        try:
            self._take(data)
        except RefusedError as reason:
            self.refused[str(reason)] += 1

    def _take(self, data: bytes) -> None:
        datagram = parse(data)
        if datagram.kind == WELCOME:
            self._take_welcome(data, datagram)
        elif datagram.kind != MEASUREMENT:
            raise RefusedError("kind")
        elif self._session is None or datagram.session != self._session.number:
            raise RefusedError("session")
        else:
            self._session.check(data, datagram)
            self._heard_s = self._clock()
            self._take_measurement(datagram)

    def _take_welcome(self, data: bytes, datagram: Datagram) -> None:
        check_tag(data, self._key)
        client, robot = datagram.payload[:NONCE_BYTES], datagram.payload[NONCE_BYTES : 2 * NONCE_BYTES]
        if not self._nonce or client != self._nonce:
            raise RefusedError("nonce")
        try:
            self._agree(table_from_bytes(datagram.payload[2 * NONCE_BYTES :]))
        except ValueError as error:
            if self._session is None:
                raise
            raise LinkLost(f"{error}; before, it was another robot") from None
        self._session, self._nonce = Session(self._key, client, robot), b""
        self._heard_s = self._clock()
        self._say(HERE)

    def _agree(self, table: tuple[Row, ...]) -> None:
        """Find what this robot's interface asks for in the table that it gave."""
        command, known = Row(True, self._interface.command), table_of(self._interface)
        for row in (*(Row(False, quantity) for quantity in self._interface.measured), command):
            if row not in table:
                does = "takes" if row.is_command else "measures"
                raise ValueError(
                    f"the robot at {self._peer} {does} no {_told(row)}; its table has {', '.join(map(_told, table))}"
                )
        self._command_row = table.index(command)
        rows = {index: row.quantity for index, row in enumerate(table) if row in known and not row.is_command}
        self._names = {index: quantity.name for index, quantity in rows.items()}
        self._gathered = {index: Gathered(quantity.size) for index, quantity in rows.items()}

    def _take_measurement(self, datagram: Datagram) -> None:
        if datagram.quantity not in self._gathered:
            raise RefusedError("quantity")
        values = self._gathered[datagram.quantity].add(datagram)
        if values is not None:
            name = self._names[datagram.quantity]
            self._measured[name] = Measurement(values, datagram.stamp_us / 1e6, self._clock())


def _told(row: Row) -> str:
    return f"{row.quantity.name}[{row.quantity.size}] in {row.quantity.unit}"


def _connected(host: str, port: int) -> socket.socket:
    """A socket that talks to one address only.

    Raises:
        ValueError: if there is no such address.
    """
    if not 0 < port < 65536:
        raise ValueError(f"port={port} must be between 1 and 65535")
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        door.connect((host, port))
    except OSError as error:
        door.close()
        raise ValueError(f"{host}:{port}: {error.strerror or error}") from None
    door.setblocking(False)
    return door


@dataclass(frozen=True)
class RobotSettings:
    """Where a simulated robot listens, and the key that it shares."""

    key_file: str
    """A file with the shared key: at least 16 bytes, as hexadecimal digits."""
    host: str = "127.0.0.1"
    """The address of this machine on which it listens."""
    port: int = PORT
    silent_stop_s: float = 0.0
    """The robot stops by itself when it has taken no command for so long, in seconds; 0: never, as a TurtleBot3."""

    def __post_init__(self) -> None:
        if not 0 <= self.silent_stop_s < float("inf"):
            raise ValueError(f"silent_stop_s={self.silent_stop_s:g} must be at least 0")


def listen(interface: Interface, settings: RobotSettings) -> UdpRobot:
    """A robot's end that listens.

    Raises:
        ValueError: if the key is no good, or the port is taken.
    """
    place = (settings.host, settings.port)
    return UdpRobot(interface, read_key(settings.key_file), place, silent_stop_s=settings.silent_stop_s)
