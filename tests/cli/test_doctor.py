"""`doctor` prints what was found, and its exit code says whether training can work."""

import json

import pytest

from companion.cli import _doctor_checks
from companion.cli._doctor_checks import Check
from tests.cli.conftest import Companion

FINE = Check("physics", True, "a ball falls")
OPTIONAL = Check("rendering", False, "no display", "set MUJOCO_GL=egl", optional=True)
BROKEN = Check("torch", False, "not [installed]", "run: make setup")


@pytest.mark.parametrize(("found", "code"), [([FINE], 0), ([FINE, OPTIONAL], 0), ([FINE, OPTIONAL, BROKEN], 1)])
def test_only_what_training_needs_counts(
    found: list[Check], code: int, companion: Companion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_doctor_checks, "run_checks", lambda: found)
    shown = companion("doctor")
    assert shown.code == code
    assert all(check.detail in shown.out and check.how_to_fix in shown.out for check in found)
    told = companion("doctor", "--json")
    assert told.code == code and [entry["name"] for entry in json.loads(told.out)] == [check.name for check in found]
