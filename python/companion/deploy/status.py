"""What the runtime does, for people beside the robot: a page in their browser that reads and never commands.

The loop gives each tick to `StatusPage`, which writes one line about it into a pipe and never waits. Serving it is the
work of a process of its own (`status_server.py`), so that neither the page nor who looks at it can slow the loop.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import math
import os
import select
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Sequence  # noqa: UP035 (the edge bundle runs on Python 3.8)

import numpy as np

from companion.deploy.child import start

if TYPE_CHECKING:
    from companion.deploy.link import Interface
    from companion.deploy.loop import Tick
    from companion.deploy.safety import Tally

LOOPBACK = "127.0.0.1"
LINE_EVERY_S = 0.05
"""A runtime in simulated time ticks more often than anybody can see; what changes its mode is told at once."""
KEPT_DURATIONS = 40
"""Of the ticks since the last line, the newest."""
MOST_LINE_BYTES = 4096
"""Linux writes no more than this to a pipe in one go (PIPE_BUF); a longer line is left out."""
READY_WITHIN_S = 20.0
CLEARANCE, PERSON, DISTANCE = "clearance", "person_distance", "distance"
"""Of the nearest obstacle and to the goal, as the senses call them; of the nearest person, as the links do."""


class StatusError(ValueError):
    """A status page that can't be had; the message says why, in one line."""


@dataclass(frozen=True)
class Place:
    """Where the page is served."""

    host: str
    port: int
    """0 for any that is free."""

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine can get there."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def url(self) -> str:
        """What goes into a browser's address line."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"


def place_of(text: str) -> Place:
    """What `[HOST:]PORT` says.

    Raises:
        StatusError: if it says nothing.
    """
    host, _, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not (port.isascii() and port.isdigit() and int(port) < 65536) or (":" in text and not host):
        raise StatusError(f"--status {text}: expected [HOST:]PORT, as 8080, 0.0.0.0:8080 or [::1]:8080")
    return Place(host or LOOPBACK, int(port))


@dataclass(frozen=True)
class About:
    """What does not change while a robot is run."""

    task: str
    robot: str
    link: str
    period_s: float
    command: tuple[str, ...]
    """Name of each entry."""
    units: tuple[str, ...]
    """Of each entry."""
    is_shadow: bool
    speed_unit: str
    """Of the speeds asked for and sent: of a base its forward speed's, of an arm its quickest joint's."""


def about_command(interface: Interface) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Names and units of a robot's command, and the unit of its speed."""
    command = interface.command
    units = tuple(unit.strip() for unit in command.unit.split(","))
    units = units if len(units) == command.size else units * command.size
    if interface.holds_by:
        return tuple(f"{command.name} {place}" for place in range(command.size)), units, "rad/s"
    return ("forward", "turning"), units, units[0]


