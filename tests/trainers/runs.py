"""What a run left behind, and runs that are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from trainers.common.run import METRICS

ROOT = Path(__file__).parents[2]


def figures(directory: Path) -> list[dict[str, Any]]:
    """Every line of the log but for what depends on the clock."""
    lines = [json.loads(line) for line in (directory / METRICS).read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.startswith("Time/")} for line in lines]


def line_count(directory: Path) -> int:
    """How many lines the log has so far."""
    path = directory / METRICS
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_after(new_lines: int, directory: Path, *words: str) -> None:
    """Let Python, called with these words, train in another process and kill it, with no chance to clean up, once it
    logged so many lines more.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "python")])}
    wanted, deadline = line_count(directory) + new_lines, time.monotonic() + 120
    process = subprocess.Popen([sys.executable, *words], env=environment, cwd=ROOT)
    try:
        while line_count(directory) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
