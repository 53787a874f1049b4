"""Who enables a robot: a person at the keyboard, or, of a simulated one, nobody has to."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from typing import TextIO

from companion.deploy.safety import Operator

HELP = "Enter: enable, or disable again; s: emergency stop; r: reset it; q: quit"


class Held:
    """Enables from its second look on: a switch that was never seen released may be stuck."""

    def __init__(self) -> None:
        self._looked, self.wants_to_quit = False, False

    def __call__(self) -> Operator:
        enabled, self._looked = self._looked, True
        return Operator(enabled=enabled)


class Keyboard:
    """A person's lines on a terminal. It is no enabling switch: a robot near people needs a held one, in hardware.

    Args:
        lines: where the lines come from.
    """

    def __init__(self, lines: TextIO = sys.stdin) -> None:
        self._lines, self._now, self.wants_to_quit = lines, Operator(), False
        self.listener = threading.Thread(target=self._listen, name="keyboard", daemon=True)
        self.listener.start()

    def __call__(self) -> Operator:
        """What was asked for last; a reset counts once."""
        now = self._now
        if now.reset:
            self._now = replace(self._now, reset=False)
        return now

    def _listen(self) -> None:
        for line in self._lines:
            self.take(line)
        self._now, self.wants_to_quit = Operator(), True  # Nobody is at the keyboard any more.

    def take(self, line: str) -> None:
        """A line that was typed; what is none of the known ones disables."""
        word, now = line.strip().lower(), self._now
        if word == "q":
            self._now, self.wants_to_quit = Operator(stop=now.stop), True
        elif word == "r":
            self._now = Operator(reset=True)
        else:
            self._now = Operator(enabled=word == "" and not now.enabled, stop=now.stop or word == "s")
