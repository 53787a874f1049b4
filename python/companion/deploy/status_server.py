"""The status page's own process: it reads what the runtime tells, line by line, and serves it to browsers.

`/` is the page, `/status.json` what it shows. Nothing can be asked of the robot here: whatever is not GET or HEAD is
refused. It ends when the runtime does. Standard library only, and without numpy, so that it stays small.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import socket
import socketserver
import sys
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO, Mapping  # noqa: UP035 (the edge bundle runs on Python 3.8)

from companion.deploy.status_html import PAGE

HISTORY_S = 60.0
SLOT_S = 0.2
"""The curves have one point for so long: the least distances, the longest work."""
KEPT_CHANGES = 30
KEPT_DURATIONS = 6000
SILENT_CLIENT_S = 5.0
POLITENESS = 10
"""This process goes after all that the robot needs."""


class Board:
    """What was told so far; written by one thread, read by many."""

    def __init__(self, about: Mapping[str, Any]) -> None:
        self._about = about
        self._lock = threading.Lock()
        self._newest: dict[str, Any] = {}
        self._told_s: float | None = None
        self._slots: deque[dict[str, Any]] = deque()
        self._work_ms: deque[tuple[float, float]] = deque(maxlen=KEPT_DURATIONS)
        self._changes: deque[dict[str, Any]] = deque(maxlen=KEPT_CHANGES)

    def tell(self, told: dict[str, Any]) -> None:
        """Take in what the runtime says of one tick."""
        with self._lock:
            self._told_s = time.monotonic()
            work_ms = told.pop("work_ms")
            self._note_change(told)
            self._newest = told
            self._work_ms.extend((told["now_s"], one) for one in work_ms)
            self._add_to_slot(told, max(work_ms, default=0.0))
            self._forget(told["now_s"] - HISTORY_S)

    def status(self) -> dict[str, Any]:
        """All that there is to show."""
        with self._lock:
            durations = sorted(one for _, one in self._work_ms)
            slots, newest = list(self._slots), dict(self._newest)
            silent_s = None if self._told_s is None else round(time.monotonic() - self._told_s, 2)
            changes = list(self._changes)
        names = list(slots[0]) if slots else []
        return {
            "about": self._about,
            "silent_s": silent_s,
            **newest,
            "work_ms": {"p50": _quantile(durations, 0.5), "p99": _quantile(durations, 0.99)},
            "changes": changes,
            "history": {name: [slot[name] for slot in slots] for name in names},
        }

    def _note_change(self, told: Mapping[str, Any]) -> None:
        now = {name: told[name] for name in ("mode", "reasons")}
        last = self._changes[-1] if self._changes else {}
        if any(last.get(name) != value for name, value in now.items()):
            self._changes.append({"now_s": told["now_s"], **now})

    def _add_to_slot(self, told: Mapping[str, Any], work_ms: float) -> None:
        distances = told["distances_m"]
        slot = {
            "now_s": told["now_s"],
            "mode": told["mode"],
            "work_ms": work_ms,
            "obstacle_m": distances.get("obstacle"),
            "person_m": distances.get("person"),
            "speed_asked": told["speed_asked"],
            "speed_sent": told["speed_sent"],
        }
        if self._slots and told["now_s"] - self._slots[-1]["now_s"] < SLOT_S - 1e-6:
            last = self._slots[-1]
            slot["now_s"] = last["now_s"]
            slot["work_ms"] = max(work_ms, last["work_ms"])
            for name in ("obstacle_m", "person_m"):
                slot[name] = _least(slot[name], last[name])
            self._slots[-1] = slot
        else:
            self._slots.append(slot)

    def _forget(self, before_s: float) -> None:
        while self._slots and self._slots[0]["now_s"] < before_s:
            self._slots.popleft()
        while self._work_ms and self._work_ms[0][0] < before_s:
            self._work_ms.popleft()


def _least(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return min(known) if known else None


def _quantile(ordered: list[float], share: float) -> float | None:
    """The nearest rank; None of nothing."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


class Server(ThreadingHTTPServer):
    """Serves one board."""

    daemon_threads = True

    def __init__(self, host: str, port: int, board: Board) -> None:
        self.board = board
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Handler)

    def server_bind(self) -> None:
        """Without asking the network for this machine's name, as the library's own does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "companion", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is nobody's business."""


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    server_version, sys_version = "companion", ""
    timeout = SILENT_CLIENT_S
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride] (what it is here)

    def do_GET(self) -> None:
        """The page, or what it shows."""
        if not self._is_meant():
            self._answer(403, "text/plain", b"this page is served under the address of this machine only\n")
        elif self.path == "/":
            self._answer(200, "text/html; charset=utf-8", PAGE.encode())
        elif self.path.split("?")[0] == "/status.json":
            content = json.dumps(self.server.board.status(), allow_nan=False, separators=(",", ":"))
            self._answer(200, "application/json", content.encode())
        else:
            self._answer(404, "text/plain", b"there are / and /status.json\n")

    do_HEAD = do_GET  # noqa: N815 (the library's name)

    def refuse(self) -> None:
        """Nothing is taken here."""
        self.close_connection = True
        self._answer(405, "text/plain", b"this page only tells; nothing can be asked of the robot here\n")

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = refuse  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: stderr is the runtime's."""

    def _is_meant(self) -> bool:
        """On the loopback address a foreign name leads here only by a trick (DNS rebinding)."""
        if not ipaddress.ip_address(str(self.server.server_address[0])).is_loopback:
            return True
        name = (self.headers.get("Host") or "").rpartition(":")[0] or (self.headers.get("Host") or "")
        if name == "localhost":
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(name.strip("[]")).is_loopback
        return False

    def _answer(self, code: int, kind: str, content: bytes) -> None:
        self.send_response(code)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
            " connect-src 'self'; img-src data:; frame-ancestors 'none'",
            **({"Allow": "GET, HEAD"} if code == 405 else {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _listen(board: Board, lines: BinaryIO) -> None:
    """Until the runtime ends."""
    for line in lines:
        board.tell(json.loads(line))


def _step_back() -> None:
    """Behind everything else on this machine, whatever the runtime's own rank is."""
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with contextlib.suppress(OSError, AttributeError):
        os.nice(POLITENESS)


def _served(told: Mapping[str, Any], board: Board) -> Server:
    """A server that has its port.

    Raises:
        OSError: if it can't have it; names the place.
    """
    host, port = told["host"], told["port"]
    try:
        return Server(host, port, board)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OSError(f"{host}:{port}: {reason}") from None


def main() -> int:
    """Read where to serve, then serve what the runtime tells until it ends."""
    _step_back()
    lines = sys.stdin.buffer
    first = lines.readline()
    if not first:
        return 2
    told = json.loads(first)
    board = Board(told["about"])
    try:
        server = _served(told, board)
    except OSError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 2
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    print(json.dumps({"port": server.server_port}), flush=True)
    _listen(board, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
