"""The robot's end of the udp link: what the firmware of a microcontroller does, for simulated robots and tests."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Mapping  # noqa: UP035 (the edge bundle runs on Python 3.8)

import numpy as np

from companion.deploy.link import Interface
from companion.deploy.links._datagram import (
    COMMAND,
    HELLO,
    HERE,
    MEASUREMENT,
    NONCE_BYTES,
    ROLES,
    STOP,
    WELCOME,
    Datagram,
    RefusedError,
    Session,
    check_tag,
    parse,
    parts_of,
    table_bytes,
    table_of,
    waiting,
)
from companion.deploy.links._robot_end import Taken

if TYPE_CHECKING:
    from numpy.typing import NDArray

GONE_AFTER_S = 5.0
"""A robot sends nothing more to who was silent for so long."""
STOP_HOLD_S = 0.5
"""After a STOP a robot takes no command for this long, from whomever."""


@dataclass
class _Client:
    """One session as the robot keeps it."""

    session: Session
    role: str
    address: Any
    heard_s: float
    newest_command: int = 0


class UdpRobot:
    """Answers whoever has the key, measures for whoever has a session, and takes their commands.

    The optional quantities of its interface are those that this very robot has.
    """

    def __init__(
        self,
        interface: Interface,
        key: bytes,
        address: tuple[str, int],
        clock: Callable[[], float] = time.monotonic,
        *,
        silent_stop_s: float = 0.0,
    ) -> None:
        """Listen.

        Args:
            interface: what this robot measures and takes.
            key: shared with the runtime.
            address: where it listens; port 0 for any.
            clock: the robot's own, s.
            silent_stop_s: it stops by itself when it has taken no command for so long; 0 where it never does.
        """
        self._silent_stop_s, self._commanded_s = silent_stop_s, np.inf
        self.refused: Counter[str] = Counter()
        self._interface, self._key, self._clock = interface, key, clock
        self._table = table_of(interface)
        self._rows = {row.quantity.name: index for index, row in enumerate(self._table) if not row.is_command}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind(address)
        except OSError as error:
            self._socket.close()
            raise ValueError(f"{address[0]}:{address[1]}: {error.strerror}") from None
        self._socket.setblocking(False)
        self._welcomed: dict[int, _Client] = {}
        """By session number: asked for, not yet used. The four newest."""
        self._clients: dict[str, _Client] = {}
        """By role."""
        self._held_until_s = -np.inf

    @property
    def port(self) -> int:
        """On which it listens."""
        return self._socket.getsockname()[1]

    @property
    def where(self) -> str:
        """Address and port."""
        return "{}:{}".format(*self._socket.getsockname()[:2])

    def publish(self, values: Mapping[str, NDArray[Any]], stamp_s: float) -> None:
        """Send measurements to whoever has a session."""
        now_s = self._clock()
        for client in list(self._clients.values()):
            if now_s - client.heard_s > GONE_AFTER_S:
                del self._clients[client.role]
            else:
                for name, measured in values.items():
                    self._send(client, self._rows[name], measured, stamp_s)

    def publish_wrong(self, values: Mapping[str, NDArray[Any]], stamp_s: float) -> None:
        """Send them with an entry too many."""
        self.publish({name: np.append(measured, 0.0) for name, measured in values.items()}, stamp_s)

    def commands(self) -> list[Taken]:
        """What has come in since the last call, in the order in which it came; never waits."""
        found = [self._taken(data, address) for data, address in waiting(self._socket)]
        taken = [command for command in found if command is not None]
        if taken:
            self._commanded_s = self._clock()
        elif self._silent_stop_s and self._clock() - self._commanded_s > self._silent_stop_s:
            self._commanded_s = np.inf  # once is enough, until somebody commands again
            taken = [self._stop()]
        return taken

    def restart(self) -> None:
        """Forget all sessions, as a robot does whose power was cut."""
        self._welcomed.clear()
        self._clients.clear()
        self._held_until_s = -np.inf

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def _taken(self, data: bytes, address: Any) -> Taken | None:
        try:
            return self._take(data, address)
        except RefusedError as reason:
            self.refused[str(reason)] += 1
            return None

    def _take(self, data: bytes, address: Any) -> Taken | None:
        datagram = parse(data)
        if datagram.kind == HELLO:
            return self._take_hello(data, datagram, address)
        if datagram.kind not in (HERE, COMMAND, STOP):
            raise RefusedError("kind")
        client = self._client_of(datagram.session)
        client.session.check(data, datagram)
        self._clients[client.role] = client
        self._welcomed.pop(datagram.session, None)
        client.address, client.heard_s = address, self._clock()
        return None if datagram.kind == HERE else self._take_command(datagram, client)

    def _client_of(self, session: int) -> _Client:
        for client in (*self._clients.values(), *self._welcomed.values()):
            if client.session.number == session:
                return client
        raise RefusedError("session")

    def _take_hello(self, data: bytes, datagram: Datagram, address: Any) -> None:
        check_tag(data, self._key)
        nonce, role = datagram.payload[:NONCE_BYTES], datagram.payload[NONCE_BYTES:]
        if len(role) != 1 or role[0] >= len(ROLES):
            raise RefusedError("size")
        own = os.urandom(NONCE_BYTES)
        session = Session(self._key, nonce, own)
        self._welcomed[session.number] = _Client(session, ROLES[role[0]], address, self._clock())
        while len(self._welcomed) > 4:
            del self._welcomed[next(iter(self._welcomed))]
        stamp_us = round(self._clock() * 1e6)
        payload = nonce + own + table_bytes(self._table)
        self._put(Datagram(WELCOME, stamp_us=stamp_us, payload=payload).sealed(self._key), address)

    def _send(self, client: _Client, row: int, values: NDArray[Any], stamp_s: float) -> None:
        for first, payload in parts_of(values):
            self._put(client.session.seal(MEASUREMENT, stamp_s, payload, row, first), client.address)

    def _take_command(self, datagram: Datagram, client: _Client) -> Taken:
        if datagram.sequence < client.newest_command:
            raise RefusedError("late")
        client.newest_command = datagram.sequence
        if datagram.kind == STOP:
            self._held_until_s = self._clock() + STOP_HOLD_S
            return self._stop()
        if self._clock() < self._held_until_s:
            raise RefusedError("held")
        return Taken(self._command_of(datagram))

    def _stop(self) -> Taken:
        return Taken(np.zeros(self._interface.command.size), is_stop=True)

    def _command_of(self, datagram: Datagram) -> NDArray[np.float64]:
        if datagram.quantity != len(self._table) - 1 or datagram.first:
            raise RefusedError("quantity")
        if len(datagram.payload) != 4 * self._interface.command.size:
            raise RefusedError("part")
        values = np.frombuffer(datagram.payload, "<f4").astype(np.float64)
        if not np.isfinite(values).all():
            raise RefusedError("not_finite")
        return values

    def _put(self, data: bytes, address: Any) -> None:
        with contextlib.suppress(OSError):  # nobody there, or a full buffer: lost as it would be in the air
            self._socket.sendto(data, address)
