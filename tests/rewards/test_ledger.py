"""A ledger comes back as it was written, survives a crash, keeps to its size, and says what is wrong with it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from companion.rewards.ledger import ABOUT, About, LedgerError, LedgerWriter, open_ledger, parts_of
from companion.rewards.record import Record

SIZE = 3


def about(task: str = "arm_reach") -> About:
    return About(
        task=task,
        source="training",
        recipe="full",
        recipe_hash="abc",
        recipe_text="task: arm_reach",
        discount=0.99,
        control_period_s=0.05,
        copies=256,
        recorded_copies=4,
        seed=7,
        world={"payload_kg": 1.5},
        signals={"distance": "m", "joint_speed": "rad/s"},
    )


def record(value: float, rows: int = 50, episodes: int = 2) -> Record:
    random = np.random.default_rng(int(value))
    step = np.tile(np.arange(rows), episodes).astype(np.int32)
    last = step == rows - 1
    return Record(
        signals={
            "distance": np.full((rows * episodes, 1), value, np.float32),
            "joint_speed": random.standard_normal((rows * episodes, SIZE)).astype(np.float32),
        },
        episode=np.repeat(np.arange(episodes), rows).astype(np.int64),
        step=step,
        terminated=last,
        success=last,
        reward=random.standard_normal(rows * episodes).astype(np.float32),
        transitions=np.arange(rows * episodes, dtype=np.int64),
    )


def write(folder: Path, *records: Record, limit_mb: float = 256.0) -> None:
    writer = LedgerWriter(folder, about(), limit_mb)
    for one in records:
        writer.add(one)
    writer.close()


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path / "ledger", record(1), record(2))
    ledger = open_ledger(tmp_path)  # a run directory
    assert ledger.about == about()
    found = ledger.read()
    for name in ("distance", "joint_speed"):
        wanted = np.concatenate([record(1).signals[name], record(2).signals[name]])
        np.testing.assert_array_equal(found.signals[name], wanted)
        assert found.signals[name].dtype == np.float32
    for name in ("step", "terminated", "success", "reward", "transitions"):
        wanted = np.concatenate([getattr(record(1), name), getattr(record(2), name)])
        np.testing.assert_array_equal(getattr(found, name), wanted)
        assert getattr(found, name).dtype == wanted.dtype
    assert len(set(found.episode[found.starts].tolist())) == 4


def test_only_the_signals_asked_for_are_read(tmp_path: Path) -> None:
    write(tmp_path, record(1))
    assert list(open_ledger(tmp_path).read(["distance"]).signals) == ["distance"]
    with pytest.raises(LedgerError, match=r"has no signal power; it has distance, joint_speed"):
        open_ledger(tmp_path).read(["distance", "power"])


def test_a_run_that_goes_on_adds_to_it(tmp_path: Path) -> None:
    write(tmp_path, record(1))
    write(tmp_path, record(2))
    found = open_ledger(tmp_path).read()
    assert found.signals["distance"][found.starts, 0].tolist() == [1, 1, 2, 2]
    assert len(set(found.episode[found.starts].tolist())) == 4


def test_a_writer_that_writes_nothing_leaves_an_older_ledger_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, record(1))
    before = (tmp_path / ABOUT).read_bytes()
    writer = LedgerWriter(tmp_path, replace(about(), seed=8))
    assert (tmp_path / ABOUT).read_bytes() == before
    writer.add(record(2))
    writer.close()
    assert open_ledger(tmp_path).about.seed == 8


def test_two_writers_do_not_overwrite_each_other(tmp_path: Path) -> None:
    first, second = LedgerWriter(tmp_path, about()), LedgerWriter(tmp_path, about())
    for value in (1, 2, 3):
        first.add(record(value))
        second.add(record(10 * value))
    first.close()
    second.close()
    found = open_ledger(tmp_path).read()
    assert sorted(set(found.signals["distance"][:, 0].tolist())) == [1, 2, 3, 10, 20, 30]


def test_a_part_that_another_writer_finishes_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = LedgerWriter(tmp_path, about()), LedgerWriter(tmp_path, about())
    touch = Path.touch

    def touch_late(path: Path, mode: int = 0o666, exist_ok: bool = True) -> None:
        """The other one claims, writes and finishes just before the first writer has its claim."""
        monkeypatch.setattr(Path, "touch", touch)
        second.add(record(2))
        second.close()
        touch(path, mode, exist_ok)

    monkeypatch.setattr(Path, "touch", touch_late)
    first.add(record(1))
    first.close()
    found = open_ledger(tmp_path).read()
    assert sorted(set(found.signals["distance"][:, 0].tolist())) == [1, 2]
    assert not list(tmp_path.glob("*.tmp"))


def test_a_part_that_a_crash_left_half_written_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, record(1))
    (tmp_path / "part-000001.tmp").write_bytes(b"PAR1 half")
    write(tmp_path, record(2))
    assert open_ledger(tmp_path).read().signals["distance"][[0, -1], 0].tolist() == [1, 2]


def test_it_keeps_to_its_size_and_still_spans_the_run(tmp_path: Path) -> None:
    write(tmp_path / "one", record(1))
    (part,) = parts_of(tmp_path / "one")
    room_mb = 8.5 * part.stat().st_size / 1e6
    write(tmp_path / "many", *(record(value) for value in range(100)), limit_mb=room_mb)
    assert sum(path.stat().st_size for path in parts_of(tmp_path / "many")) <= room_mb * 1e6
    kept = sorted(set(open_ledger(tmp_path / "many").read().signals["distance"][:, 0].tolist()))
    assert len(kept) >= 4
    assert kept[0] < 20 and kept[-1] > 80
    gaps = np.diff(kept)
    assert gaps.max() <= 2 * gaps.min()


def test_what_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="holds no ledger"):
        open_ledger(tmp_path)
    LedgerWriter(tmp_path / "empty", about()).close()
    with pytest.raises(LedgerError, match="no finished episode"):
        open_ledger(tmp_path / "empty").read()
    write(tmp_path / "damaged", record(1))
    parts_of(tmp_path / "damaged")[0].write_bytes(b"this is no Parquet")
    with pytest.raises(LedgerError, match=r"part-000000.parquet is damaged"):
        open_ledger(tmp_path / "damaged").read()
    page = tmp_path / "empty" / ABOUT
    page.write_text(json.dumps({**json.loads(page.read_text()), "version": 99}))
    with pytest.raises(LedgerError, match="newer version"):
        open_ledger(tmp_path / "empty")
    page.write_text("{}")
    with pytest.raises(LedgerError, match="is no ledger's page"):
        open_ledger(tmp_path / "empty")


def test_a_folder_with_another_task_is_refused(tmp_path: Path) -> None:
    write(tmp_path, record(1))
    with pytest.raises(LedgerError, match="holds a ledger of task 'arm_reach', not of 'mobile_goto'"):
        LedgerWriter(tmp_path, replace(about(), task="mobile_goto"))


def test_an_error_of_the_disk_reaches_the_caller(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path / "gone", about())
    (tmp_path / "gone" / ABOUT).unlink()
    (tmp_path / "gone").rmdir()
    writer.add(record(1))
    with pytest.raises(OSError, match="part-000000"):
        writer.close()
