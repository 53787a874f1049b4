"""A ring file that holds the last minutes of a robot's ticks, whatever ends the runtime.

The file has its full size from the beginning, so that a disk that fills up later takes nothing from it. One record of
fixed size is written per tick, in one go, with a number and a checksum: a record that a crash tore is dropped when the
file is read, and no other one suffers. What was written survives the process; it survives the loss of power as far as
the kernel has put it on the disk, which it does within seconds.

    header    8 bytes "CMPNBOX1", u32 length of the page, u32 CRC-32 of the page, the page (JSON, UTF-8), zeros up to a
              multiple of 4096
    records   as the page's `fields` say, little-endian; the last field is the CRC-32 of all before it
"""

from __future__ import annotations

import json
import os
import struct
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping  # noqa: UP035 (Python 3.8)

import numpy as np

from companion.deploy.link import Quantity
from companion.signals import Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from companion.deploy.link import Measurement

MAGIC = b"CMPNBOX1"
_HEAD = struct.Struct("<8sII")
_BLOCK = 4096
NOTE_BYTES = 128
"""Of what the runtime has to say about a tick: why it stopped, which limits stepped in."""
EXTERNAL_BYTES = 64
WIDE = 16
"""A quantity of more entries, as a scan, is kept in float32, as it travels on every wire; the others in float64."""
ABSENT_S = -np.inf
"""The time of arrival of what has not come yet."""


class BlackBoxError(ValueError):
    """A file that can't be read or written; the message names it and what is wrong."""


@dataclass(frozen=True)
class Page:
    """What stands once at the beginning of the file."""

    task: str
    robot: str
    model: str
    model_sha256: str
    control_period_s: float
    signals: tuple[Signal, ...]
    """As the task calls them, in the order of a record."""
    inputs: tuple[str, ...]
    """Measured quantities whose ages are recorded."""
    action: tuple[str, ...]
    command: tuple[str, ...]
    recipe: str
    """What the policy was trained for, as its card has it."""
    recipe_text: str
    discount: float
    started_utc: str
    """ISO 8601."""
    capacity: int
    """Records; the oldest is overwritten."""
    measured: tuple[Quantity, ...] = ()
    """What the link gives, raw, so that the runtime can be replayed; () in files of before this was kept."""
    needed: tuple[str, ...] = ()
    """Optional quantities without which this robot was not to move."""
    shadow: bool = False
    """Nothing was sent: somebody else drove."""


@dataclass(frozen=True)
class Entry:
    """One tick."""

    now_s: float
    """By the runtime's clock."""
    mode: int
    is_start: bool
    """The policy begins anew on this tick."""
    tick_s: float
    """How long the tick's work took."""
    late_s: float
    """How long after its deadline it began."""
    signals: Mapping[str, NDArray[np.float64]] | None
    """`[1, size]` each; None where they could not be felt."""
    ages_s: Mapping[str, float]
    action: NDArray[np.float64] | None
    wanted: NDArray[np.float64] | None
    """What the policy's action stands for."""
    sent: NDArray[np.float64] | None
    """What the robot was really told."""
    note: str
    measured: Mapping[str, Measurement] | None = None
    """As the link gave it, the newest of everything."""
    operator: tuple[bool, bool, bool] = (False, False, False)
    """Enabled, stop, reset: what the person beside the runtime asked for."""
    external: str = ""
    """What spoke against moving that is no measurement."""


def fields_of(page: Page) -> np.dtype[np.void]:
    """The layout of a record, little-endian and without gaps."""
    width = sum(signal.size for signal in page.signals)
    return np.dtype(
        [
            ("number", "<u8"), ("now_s", "<f8"), ("wall_s", "<f8"), ("mode", "u1"), ("is_start", "u1"), ("felt", "u1"),
            ("tick_s", "<f4"), ("late_s", "<f4"), ("signals", "<f4", (width,)), ("ages_s", "<f4", (len(page.inputs),)),
            ("action", "<f4", (len(page.action),)), ("wanted", "<f8", (len(page.command),)),
            ("sent", "<f8", (len(page.command),)), ("note", f"S{NOTE_BYTES}"), *_raw_fields(page), ("crc", "<u4"),
        ]
    )  # fmt: skip


def _raw_fields(page: Page) -> list[Any]:
    """Of what the runtime heard."""
    if not page.measured:
        return []
    count = len(page.measured)
    values = [(f"measured.{one.name}", "<f4" if one.size > WIDE else "<f8", (one.size,)) for one in page.measured]
    times = [("stamp_s", "<f8", (count,)), ("arrived_s", "<f8", (count,))]
    return [("operator", "u1", (3,)), ("external", f"S{EXTERNAL_BYTES}"), *times, *values]


