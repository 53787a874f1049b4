"""The runtime's time: real, or simulated and as fast as the machine can go; and deadlines that don't drift."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from typing import Callable, Protocol  # noqa: UP035 (Python 3.8)

FIFO_PRIORITY = 50
"""Above everything ordinary, below the kernel's own threads."""


class Clock(Protocol):
    """Tells the time and waits; s, from a start of its own, never backward."""

    def now_s(self) -> float: ...
    def sleep_until(self, due_s: float) -> None:
        """Come back at this time, or at once if it is past."""
        ...


class MonotonicClock:
    """The machine's own clock, which nobody sets."""

    def now_s(self) -> float:
        return time.monotonic()

    def sleep_until(self, due_s: float) -> None:
        """Come back at this time, or at once if it is past."""
        left_s = due_s - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)


class SimulatedClock:
    """Time that passes only while somebody sleeps; `advance(to_s)` then lets the world go on that far."""

    def __init__(self, advance: Callable[[float], None] = lambda to_s: None) -> None:
        self._now_s, self._advance = 0.0, advance

    def now_s(self) -> float:
        return self._now_s

    def sleep_until(self, due_s: float) -> None:
        """Let the world go on until then."""
        if due_s > self._now_s:
            self._advance(due_s)
            self._now_s = due_s


@dataclass
class Deadlines:
    """Ticks at a fixed rate: each is due a whole number of periods after the first, however long the others took."""

    clock: Clock
    period_s: float
    missed: int = 0
    """Deadlines at which a tick before was still at work."""
    late_s: float = 0.0
    """By how much the last wait ended after its deadline."""
    gap: int = 0
    """Deadlines missed since the tick before."""

    def __post_init__(self) -> None:
        self._start_s, self._count = self.clock.now_s(), 0

    def wait(self) -> None:
        """Until the next deadline that has not passed."""
        passed = (self.clock.now_s() - self._start_s) / self.period_s
        due = max(self._count + 1, math.ceil(passed - 1e-9))
        self.gap = due - self._count - 1
        self.missed += self.gap
        self._count = due
        due_s = self._start_s + due * self.period_s
        self.clock.sleep_until(due_s)
        self.late_s = max(self.clock.now_s() - due_s, 0.0)


def go_first() -> None:
    """Let this process run before all ordinary ones (SCHED_FIFO).

    Raises:
        ValueError: if the machine can't or this user may not; says how to mend it.
    """
    if not hasattr(os, "sched_setscheduler"):
        raise ValueError("this machine has no SCHED_FIFO; go without --realtime")
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))
    except OSError as error:
        raise ValueError(
            f"SCHED_FIFO is not allowed here ({error.strerror}); allow it with LimitRTPRIO={FIFO_PRIORITY} in the"
            f" systemd unit or `setcap cap_sys_nice+ep` on the interpreter, or go without --realtime"
        ) from None