class StatusPage:
    """The runtime's end: the page's process and the pipe to it; call it with each tick.

    Raises:
        StatusError: if the port is taken, or the address is none of this machine's.
    """

    def __init__(self, place: Place, about: About, tally: Tally) -> None:
        self.trouble = ""
        """Why the page is not served any more; the robot does not stop for it."""
        self._about, self._tally = about, tally
        self._work_ms: deque[float] = deque(maxlen=KEPT_DURATIONS)
        self._told: tuple[Any, ...] = ()
        self._told_s, self._ticks = -math.inf, 0
        self._sent_before: Any = None
        self._process = start("status_server")
        assert self._process.stdin is not None and self._process.stdout is not None
        self._lines, self._says = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._lines, False)
        try:
            self._write({**asdict(place), "about": asdict(about)})
            self.place = Place(place.host, self._port())
        except BaseException:
            self.close()
            raise

    def __call__(self, tick: Tick) -> None:
        """Tell of a tick. It never raises and never waits; what does not get through is left out."""
        self._ticks += 1
        self._work_ms.append(round(1e3 * tick.work_s, 3))
        speeds = self._speeds(tick)
        now = (tick.verdict.mode, tick.verdict.reasons)
        if self.trouble or (now == self._told and time.perf_counter() - self._told_s < LINE_EVERY_S):
            return
        if self._write(self._line(tick, speeds)):
            self._told, self._told_s = now, time.perf_counter()
            self._work_ms.clear()

    def close(self) -> None:
        """End the page's process."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            self._process.wait(2.0)
        except Exception:  # whatever keeps it, the robot has stopped and nobody is to wait for a page
            self._process.kill()
            self._process.wait()

    def _port(self) -> int:
        """Which one it serves, as it says itself."""
        answer, end_s = b"", time.monotonic() + READY_WITHIN_S
        while not answer.endswith(b"\n"):
            if not select.select([self._says], [], [], max(0.0, end_s - time.monotonic()))[0]:
                raise StatusError(f"the status page was not ready within {READY_WITHIN_S:g} s")
            part = os.read(self._says, 4096)
            if not part:
                raise StatusError("the status page's process ended at once")
            answer += part
        told = json.loads(answer)
        if "error" in told:
            raise StatusError(f"--status: {told['error']}")
        return int(told["port"])

    def _write(self, told: dict[str, Any]) -> bool:
        line = json.dumps(told, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        if len(line) > MOST_LINE_BYTES:
            return False
        try:
            os.write(self._lines, line)
        except BlockingIOError:
            return False  # the page's process is too busy for it
        except OSError:
            self.trouble = "the status page's process has died"
            return False
        return True

    def _line(self, tick: Tick, speeds: tuple[float | None, float | None]) -> dict[str, Any]:
        view, verdict, tally = tick.view, tick.verdict, self._tally
        return {
            "now_s": round(tick.heard.now_s, 4),
            "mode": verdict.mode.name,
            "reasons": [reason[:120] for reason in verdict.reasons[:8]],
            "limits": list(verdict.interventions),
            "ticks": self._ticks,
            "work_ms": list(self._work_ms),
            "late_ms": round(1e3 * tick.late_s, 3),
            "missed": tick.missed,
            "asked": _numbers(tick.wanted),
            "sent": _numbers(tick.sent),
            "speed_asked": speeds[0],
            "speed_sent": speeds[1],
            "distances_m": _distances(tick),
            "ages_s": {name: _number(age_s) for name, age_s in view.age_s.items() if name in view.values},
            "interventions": dict(tally.interventions.most_common(12)),
            "stops": {reason[:120]: count for reason, count in tally.stops.most_common(8)},
        }

    def _speeds(self, tick: Tick) -> tuple[float | None, float | None]:
        """Asked for and sent; None where nothing was."""
        if self._about.speed_unit == self._about.units[0]:
            asked, sent = (None if one is None else _number(one[0]) for one in (tick.wanted, tick.sent))
            return asked, sent
        before, self._sent_before = self._sent_before, tick.sent
        if before is None:
            return None, None
        moves = (None if one is None else np.abs(one - before).max() for one in (tick.wanted, tick.sent))
        asked, sent = (None if move is None else _number(move / self._about.period_s) for move in moves)
        return asked, sent


def _distances(tick: Tick) -> dict[str, float | None]:
    """In metres, of what is measured: to the nearest obstacle, the nearest person, the goal."""
    signals, values = tick.signals or {}, tick.view.values
    found: dict[str, Any] = {}
    if CLEARANCE in signals:
        found["obstacle"] = signals[CLEARANCE][0, 0]
    if PERSON in values:
        found["person"] = values[PERSON][0]
    if DISTANCE in signals:
        found["goal"] = signals[DISTANCE][0, 0]
    return {name: _number(value) for name, value in found.items()}


def _number(value: Any) -> float | None:
    """For JSON, which has no name for what is not finite."""
    return round(float(value), 4) + 0.0 if math.isfinite(value) else None  # of -0, 0


def _numbers(values: Sequence[Any] | Any) -> list[float | None] | None:
    return None if values is None else [_number(value) for value in values]
