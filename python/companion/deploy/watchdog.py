"""A process of its own that stops the robot when the runtime hangs or dies.

It is needed because a TurtleBot3 keeps its last velocity, and so do ros2_control's forward velocity controllers: a
runtime that is gone leaves a robot that drives on. The runtime beats through a pipe, at least once in each decision.
Where the beats stop for `Plan.timeout_s`, or the pipe breaks, the watchdog sends stops over a link of its own, and goes
on sending them: having fired once it stays so until the runtime ends it. The runtime in turn hears the watchdog's own
beats, and stops where they fail.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Mapping  # noqa: UP035 (the edge bundle runs on Python 3.8)

import numpy as np

from companion.deploy import child, profiles
from companion.deploy.links import open_link

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from companion.deploy.link import Interface, Link

MOVING, STANDING, END = b".", b"-", b"q"
"""What the runtime says: it may be moving the robot; it does not; it has stopped the robot, if it could, and goes."""
READY, WATCHING, FIRED, NO_LINK = b"r", b".", b"!", b"x"
"""What the watchdog says: its link stands; it watches; it stops the robot; it can't reach the robot."""
LOOK_EVERY_S = 0.02
SAY_EVERY_S = 0.05
"""Between two stops, and between two of the watchdog's own beats."""
LAST_WORDS = 3
"""Stops that it sends in the end, even where the runtime ended in order."""
SILENT_AFTER_S = 0.5
"""The runtime takes a watchdog that says nothing for so long for dead."""


@dataclass(frozen=True)
class Plan:
    """What a watchdog has to know."""

    link: str
    """Name of the robot link."""
    robot: str
    """Name of its profile."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The link's, as typed."""
    timeout_s: float = 0.25
    """So long a silence of the runtime stops the robot; it must be longer than the control period."""
    stop_for_s: float = 3.0
    """After the runtime's death stops go on for so long; then the watchdog ends too."""


class Guard:
    """Decides, from what the runtime said and when, whether the robot must be stopped."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._beat_s: float | None = None
        """When the runtime last said that it may be moving the robot; None while it says that it does not."""
        self._died_s: float | None = None
        self._is_fired = self._is_ended = False
        self.has_moved = False
        """Whether the robot was ever moved."""

    def hear(self, said: bytes, now_s: float) -> None:
        """Take in what came through the pipe; nothing is a pipe that broke."""
        self.has_moved |= MOVING in said
        if not said:
            self._died_s = now_s if self._died_s is None else self._died_s
        elif END in said:
            self._is_ended = True
        else:
            self._beat_s = now_s if said[-1:] == MOVING else None

    def must_stop(self, now_s: float) -> bool:
        """Whether the robot must be stopped now; once so, it stays so until the end."""
        is_silent = self._beat_s is not None and now_s - self._beat_s > self._plan.timeout_s
        self._is_fired |= is_silent or self._died_s is not None
        return self._is_fired and not self._is_ended

    def is_over(self, now_s: float) -> bool:
        """Whether there is nothing more to do."""
        has_done = self._died_s is not None and now_s - self._died_s > self._plan.stop_for_s
        return self._is_ended or has_done

    def why(self) -> str:
        """For a person, why the robot is being stopped."""
        return "the runtime died" if self._died_s is not None else "the runtime fell silent"


class Stopper:
    """Stops a robot over a link: by the link's own way where it has one, else by zeros, else by telling it to stay."""

    def __init__(self, link: Link, interface: Interface) -> None:
        self._link, self._interface = link, interface
        self._hold: NDArray[np.float64] | None = None
        self._is_held = False

    def look(self) -> None:
        """Keep up with the link while there is nothing to do.

        Raises:
            LinkLost: if the robot is out of reach.
        """
        measured = self._link.read().get(self._interface.holds_by)
        if measured is not None and not self._is_held and np.isfinite(measured.values).all():
            self._hold = measured.values

    def stop(self) -> None:
        """Tell the robot to stop, once.

        Raises:
            LinkLost: if the robot is out of reach.
        """
        own_way: Callable[[], None] | None = getattr(self._link, "stop", None)
        if own_way is not None:
            own_way()
        elif not self._interface.holds_by:
            self._link.send(np.zeros(self._interface.command.size))
        elif self._hold is not None:
            self._is_held = True  # the place where it was first told to stay, lest it creep
            self._link.send(self._hold)

    def close(self) -> None:
        self._link.close()


class WatchdogError(RuntimeError):
    """A watchdog that did not start; the message says why, in one line."""


