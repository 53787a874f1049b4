"""Where trainings are done that belong together: on this machine, several side by side."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock
from typing import Any, Protocol

LOOKS_EVERY_S = 2.0
"""How often it is asked whether a training is to go on."""


class TrainingError(Exception):
    """A training that gave no result; the message says why."""


class StoppedEarlyError(TrainingError):
    """A training that was ended because it was not wanted any more."""


@dataclass(frozen=True)
class TrainingOrder:
    """One training: `companion train`, from the start or from where it was interrupted."""

    task: str
    trainer: str
    recipe: Path
    config: Path
    seed: int
    episodes: int
    """To judge the policy on."""
    set: Mapping[str, float]
    """Perturbations of the world that are fixed."""
    directory: Path
    """Of the run."""

    @property
    def words(self) -> list[str]:
        """On the command line."""
        flags = {
            "--trainer": self.trainer,
            "--recipe": self.recipe,
            "--config": self.config,
            "--seed": self.seed,
            "--episodes": self.episodes,
            "--run-dir": self.directory,
        }
        fixed = [word for name, value in self.set.items() for word in ("--set", f"{name}={value!r}")]
        return [
            "train",
            self.task,
            *(str(word) for pair in flags.items() for word in pair),
            *fixed,
            "--resume",
            "--quiet",
        ]


IsUnwanted = Callable[[], bool]
"""Asked now and then about a training under way: whether to stop it, as nothing good will come of it."""


class Workplace(Protocol):
    """Does trainings, several at once."""

    @property
    def at_once(self) -> int:
        """How many side by side."""
        ...

    @property
    def threads(self) -> int:
        """For each of them."""
        ...

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        ...

    def train(self, order: TrainingOrder, log: Path, is_unwanted: IsUnwanted) -> None:
        """Do a training and leave its run directory; what it said goes into `log`. Called by several threads at once.

        Raises:
            TrainingError: if it does not come to its end.
        """
        ...

    def stop(self) -> None:
        """End what is under way, for good."""
        ...


class ThisMachine:
    """Trainings side by side, among which the processors are divided."""

    def __init__(self, at_once: int) -> None:
        shares = shares_of_cores(at_once)
        self.at_once, self.threads = at_once, len(shares[0])
        self._slots: SimpleQueue[tuple[int, ...]] = SimpleQueue()
        for share in shares:
            self._slots.put(share)
        self._stopping, self._lock = Event(), Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def train(self, order: TrainingOrder, log: Path, is_unwanted: IsUnwanted) -> None:
        """Do a training on a free share of the processors."""
        cores = self._slots.get()
        try:
            self._train(order, log, is_unwanted, cores)
        finally:
            self._slots.put(cores)

    def stop(self) -> None:
        """Let what is under way save and end."""
        self._stopping.set()
        with self._lock:
            for process in self._processes:
                process.terminate()

    def _train(self, order: TrainingOrder, log: Path, is_unwanted: IsUnwanted, cores: Sequence[int]) -> None:
        with log.open("wb") as said:
            process = self._start(order.words, cores, said)
            with process:
                unwanted = watched_to_its_end(process, is_unwanted)
        with self._lock:
            self._processes.discard(process)
        if unwanted:
            raise StoppedEarlyError("ended early")
        if (code := process.returncode) != 0:
            raise TrainingError(f"{last_line(log)} (exit code {code}; see {log})")

    def _start(self, words: Sequence[str], cores: Sequence[int], said: Any) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._stopping.is_set():
                raise TrainingError("stopped")
            process = started(words, len(cores), said)
            self._processes.add(process)
        if hasattr(os, "sched_setaffinity"):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(process.pid, cores)  # long before it counts its cores, which takes imports
        return process


def started(words: Sequence[str], threads: int, said: Any) -> "subprocess.Popen[bytes]":
    """`companion WORDS` as a child that ends with its parent; what it says goes into the open file `said`."""
    command = [sys.executable, "-m", "companion.cli._child", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT, env=environment)


def watched_to_its_end(process: "subprocess.Popen[bytes]", is_unwanted: IsUnwanted) -> bool:
    """Wait for a training, or end it where it is not wanted any more; whether that was the case."""
    while process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOKS_EVERY_S)
        if process.poll() is None and is_unwanted():
            process.terminate()
            process.wait()
            return True
    return False


def shares_of_cores(at_once: int) -> list[tuple[int, ...]]:
    """The processors that each of the trainings side by side may use."""
    known = hasattr(os, "sched_getaffinity")
    cores = sorted(os.sched_getaffinity(0)) if known else list(range(os.cpu_count() or 1))
    return [tuple(cores[place::at_once]) or tuple(cores) for place in range(at_once)]


def last_line(file: Path) -> str:
    """What a training said last."""
    lines = [line for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip().removeprefix("companion: ") if lines else "no word"
