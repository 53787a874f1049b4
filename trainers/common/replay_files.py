"""Checkpoints of trainers that remember much: written beside the training, each transition once."""

import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.common import checkpoint
from trainers.common.checkpoint import CheckpointError
from trainers.common.replay import Replay
from trainers.common.run import Run

FOLDER = "replay"
"""In the run's directory."""
FILES = 8
"""That a full replay is spread over, about; the smaller they are, the sooner room is free again."""


class RowFiles:
    """Rows of float32 numbers on disk, in files of so many rows each that only ever grow at their end.

    Row i has a place of its own, whatever was written when. So a checkpoint needs to tell no more than which rows it
    means, and what an unfinished write left behind is written over.
    """

    def __init__(self, directory: Path, rows_per_file: int, width: int) -> None:
        self.directory = directory
        self._rows_per_file = rows_per_file
        self._width = width

    def write(self, first: int, rows: NDArray[np.float32]) -> None:
        """Put rows number `first` and following on the disk; what was there from `first` on is gone."""
        self.directory.mkdir(exist_ok=True)
        for number, start, stop in self._parts(first, first + len(rows)):
            path = self._path(number)
            with path.open("r+b" if path.exists() else "wb") as file:
                file.truncate(start * self._row_bytes)
                file.seek(0, os.SEEK_END)
                offset = number * self._rows_per_file - first
                file.write(np.ascontiguousarray(rows[offset + start : offset + stop], np.float32).tobytes())
                file.flush()
                os.fsync(file.fileno())

    def read(self, first: int, last: int) -> NDArray[np.float32]:
        """Rows number `first` to `last`, without `last`, `[n, width]`.

        Raises:
            CheckpointError: if some of them are missing.
        """
        parts = [np.zeros((0, self._width), np.float32)]
        for number, start, stop in self._parts(first, last):
            path, wanted = self._path(number), (stop - start) * self._width
            if not path.exists():
                raise CheckpointError(f"{path} is missing: the checkpoint needs its transitions")
            values = np.fromfile(path, np.float32, wanted, offset=start * self._row_bytes)
            if len(values) < wanted:
                raise CheckpointError(f"{path} is cut short: the checkpoint needs more of its transitions")
            parts.append(values.reshape(-1, self._width))
        return np.concatenate(parts)

    def forget(self, before: int) -> None:
        """Remove the files all of whose rows come before that number."""
        for path in self.directory.glob("*.rows"):
            if (int(path.stem) + 1) * self._rows_per_file <= before:
                path.unlink()

    @property
    def _row_bytes(self) -> int:
        return self._width * 4

    def _path(self, number: int) -> Path:
        return self.directory / f"{number:08d}.rows"

    def _parts(self, first: int, last: int) -> list[tuple[int, int, int]]:
        """The number of each file that holds some of these rows, and from where to where in it."""
        size = self._rows_per_file
        numbers = range(first // size, -(-last // size)) if last > first else range(0)
        return [(n, max(first - n * size, 0), min(last - n * size, size)) for n in numbers]


class ReplayCheckpoints:
    """Saves a run's state with the rows of its replay, and hardly stops the training for it.

    `save` copies what is new since the last time, and another thread writes it: first the rows, then the checkpoint
    that counts on them, then it removes files that neither this checkpoint nor the one before needs. So there is a
    whole checkpoint at every moment. Close it to wait for the last one.
    """

    def __init__(self, run: Run, replay: Replay) -> None:
        self._run = run
        self._replay = replay
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None
        self._written = 0
        self._oldest_needed = 0

    @property
    def busy(self) -> bool:
        """Whether the last save is still being written."""
        return self._writing is not None and not self._writing.done()

    def save(self, state: Mapping[str, Any]) -> None:
        """Make this state, and the replay as it is now, the checkpoint to go on from.

        Raises:
            OSError: if the save before could not be written.
        """
        self.wait()
        replay = self._replay
        oldest = replay.added - len(replay)
        first = max(self._written, oldest)
        rows = replay.rows(first, replay.added)
        write = self._run.snapshot(_copied({**state, "replay": replay.get_state()}))
        self._writing = self._thread.submit(self._write, first, rows, oldest, write)
        self._written = replay.added

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Bring back the replay of a state that was saved.

        Raises:
            CheckpointError: if some of its transitions are missing.
        """
        replay = self._replay
        count = min(saved["added"], replay.capacity)
        files = self._files(replay.width(saved["choices"]))
        replay.set_state(saved, files.read(saved["added"] - count, saved["added"]))
        self._written = replay.added
        self._oldest_needed = replay.added - count

    def wait(self) -> None:
        """Until the last save is on the disk."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def close(self) -> None:
        """Wait, and end the thread."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()

    def _write(self, first: int, rows: Tensor, oldest: int, write: Any) -> None:
        files = self._files(rows.shape[1])
        if len(rows):
            files.write(first, rows.cpu().numpy())
        write()
        files.forget(before=self._oldest_needed)
        self._oldest_needed = oldest

    def _files(self, width: int) -> RowFiles:
        return RowFiles(self._run.directory / FOLDER, -(-self._replay.capacity // FILES), width)


def _copied(value: Any) -> Any:
    """The same tree, of which nothing changes any more."""
    return _cloned(checkpoint.packed(value))


def _cloned(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _cloned(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cloned(entry) for entry in value)
    return value