class Watchdog:
    """The runtime's end: a watchdog process and the pipe to it.

    Raises:
        WatchdogError: if it does not get ready in time; without it a robot must not move.
    """

    def __init__(self, plan: Plan, clock: Callable[[], float] = time.monotonic, ready_within_s: float = 10.0) -> None:
        self._clock = clock
        self._process = child.start("watchdog")
        self._beats, self._says = _descriptor(self._process.stdin), _descriptor(self._process.stdout)
        os.set_blocking(self._beats, False)
        os.set_blocking(self._says, False)
        self._trouble, self._is_ready, self._heard_s = "", False, clock()
        try:
            os.write(self._beats, json.dumps(asdict(plan)).encode() + b"\n")
            self._wait_until_ready(ready_within_s)
        except BaseException:
            self.close()
            raise

    @property
    def process_id(self) -> int:
        """The watchdog's."""
        return self._process.pid

    def beat(self, *, may_move: bool = True) -> str:
        """Say that the runtime lives; "" while all is well, else why the robot must not be moved.

        Args:
            may_move: whether commands other than stops are being sent, so that silence would be dangerous.
        """
        try:
            os.write(self._beats, MOVING if may_move else STANDING)
        except BlockingIOError:
            return "the watchdog does not listen"
        except OSError:
            return "the watchdog has died"
        self._listen()
        if self._trouble:
            return self._trouble
        return "the watchdog is silent" if self._clock() - self._heard_s > SILENT_AFTER_S else ""

    def close(self) -> None:
        """End the watchdog, which says stop a last time, as whoever calls this has done before if he could."""
        with contextlib.suppress(OSError):
            os.write(self._beats, END)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                _closed(pipe)
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_until_ready(self, within_s: float) -> None:
        end_s = time.monotonic() + within_s
        while not self._is_ready:
            left_s = end_s - time.monotonic()
            if left_s <= 0 or not select.select([self._says], [], [], left_s)[0]:
                raise WatchdogError(f"the watchdog was not ready within {within_s:g} s")
            self._listen()
            if self._trouble:
                raise WatchdogError(self._trouble)

    def _listen(self) -> None:
        try:
            said = os.read(self._says, 4096)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        self._heard_s = self._clock()
        self._is_ready |= READY in said
        if not said:
            self._trouble = "the watchdog has died"
        elif FIRED in said:
            self._trouble = "the watchdog has stopped the robot"
        elif said[-1:] == NO_LINK:
            self._trouble = "the watchdog can't reach the robot"
        elif self._trouble == "the watchdog can't reach the robot":
            self._trouble = ""


def _descriptor(pipe: Any) -> int:
    return pipe.fileno()


def _closed(pipe: Any) -> None:
    pipe.close()


class _Process:
    """What runs in the watchdog's own process."""

    def __init__(self, plan: Plan, beats: int, says: int) -> None:
        self._plan, self._beats, self._says = plan, beats, says
        self._interface = profiles.load(plan.robot).interface
        self._guard = Guard(plan)
        self._stopper: Stopper | None = None
        self._said_s = -np.inf
        self._has_fired = self._has_broken = False

    def run(self) -> int:
        """Watch until there is nothing more to do; 1 if the robot had to be stopped."""
        self._connect()
        self._say(READY)
        while not self._guard.is_over(time.monotonic()):
            self._hear()
            self._act(time.monotonic())
        if self._guard.has_moved:
            self._say_goodbye()
        if self._stopper is not None:
            self._stopper.close()
        return int(self._has_fired)

    def _say_goodbye(self) -> None:
        """The runtime's own last words may have been lost, with its link."""
        for _ in range(LAST_WORDS):
            if not self._reach(True):
                return
            time.sleep(LOOK_EVERY_S)

    def end(self, *_: object) -> None:
        """On SIGTERM: as if the runtime had died, because the whole machine may be going down."""
        self._guard.hear(b"", time.monotonic() - self._plan.stop_for_s + 2 * SAY_EVERY_S)

    def _connect(self) -> None:
        link = open_link(self._plan.link, self._interface, self._plan.settings, role="watchdog")
        self._stopper = Stopper(link, self._interface)

    def _hear(self) -> None:
        if self._has_broken:
            time.sleep(LOOK_EVERY_S)
        elif select.select([self._beats], [], [], LOOK_EVERY_S)[0]:
            said = os.read(self._beats, 4096)
            self._has_broken = not said
            self._guard.hear(said, time.monotonic())

    def _act(self, now_s: float) -> None:
        must_stop = self._guard.must_stop(now_s)
        if must_stop and not self._has_fired:
            self._has_fired, self._said_s = True, -np.inf
            print(f"watchdog: {self._guard.why()}; it stops the robot", file=sys.stderr, flush=True)
        is_due = now_s - self._said_s >= SAY_EVERY_S
        if is_due:
            self._said_s = now_s
        reached = self._reach(must_stop and is_due)
        if is_due:
            self._say((FIRED if must_stop else WATCHING) if reached else NO_LINK)

    def _reach(self, must_stop: bool) -> bool:
        """Stop the robot or just keep up with it; whether it is in reach. A lost link is opened anew."""
        try:
            if self._stopper is None:
                self._connect()
            assert self._stopper is not None
            if must_stop:
                self._stopper.stop()
            self._stopper.look()
        except (OSError, ValueError):  # a link that is lost, or can't be opened anew yet: nothing may end a watchdog
            if self._stopper is not None:
                self._stopper.close()
            self._stopper = None
        return self._stopper is not None

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more, or he sleeps and the pipe is full
            os.write(self._says, word)


def main() -> int:
    """Read the plan from the pipe, then watch."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    beats, says = sys.stdin.fileno(), sys.stdout.fileno()
    os.set_blocking(says, False)
    process = _Process(Plan(**json.loads(_first_line(beats))), beats, says)
    signal.signal(signal.SIGTERM, process.end)
    with contextlib.suppress(OSError, AttributeError):  # where it may, it goes before what keeps the machine busy
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    try:
        return process.run()
    except (OSError, ValueError, ImportError) as error:
        print(f"watchdog: {error}", file=sys.stderr)
        return 2


def _first_line(pipe: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        letter = os.read(pipe, 1)
        if not letter:
            raise SystemExit(2)
        line += letter
    return line


if __name__ == "__main__":
    sys.exit(main())
