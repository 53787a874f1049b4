import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainers.common import checkpoint
from trainers.common.run import METRICS, Run


def _steps(directory: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (directory / METRICS).read_text().splitlines()]


def test_plain_state_survives_the_disk(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    state = {
        "random": random.bit_generator.state,  # holds integers of 128 bits
        "arrays": [np.arange(6).reshape(2, 3), np.zeros((0, 4), np.float32), np.array([True, False])],
        "tensor": torch.arange(3),
        "scalar": np.float32(0.1),
        "plain": (1, 2.5, "word", None, True),
    }
    checkpoint.save(tmp_path, state)
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None
    assert loaded["random"] == state["random"]
    for mine, theirs in zip(loaded["arrays"], state["arrays"], strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype
    assert torch.equal(loaded["tensor"], state["tensor"])
    assert loaded["scalar"] == np.float32(0.1)
    assert loaded["plain"] == state["plain"]


def test_what_is_not_plain_is_refused_and_the_old_state_stays(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"step": 1})
    with pytest.raises(TypeError, match=r"plain values, not .*Path"):
        checkpoint.save(tmp_path, {"step": tmp_path})
    assert checkpoint.load(tmp_path) == {"step": 1}


def test_a_half_written_checkpoint_never_replaces_a_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, {"step": 1})

    def torn(state: object, file: object) -> None:
        file.write(b"PK half of it")  # type: ignore[attr-defined]  # stands for torch.save losing power
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", torn)
        with pytest.raises(OSError, match="disk full"):
            checkpoint.save(tmp_path, {"step": 2})
    assert checkpoint.load(tmp_path) == {"step": 1}
    checkpoint.save(tmp_path, {"step": 3})
    assert checkpoint.load(tmp_path) == {"step": 3}


@pytest.mark.parametrize("damage", ["cut short", "garbage", "between the renames"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, damage: str) -> None:
    for step in (1, 2):
        checkpoint.save(tmp_path, {"step": step, "data": np.zeros(1000)})
    current = tmp_path / checkpoint.CURRENT
    if damage == "cut short":
        current.write_bytes(current.read_bytes()[:2000])
    elif damage == "garbage":
        current.write_bytes(os.urandom(5000))
    else:
        current.unlink()
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None
    assert loaded["step"] == 1


def test_nothing_readable_is_said_clearly(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path) is None
    (tmp_path / checkpoint.CURRENT).write_bytes(b"")
    with pytest.raises(checkpoint.CheckpointError, match="no readable checkpoint in"):
        checkpoint.load(tmp_path)


def test_figures_after_the_checkpoint_are_dropped_on_resume(tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run:
        run.log(10, {"a": 1.0, "b": float("nan")})
        run.save({"at": 10})
        run.log(20, {"a": 2.0})
    with (tmp_path / METRICS).open("ab") as file:
        file.write(b'{"step": 30, "a"')  # killed while writing
    with Run(tmp_path, resume=True, quiet=True) as run:
        assert run.load() == {"at": 10}
        run.log(20, {"a": 3.0})
    assert _steps(tmp_path) == [10, 20]
    board = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in board.Scalars("a")] == [(10, 1.0), (20, 3.0)]


def test_a_run_killed_before_its_first_checkpoint_starts_anew(tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run:
        run.log(10, {"a": 1.0})
    with Run(tmp_path, resume=True, quiet=True) as run:
        assert run.load() is None
    assert _steps(tmp_path) == []


def test_a_directory_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    with Run(tmp_path, quiet=True) as run:
        run.save({})
    with pytest.raises(FileExistsError, match="holds a run already"):
        Run(tmp_path)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as Python handles it, also where the tests run in a shell's background job, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_signal_asks_and_the_second_is_handled_as_before(tmp_path: Path, interruptible: None) -> None:
    with Run(tmp_path, quiet=True) as run:
        signal.raise_signal(signal.SIGINT)
        assert run.stop_requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
