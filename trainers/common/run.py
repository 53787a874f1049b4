"""One training run and its directory: figures, checkpoints, progress, and the wish to stop."""

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from torch import nn

from trainers.common import checkpoint
from trainers.common.progress import ProgressView

METRICS = "metrics.jsonl"
Evaluate = Callable[[nn.Module], Mapping[str, float]]
"""Judges a deterministic actor; its figures are logged under `Evaluation/`."""


class Run:
    """What a trainer writes to and asks.

    Use it as a context manager: then SIGINT and SIGTERM ask the trainer to save and stop, and files are closed.

    Args:
        directory: made if missing; holds `metrics.jsonl`, TensorBoard events and checkpoints.
        resume: go on from the checkpoint there, or from the start where none was saved yet.
        evaluate: called by the trainer now and then with its deterministic actor.
        quiet: show no progress.
        label: what the progress view calls it.

    Raises:
        FileExistsError: if the directory holds a run already and `resume` is False.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        resume: bool = False,
        evaluate: Evaluate | None = None,
        quiet: bool = False,
        label: str = "training",
    ) -> None:
        self.directory = Path(directory)
        self.evaluate = evaluate
        self.progress = ProgressView(label, quiet=quiet)
        self.stop_requested = False
        self.besides: Callable[[], Mapping[str, float]] | None = None
        """Figures that every line of the log tells besides."""
        self._resume = resume
        self._began_s = time.monotonic()
        self._saved_s = time.monotonic()
        self._handlers: dict[int, Any] = {}
        self.directory.mkdir(parents=True, exist_ok=True)
        if not resume and (checkpoint.exists(self.directory) or (self.directory / METRICS).exists()):
            raise FileExistsError(f"{self.directory} holds a run already; resume it or choose another directory")
        self._metrics = (self.directory / METRICS).open("ab")
        self._board: Any = None

    @property
    def elapsed_s(self) -> float:
        """Seconds of training, those before a resume included."""
        return time.monotonic() - self._began_s

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write figures of one moment to `metrics.jsonl` (one line, not-a-number as null) and to TensorBoard."""
        besides = {} if self.besides is None else self.besides()
        numbers = {name: float(value) for name, value in {**scalars, **besides}.items()}
        plain = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        self._metrics.write(json.dumps({"step": step, **plain}).encode() + b"\n")
        self._metrics.flush()
        board = self._tensorboard(step)
        for name, value in numbers.items():
            board.add_scalar(name, value, step)

    def save(self, state: Mapping[str, Any]) -> None:
        """Make `state` the checkpoint to go on from."""
        self.snapshot(state)()

    def snapshot(self, state: Mapping[str, Any]) -> Callable[[], None]:
        """What writes `state` as the checkpoint of this moment.

        It may be called in another thread while the training goes on, provided that `state` changes no more.
        """
        run = {"metrics_bytes": self._metrics.tell(), "elapsed_s": self.elapsed_s}
        board = self._board
        self._saved_s = time.monotonic()

        def write() -> None:
            os.fsync(self._metrics.fileno())
            if board is not None:
                board.flush()
            checkpoint.save(self.directory, {"run": run, "trainer": dict(state)})

        return write

    def load(self) -> dict[str, Any] | None:
        """The state to go on from, or None to start anew. Figures written after that state was saved are dropped."""
        saved = checkpoint.load(self.directory) if self._resume else None
        run = saved["run"] if saved else {"metrics_bytes": 0, "elapsed_s": 0.0}
        self._metrics.truncate(min(run["metrics_bytes"], os.path.getsize(self.directory / METRICS)))
        self._metrics.seek(0, os.SEEK_END)
        self._began_s = time.monotonic() - run["elapsed_s"]
        return saved["trainer"] if saved else None

    def checkpoint_due(self, interval_s: float) -> bool:
        """Whether the last checkpoint is that old."""
        return time.monotonic() - self._saved_s >= interval_s

    def request_stop(self) -> None:
        """Ask the trainer to save and stop after the update it is in."""
        self.stop_requested = True

    def close(self) -> None:
        """Close the files and the progress view."""
        self.progress.stop()
        self._metrics.close()
        if self._board is not None:
            self._board.close()
            self._board = None

    def __enter__(self) -> "Run":
        in_main_thread = threading.current_thread() is threading.main_thread()
        for number in (signal.SIGINT, signal.SIGTERM) if in_main_thread else ():
            self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        self.close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """The first signal asks; a second one gets the old handling, so that a stuck world can be left."""
        self.progress.note(f"{signal.Signals(number).name}: saving and stopping; once more to stop at once")
        signal.signal(number, self._handlers[number])
        self.request_stop()

    def _tensorboard(self, step: int) -> Any:
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter  # slow to import, and nothing before step 1 needs it

            self._board = SummaryWriter(str(self.directory), purge_step=step, flush_secs=10)
        return self._board
