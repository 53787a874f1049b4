import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_loop_is_compared_with_a_bare_one() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "python")])}
    command = [sys.executable, "benchmarks/replay.py", "--setups", "0", "--turns", "1", "--gradient-steps", "5"]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(answer.stdout)
    assert found["steps_per_s"] > 0
    assert 0.1 < found["share_of_bare"] < 10
