"""Running `companion` as a user does."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from companion.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """What a user sees."""

    code: int
    out: str
    err: str

    def assert_refused(self, *words: str) -> None:
        """Exit code 2 and one clear line that holds these words."""
        assert self.code == 2, (self.out, self.err)
        assert self.err.count("\n") == 1 and self.err.endswith("\n"), self.err
        assert "Traceback" not in self.err
        missing = [word for word in words if word not in self.err]
        assert not missing, self.err


Companion = Callable[..., Outcome]


@pytest.fixture
def companion(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Companion:
    """Run a verb in this process."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:  # --help
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return run


def environment() -> dict[str, str]:
    """For a process that finds the packages where this one does."""
    path = [str(REPOSITORY / "python"), str(REPOSITORY)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}


def run_process(*words: object, cwd: Path | None = None) -> Outcome:
    """Run a verb in a process of its own."""
    command = [sys.executable, "-m", "companion.cli.main", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=cwd, timeout=120, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)
