"""The black box keeps whole ticks only, however its writer ended, and never grows."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from companion.deploy import black_box
from companion.deploy.black_box import BlackBox, BlackBoxError, Entry, Page
from companion.deploy.link import Measurement, Quantity
from companion.signals import Signal

SIGNALS = (Signal("speed", 1, "m/s", "How fast."), Signal("place", 2, "m", "Where."))


def page(capacity: int = 5) -> Page:
    return Page(
        task="toy", robot="turtlebot3", model="toy.onnx", model_sha256="ab", control_period_s=0.1, signals=SIGNALS,
        inputs=("scan",), action=("a",), command=("v", "w"), recipe="full", recipe_text="…", discount=0.99,
        started_utc="2026-01-01T00:00:00+00:00", capacity=capacity,
    )  # fmt: skip


def entry(number: int, note: str = "") -> Entry:
    return Entry(
        now_s=0.1 * number, mode=3, is_start=number == 1, tick_s=1e-3, late_s=0.0,
        signals={"speed": np.array([[number]]), "place": np.array([[number, -number]])},
        ages_s={"scan": 0.05}, action=np.array([0.5]), wanted=np.array([0.1, 0.2]), sent=None, note=note,
    )  # fmt: skip


def filled(path: Path, ticks: int, capacity: int = 5) -> Path:
    box = BlackBox(path, page(capacity))
    for number in range(1, ticks + 1):
        box.add(entry(number, f"tick {number}"))
    box.close()
    return path


def test_it_reads_what_was_written(tmp_path: Path) -> None:
    found = black_box.read(filled(tmp_path / "a.box", 3))
    assert found.page == page() and found.torn == 0
    assert found.records["number"].tolist() == [1, 2, 3] and found.records["is_start"].tolist() == [1, 0, 0]
    assert found.signals()["place"].tolist() == [[1, -1], [2, -2], [3, -3]]
    assert found.notes() == ["tick 1", "tick 2", "tick 3"]
    assert found.records["wanted"][0].tolist() == [0.1, 0.2] and np.isnan(found.records["sent"]).all()


def test_the_oldest_ticks_make_room_and_the_file_never_grows(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.box", 3)
    size = path.stat().st_size
    found = black_box.read(filled(tmp_path / "b.box", 12))
    assert (tmp_path / "b.box").stat().st_size == size
    assert found.records["number"].tolist() == [8, 9, 10, 11, 12]


def test_a_record_torn_at_any_byte_is_dropped_and_no_other(tmp_path: Path) -> None:
    """As if the writer died in the middle of tick 8, which goes over the older tick 3."""
    before, after = filled(tmp_path / "a.box", 7).read_bytes(), filled(tmp_path / "b.box", 8).read_bytes()
    size = black_box.fields_of(page()).itemsize
    place = len(after) - 3 * size
    torn, numbers = tmp_path / "torn.box", []
    for written in range(size + 1):
        torn.write_bytes(before[:place] + after[place : place + written] + before[place + written :])
        found = black_box.read(torn)
        numbers = found.records["number"].tolist()
        assert numbers in ([4, 5, 6, 7], [3, 4, 5, 6, 7], [4, 5, 6, 7, 8])
        assert found.torn == (1 if len(numbers) == 4 else 0)
    assert numbers == [4, 5, 6, 7, 8]


def test_a_file_that_was_cut_short_gives_what_is_left(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.box", 5)
    path.write_bytes(path.read_bytes()[:-1])
    assert black_box.read(path).records["number"].tolist() == [1, 2, 3, 4]


def test_ticks_survive_the_kill_of_their_writer(tmp_path: Path) -> None:
    path = tmp_path / "killed.box"
    code = """
        import sys
        from pathlib import Path
        from companion.deploy.black_box import BlackBox
        from tests.deploy.test_black_box import entry, page
        box = BlackBox(Path(sys.argv[1]), page(1000))
        number = 0
        while True:
            number += 1
            box.add(entry(number))
            if number == 200:
                print("under way", flush=True)
    """
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(path)], stdout=subprocess.PIPE, env=_env()
    )
    assert writer.stdout is not None and writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    found = black_box.read(path)
    numbers = found.records["number"]
    assert len(numbers) >= 200 and (np.diff(numbers) == 1).all() and found.torn <= 1


def test_a_full_disk_is_told_at_the_start_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(file: int, start: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(BlackBoxError, match="No space left on device"):
        BlackBox(tmp_path / "a.box", page())
    assert not (tmp_path / "a.box").exists()


def test_a_write_that_fails_later_is_told_and_does_not_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = BlackBox(tmp_path / "a.box", page())
    box.add(entry(1))
    assert not box.failed

    def broken(file: int, content: bytes, place: int) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", broken)
        box.add(entry(2))
    assert box.failed == "Input/output error"
    box.close()


@contextmanager
def no_more_bytes() -> Iterator[None]:
    """The kernel lets this process write to no file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_writes_that_the_kernel_refuses_are_told_until_they_succeed_again(tmp_path: Path) -> None:
    with no_more_bytes(), pytest.raises(BlackBoxError, match=r"a\.box: File too large"):
        BlackBox(tmp_path / "a.box", page())
    assert list(tmp_path.iterdir()) == []
    box = BlackBox(tmp_path / "a.box", page())
    box.add(entry(1))
    with no_more_bytes():
        box.add(entry(2))
        failed = box.failed
    assert failed == "File too large"
    box.add(entry(3))
    assert box.failed == ""
    box.close()
    assert black_box.read(tmp_path / "a.box").records["now_s"].tolist() == pytest.approx([0.1, 0.3])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up_takes_nothing_from_a_black_box_and_lets_no_other_begin(small_disk: Path) -> None:
    box = BlackBox(small_disk / "a.box", page(capacity=100))
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "else").write_bytes(bytes(1 << 20))
    for number in range(1, 251):
        box.add(entry(number))
        assert box.failed == ""
    box.close()
    found = black_box.read(small_disk / "a.box")
    assert found.torn == 0 and found.records["number"].tolist() == list(range(151, 251))
    with pytest.raises(BlackBoxError, match=r"b\.box: No space left on device"):
        BlackBox(small_disk / "b.box", page(capacity=100))
    assert not (small_disk / "b.box").exists()


