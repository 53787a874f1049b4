"""Long safety benchmarks are run in pieces: what a file has is not run again, and a torn line is."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fuzz_safety, hil

CELL = hil.Cell("no scan", "trained", 0.1, 0.0, 0.0, 0)


def line(cell: hil.Cell, **given: Any) -> dict[str, Any]:
    """What a run of the cell might have come to."""
    came = {
        "was_moving": True,
        "was_carried": False,
        "stopped_after_s": 0.9,
        "stopping_distance_m": 0.1,
        "moved_again": True,
        "episodes": 0,
        "successes": 0,
        "contacts": [],
        "clearance_m": 0.3,
        "top_speed_mps": 0.22,
        "stops": {},
    }
    return {**vars(cell), "model": hil.model_name(), **came, **given}


def test_the_matrix_goes_on_where_it_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted, ran = hil.cells(quick=True, repeats=1), []
    assert len(wanted) == len({cell.seed for cell in wanted}) == len(hil.KINDS) * 2 * 2
    path = tmp_path / "hil.jsonl"
    path.write_text("\n".join(json.dumps(line(cell)) for cell in wanted[3:]) + '\n{"fault": "no sc')

    class Here:
        def __init__(self, processes: int) -> None: ...
        def __enter__(self) -> "Here":
            return self

        def __exit__(self, *_: object) -> None: ...
        def map(self, _: Any, cells: list[hil.Cell]) -> list[dict[str, Any]]:
            ran.extend(cells)
            return [line(cell) for cell in cells]

    monkeypatch.setattr(hil, "ProcessPoolExecutor", Here)
    for _ in range(2):
        hil.main(["--quick", "--into", str(path)])
    assert ran == wanted[:3] and len(hil.lines_in(path)) == len(wanted)
    assert capsys.readouterr().out.count("| no scan | trained | 2 | 2 | 0.9 | 0.9 | 0.8 | 1 |") == 2
    path.write_text(json.dumps(line(CELL, model="another")) + "\n")
    with pytest.raises(ValueError, match=r"hil\.jsonl, line 1: of another policy"):
        hil.lines_in(path)


def test_what_counts_as_late_and_whose_contact_it_is() -> None:
    """Promised are 0.8 s, and twice the delay of 0.1 s beside."""
    assert not hil.is_late(line(CELL, stopped_after_s=0.99)) and hil.is_late(line(CELL, stopped_after_s=1.01))
    assert hil.is_late(line(CELL, stopped_after_s=None))
    assert not hil.is_late(line(CELL, stopped_after_s=None, was_carried=True)), "it was put down elsewhere"
    touches = [(0.2, False), (0.0, False), (0.2, True)]
    contacts = [{"speed_mps": speed, "is_person": True, "has_walked_in": walked} for speed, walked in touches]
    assert hil.own_contacts(line(CELL, contacts=contacts)) == [0.2]


def test_frames_are_fuzzed_in_pieces_that_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz_safety, "PIECE_FRAMES", 100)
    path = tmp_path / "fuzz.jsonl"
    words = ["--robots", "ur5e", "--into", str(path), "--seed", "3"]
    fuzz_safety.main([*words, "--frames", "100"])
    first = json.loads(capsys.readouterr().out)
    fuzz_safety.main([*words, "--frames", "250"])
    both = json.loads(capsys.readouterr().out)
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    assert [(one["number"], one["size"]) for one in lines] == [(0, 100), (1, 100), (2, 50)]
    assert first["frames"] == 100 and both["frames"] == 250 and both["failures"] == []
    assert sum(both["modes"].values()) == 250 and both["refused"] == sum(one["refused"] for one in lines)
    assert lines[0]["modes"] != lines[1]["modes"] or lines[0]["refused"] != lines[1]["refused"], "each has its own seed"
    fuzz_safety.main([*words, "--frames", "250", "--minutes", "0"])
    assert json.loads(capsys.readouterr().out)["frames"] == 250, "all of it is there"
