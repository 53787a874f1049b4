"""A file is put in place whole or not at all."""

import os
from pathlib import Path

import pytest

from companion.cli import _files
from companion.cli._files import check_writable, write_whole


def test_a_file_is_written_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_whole(path, "größe")
    assert path.read_bytes() == "größe".encode()
    write_whole(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.onnx"
    write_whole(path, "good")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_files.os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "bad")
    monkeypatch.undo()
    assert path.read_text() == "good"
    assert os.listdir(tmp_path) == ["a.onnx"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write here"):
        check_writable(tmp_path / "file" / "folder")
