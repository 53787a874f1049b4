"""A ledger on disk: the recorded episodes of a run, an evaluation or a robot, as Parquet, one column per signal.

A ledger is a folder of `part-….parquet` files, whole episodes in each, and `about.json`, which says what was recorded.
A part appears under its name only when it is whole, so that a crash costs no more than the episodes since the last one.
Where a size is agreed, every other part is thinned out when it is reached: what is left still spans the whole run.
"""

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.rewards.recipe import Recipe, recipe_from_text
from companion.rewards.record import Record, joined
from companion.signals import POSE
from companion.tasks import Task

VERSION = 1
ABOUT = "about.json"
SIGNAL = "signal."
"""Columns of signals are called so and then by the signal's name; they stand apart from those of the record itself."""


class LedgerError(ValueError):
    """A ledger that can't be read or written; the message names the file and what is wrong."""


@dataclass(frozen=True)
class About:
    """What a ledger is a record of."""

    task: str
    source: str
    """`training`, `evaluation`, `viewer`, `probes` or `robot`, or what was kept of one."""
    recipe: str
    """The name of the recipe that the recorded reward is of."""
    recipe_hash: str
    recipe_text: str
    discount: float
    """The one that potentials were paid with."""
    control_period_s: float
    copies: int
    """Of the world."""
    recorded_copies: int
    seed: int
    world: Mapping[str, float] = field(default_factory=dict)
    """Perturbations that were fixed, in their units."""
    signals: Mapping[str, str] = field(default_factory=dict)
    """The unit of each signal."""
    commit: str = ""
    version: int = VERSION


class LedgerWriter:
    """Appends records to a ledger from a thread of its own. Closing it waits until all is written.

    Several processes may write into one ledger; each keeps to `limit_mb` by itself.

    Raises:
        LedgerError: if the folder holds another task's ledger.
    """

    def __init__(self, folder: Path, about: About, limit_mb: float = 256.0) -> None:
        self._folder, self._limit_bytes = folder, limit_mb * 1e6
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / ABOUT).exists() and (found := read_about(folder).task) != about.task:
            raise LedgerError(f"{folder} holds a ledger of task '{found}', not of '{about.task}'")
        # An older page is replaced with the first new part: a run that is refused must leave everything as it was.
        self._about: About | None = about
        if not (folder / ABOUT).exists():
            self._write_about()
        self._sizes: dict[Path, int] = {}
        self._next = 1 + max(map(_number, parts_of(folder)), default=-1)
        self._stride, self._skipped = 1, 0
        self._pool = ThreadPoolExecutor(1, "ledger")
        self._pending: Future[None] | None = None

    def add(self, record: Record) -> None:
        """Write these episodes; what went wrong with the ones before is told now."""
        self._wait()
        self._pending = self._pool.submit(self._write, record)

    def close(self) -> None:
        """Wait until everything is on the disk."""
        try:
            self._wait()
        finally:
            self._pool.shutdown()

    def _wait(self) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def _write(self, record: Record) -> None:
        self._skipped = (self._skipped + 1) % self._stride
        if self._skipped:
            return
        self._write_about()
        path = self._claim()
        # Numbers of episodes are unique in the whole ledger, also across processes and runs that go on.
        numbered = record.episode - record.episode[0] + _number(path) * 1_000_000
        _write_parquet(path, record, numbered)
        self._sizes[path] = path.stat().st_size
        if sum(self._sizes.values()) > self._limit_bytes:
            self._thin_out()

    def _write_about(self) -> None:
        if self._about is not None:
            _write_whole(self._folder / ABOUT, json.dumps(asdict(self._about), indent=1).encode())
            self._about = None

    def _claim(self) -> Path:
        """The next part's name, which no other process that writes into this ledger has."""
        while True:
            path = self._folder / f"part-{self._next:06d}.parquet"
            self._next += 1
            with contextlib.suppress(FileExistsError):
                _temporary(path).touch(exist_ok=False)
                # Asked only now: before, another process could have finished this very part in between.
                if not path.exists():
                    return path
                _temporary(path).unlink()

    def _thin_out(self) -> None:
        self._stride *= 2
        for path in sorted(self._sizes)[1::2]:
            path.unlink()
            del self._sizes[path]