def test_what_the_link_gave_is_kept_raw_and_what_was_no_measurement_is_seen_to_be_none(tmp_path: Path) -> None:
    quantities = (Quantity("scan", 20, "m"), Quantity("velocity", 2, "m/s"), Quantity("goal", 2, "m"))
    box = BlackBox(tmp_path / "a.box", replace(page(), measured=quantities, needed=("operator",), shadow=True))
    third = 1 / 3  # of a scan only what a float32 holds is kept
    measured = {
        "scan": Measurement(np.full(20, third), 1e9 + third, 5.25),
        "velocity": Measurement(np.zeros(3), 7, 5.0),
    }
    box.add(replace(entry(1), measured=measured, operator=(True, False, True), external="watchdog: silent"))
    wild: Any = {"scan": Measurement(np.full(20, 1e300), np.nan, 1.0), "velocity": None, "goal": "left"}
    box.add(replace(entry(2), measured=wild))
    box.close()
    found = black_box.read(tmp_path / "a.box")
    assert found.page.measured == quantities and found.page.needed == ("operator",) and found.page.shadow
    first, second = found.records
    assert first["measured.scan"].tolist() == [float(np.float32(third))] * 20
    assert first["stamp_s"].tolist()[:2] == [1e9 + third, 7.0] and first["arrived_s"].tolist() == [5.25, 5.0, -np.inf]
    assert np.isnan(first["measured.velocity"]).all(), "one entry too many"
    assert first["operator"].tolist() == [1, 0, 1] and first["external"] == b"watchdog: silent"
    assert np.isinf(second["measured.scan"]).all() and np.isnan(second["arrived_s"]).tolist() == [False, True, True]


@pytest.mark.parametrize("content", [b"", b"CMPNBOX1", b"CMPNBOX1" + bytes(8), b"PK\x03\x04" + bytes(5000)])
def test_what_is_no_black_box_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.box"
    path.write_bytes(content)
    with pytest.raises(BlackBoxError, match=r"x\.box"):
        black_box.read(path)


def test_no_black_box_is_written_over(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.box", 1)
    with pytest.raises(BlackBoxError, match="File exists"):
        BlackBox(path, page())


def _env() -> dict[str, str]:
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "python")])}