class BlackBox:
    """Writes one file.

    Raises:
        BlackBoxError: if the file is there already, can't be made, or the disk has no room for it.
    """

    def __init__(self, path: Path, page: Page) -> None:
        self._page, self._fields = page, fields_of(page)
        self._record = np.zeros((), self._fields)
        self._count, self.failed = 0, ""
        header = _header(page, self._fields)
        self._first = len(header)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        except OSError as error:
            raise BlackBoxError(f"black box {path}: {error.strerror}") from None
        try:
            _reserve(self._file, self._first + page.capacity * self._fields.itemsize)
            os.pwrite(self._file, header, 0)
            os.fsync(self._file)
        except OSError as error:
            os.close(self._file)
            path.unlink()
            raise BlackBoxError(f"black box {path}: {error.strerror}") from None

    def add(self, entry: Entry) -> None:
        """Write a tick. It never raises: what went wrong stands in `failed`, and the runtime stops the robot for it."""
        with np.errstate(all="ignore"):  # what is too large for a float32 becomes infinite
            self._fill(entry)
        content = self._record.tobytes()
        place = self._first + (self._count % self._page.capacity) * len(content)
        self._count += 1
        try:
            written = os.pwrite(self._file, content, place)
            self.failed = "" if written == len(content) else "no room"
        except OSError as error:
            self.failed = error.strerror or "can't be written"

    def close(self) -> None:
        """Put everything on the disk."""
        try:
            os.fsync(self._file)
        except OSError as error:
            self.failed = error.strerror or "can't be written"
        finally:
            os.close(self._file)

    def _fill(self, entry: Entry) -> None:
        record, page = self._record, self._page
        record["number"], record["now_s"], record["wall_s"] = self._count + 1, entry.now_s, time.time()
        record["mode"], record["is_start"], record["felt"] = entry.mode, entry.is_start, entry.signals is not None
        record["tick_s"], record["late_s"] = entry.tick_s, entry.late_s
        signals = entry.signals
        record["signals"] = (
            np.nan if signals is None else np.concatenate([signals[one.name][0] for one in page.signals])
        )
        record["ages_s"] = [entry.ages_s.get(name, np.inf) for name in page.inputs]
        for name in ("action", "wanted", "sent"):
            value = getattr(entry, name)
            record[name] = np.nan if value is None else value
        record["note"] = entry.note.encode("utf-8", "replace")[:NOTE_BYTES]
        if page.measured:
            self._fill_raw(entry)
        record["crc"] = zlib.crc32(self._record.tobytes()[:-4])

    def _fill_raw(self, entry: Entry) -> None:
        record, measured = self._record, entry.measured or {}
        record["operator"], record["external"] = entry.operator, entry.external.encode("utf-8", "replace")
        for place, quantity in enumerate(self._page.measured):
            has_come = quantity.name in measured
            one = measured.get(quantity.name)
            record["stamp_s"][place] = _number(getattr(one, "stamp_s", None))
            record["arrived_s"][place] = _number(getattr(one, "arrived_s", None)) if has_come else ABSENT_S
            record[f"measured.{quantity.name}"] = _numbers(getattr(one, "values", None), quantity.size)


def _number(value: Any) -> float:
    """Not a number where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _numbers(values: Any, size: int) -> NDArray[np.float64]:
    """Not numbers where they are none, or not so many: what the runtime refuses once it refuses again."""
    try:
        with np.errstate(all="ignore"):
            found = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.zeros(0)
    return found if found.shape == (size,) else np.full(size, np.nan)


@dataclass(frozen=True)
class Recording:
    """What a black box held; arrays over ticks, the oldest first."""

    page: Page
    records: NDArray[np.void]
    """With the fields of `fields_of`."""
    torn: int
    """Records that were not whole."""

    def signals(self) -> dict[str, NDArray[np.float32]]:
        """`[ticks, size]` each; not a number where they could not be felt."""
        ends = np.cumsum([signal.size for signal in self.page.signals])
        parts = np.split(self.records["signals"], ends[:-1], axis=1)
        return {signal.name: part for signal, part in zip(self.page.signals, parts)}  # noqa: B905 (Python 3.8)

    def notes(self) -> list[str]:
        """What the runtime said of each tick."""
        return [bytes(note).rstrip(b"\0").decode("utf-8", "replace") for note in self.records["note"]]


def read(path: Path) -> Recording:
    """What a black box holds.

    Raises:
        BlackBoxError: if it is none, or its header is damaged.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise BlackBoxError(f"{path}: {error.strerror}") from None
    page, first = _read_page(content, path)
    fields = fields_of(page)
    whole = (len(content) - first) // fields.itemsize
    records = np.frombuffer(content, fields, min(whole, page.capacity), first)
    used = records["number"] > 0
    good = np.array([bool(row["number"]) and zlib.crc32(row.tobytes()[:-4]) == row["crc"] for row in records], np.bool_)
    kept = records[good]
    order = np.argsort(kept["number"], kind="stable")
    return Recording(page, kept[order], int(np.count_nonzero(used & ~good)))


def is_black_box(path: Path) -> bool:
    """Whether the file begins like one."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _header(page: Page, fields: np.dtype[np.void]) -> bytes:
    told = {**asdict(page), "fields": [list(map(str, one)) for one in fields.descr]}
    text = json.dumps(told, allow_nan=False).encode()
    content = _HEAD.pack(MAGIC, len(text), zlib.crc32(text)) + text
    return content + bytes(-len(content) % _BLOCK)


def _read_page(content: bytes, path: Path) -> tuple[Page, int]:
    if len(content) < _HEAD.size or content[: len(MAGIC)] != MAGIC:
        raise BlackBoxError(f"{path}: no black box of a robot")
    _, length, crc = _HEAD.unpack_from(content)
    text = content[_HEAD.size : _HEAD.size + length]
    if len(text) != length or zlib.crc32(text) != crc:
        raise BlackBoxError(f"{path}: the black box's header is damaged")
    try:
        told: dict[str, Any] = json.loads(text)
        del told["fields"]
        signals = tuple(Signal(**one) for one in told.pop("signals"))
        measured = tuple(Quantity(**one) for one in told.pop("measured", ()))
        lists = {name: tuple(told.pop(name, ())) for name in ("inputs", "action", "command", "needed")}
        page = Page(signals=signals, measured=measured, **lists, **told)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BlackBoxError(f"{path}: the black box's header is of another version") from None
    size = _HEAD.size + length
    return page, size + -size % _BLOCK


def _reserve(file: int, size: int) -> None:
    """Give the file its full size on the disk, not only in its directory."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    for place in range(0, size, 1 << 20):
        os.pwrite(file, bytes(min(1 << 20, size - place)), place)