@dataclass(frozen=True)
class Ledger:
    """A ledger to read."""

    folder: Path
    about: About

    def recipe(self, task: Task) -> Recipe:
        """The recipe that the recorded reward is of."""
        return recipe_from_text(task, self.about.recipe, self.about.recipe_text)

    def records(self, signals: Sequence[str] | None = None) -> Iterator[Record]:
        """The parts in the order of time, with these signals only, or with all but the poses.

        Raises:
            LedgerError: if a signal was not recorded, or a file is damaged.
        """
        for path in parts_of(self.folder):
            yield _read_parquet(path, signals)

    def read(self, signals: Sequence[str] | None = None) -> Record:
        """All of it at once.

        Raises:
            LedgerError: as `records` does, and if there is no episode.
        """
        found = list(self.records(signals))
        if not found:
            raise LedgerError(f"{self.folder} holds no finished episode")
        return joined(found)

    def numbers(self, most: int) -> list[int]:
        """The numbers of the first episodes.

        Raises:
            LedgerError: if there are none, or a file is damaged.
        """
        found: list[int] = []
        for record in self.records(()):
            found += record.episode[record.starts].tolist()
            if len(found) >= most:
                break
        if not found:
            raise LedgerError(f"{self.folder} holds no finished episode")
        return found[:most]

    def episodes(self, numbers: Sequence[int]) -> Record:
        """The episodes of these numbers in this order, poses included.

        Raises:
            LedgerError: if there is no such episode, or a file is damaged.
        """
        found: dict[int, Record] = {}
        for path in parts_of(self.folder):
            if wanted := set(numbers) & set(_read_parquet(path, ()).episode.tolist()):
                record = _read_parquet(path, poses=True)
                begins = record.episode[record.starts]
                found |= {number: record.of(np.flatnonzero(begins == number)) for number in wanted}
        if missing := [str(number) for number in numbers if number not in found]:
            raise LedgerError(f"{self.folder} holds no episode {', '.join(missing)}")
        return joined([found[number] for number in numbers])

    def last(self) -> Record:
        """The episodes of the last part, poses included.

        Raises:
            LedgerError: if there is none, or it is damaged.
        """
        parts = parts_of(self.folder)
        if not parts:
            raise LedgerError(f"{self.folder} holds no finished episode")
        return _read_parquet(parts[-1], poses=True)


def open_ledger(path: Path) -> Ledger:
    """The ledger in a folder, or in the folder `ledger` of a run directory.

    Raises:
        LedgerError: if there is none, or a newer version wrote it.
    """
    for folder in (path, path / "ledger"):
        if (folder / ABOUT).is_file():
            return Ledger(folder, read_about(folder))
    raise LedgerError(f"{path} holds no ledger (there is no {ABOUT} in it, nor in its folder 'ledger')")


def read_about(folder: Path) -> About:
    """What a ledger says of itself.

    Raises:
        LedgerError: if it can't be read.
    """
    file = folder / ABOUT
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["version"] > VERSION:
            raise LedgerError(f"{file} was written by a newer version of companion ({found['version']})")
        return About(**found)
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise LedgerError(f"{file} is no ledger's page: {error}") from None


def parts_of(folder: Path) -> list[Path]:
    """The files of a ledger in the order of time."""
    return sorted(folder.glob("part-*.parquet"))


def _temporary(path: Path) -> Path:
    """Where a file is written before it is whole."""
    return path.with_suffix(".tmp")


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("part-"))


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)


_COLUMNS = ("step", "terminated", "success", "reward", "transitions")


def _write_parquet(path: Path, record: Record, episode: NDArray[np.int64]) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    columns = {"episode": arrow.array(episode)}
    columns |= {name: arrow.array(getattr(record, name)) for name in _COLUMNS}
    for name, values in record.signals.items():
        flat = arrow.array(np.ascontiguousarray(values).reshape(-1))
        size = values.shape[1]
        columns[SIGNAL + name] = flat if size == 1 else arrow.FixedSizeListArray.from_arrays(flat, size)
    temporary = _temporary(path)
    # Measured on arm_reach: floats hardly repeat, so dictionaries cost a third more space and five times the time.
    parquet.write_table(arrow.table(columns), temporary, compression="zstd", compression_level=1, use_dictionary=False)
    os.replace(temporary, path)


def _read_parquet(path: Path, signals: Sequence[str] | None = None, *, poses: bool = False) -> Record:
    """A part with these signals; None means all, of the poses only if asked for."""
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        file = parquet.ParquetFile(path)
        known = [name.removeprefix(SIGNAL) for name in file.schema_arrow.names if name.startswith(SIGNAL)]
        every = [name for name in known if poses or not name.startswith(POSE)]
        wanted = every if signals is None else list(signals)
        if missing := [name for name in wanted if name not in known]:
            raise LedgerError(f"{path} has no signal {', '.join(missing)}; it has {', '.join(known)}")
        table = file.read([*("episode", *_COLUMNS), *(SIGNAL + name for name in wanted)])
    except (OSError, arrow.ArrowInvalid) as error:
        raise LedgerError(f"{path} is damaged: {error}") from None
    own: dict[str, Any] = {name: table[name].to_numpy() for name in ("episode", *_COLUMNS)}
    return Record({name: _array(table[SIGNAL + name].combine_chunks()) for name in wanted}, **own)


def _array(column: Any) -> NDArray[np.float32]:
    """A column as `[rows, size]`."""
    if hasattr(column, "chunks"):
        column = column.chunk(0)
    rows = len(column)
    flat = column.flatten() if hasattr(column.type, "list_size") else column
    return flat.to_numpy(zero_copy_only=False).reshape(rows, -1)
