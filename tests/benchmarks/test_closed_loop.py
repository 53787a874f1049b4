"""A policy does its task over a real wire, from raw measurements."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_an_arm_reaches_its_targets_over_udp() -> None:
    words = ["--tasks", "arm_reach", "--links", "udp", "--episodes", "2", "--seed", "7"]
    command = [sys.executable, str(ROOT / "benchmarks" / "closed_loop.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = map(json.loads, done.stdout.splitlines())
    assert found["episodes"] == 2 and found["success_rate"] == 1.0 and found["contacts"] == 0
