"""Our training time until 95 % of fresh episodes succeed, beside that of Stable-Baselines3 on the very same copies.

`python benchmarks/time_beside_sb3.py arm_reach --trainer ppo sac td3 --seeds 0 1 2` prints one JSON object per training
and one per trainer, with the medians and how many times faster ours is. The two sides take turns, each in a process of
its own with the whole machine: `benchmarks/time_to_success.py` and `benchmarks/sb3/time_to_success.py`, which judge
alike, off the clock. Stable-Baselines3 runs in the environment that `benchmarks/sb3/setup.sh` makes.

Wanted, on an idle machine: 1.2 times faster with PPO, 1.5 times with SAC and TD3.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from companion import tasks

HERE = Path(__file__).parent
WANTED = {"ppo": 1.2, "sac": 1.5, "td3": 1.5}


def train(command: list[str]) -> dict[str, Any]:
    """The object of one training.

    Raises:
        ValueError: if it failed; with its last word.
    """
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent / "python")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise ValueError(f"{' '.join(command[1:4])} failed with {done.returncode}: {reason}")
    return json.loads(done.stdout.splitlines()[0])


def commands(chosen: argparse.Namespace, trainer: str, seed: int) -> dict[str, list[str]]:
    """What trains on either side, alike but for the library."""
    judging = ["--seeds", seed, "--wanted", chosen.wanted, "--episodes", chosen.episodes, "--interval", chosen.interval]
    judging += [] if chosen.steps is None else ["--steps", chosen.steps]
    ours = [sys.executable, HERE / "time_to_success.py", chosen.task, "--trainer", trainer]
    theirs = [chosen.sb3_python, HERE / "sb3" / "time_to_success.py", chosen.task, trainer]
    sides = {"companion": [*ours, *judging], "sb3": [*theirs, *judging]}
    return {name: [str(word) for word in words] for name, words in sides.items()}


def summary(task: str, trainer: str, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Medians over the seeds and their ratio; a seed that never got there counts as infinitely late, told as None."""
    ours, theirs = (float(np.median(seconds[name])) for name in ("companion", "sb3"))
    return {
        "task": task,
        "trainer": trainer,
        "seeds": len(seconds["sb3"]),
        "companion_seconds": _finite(ours),
        "sb3_seconds": _finite(theirs),
        "times_faster": _finite(theirs / ours) if np.isfinite(ours) else None,
        "wanted": WANTED[trainer],
    }


def _finite(value: float) -> float | None:
    return round(value, 2) if np.isfinite(value) else None


def main() -> int:
    """Print JSON, one line per training and one per trainer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=tasks.names())
    parser.add_argument("--trainer", nargs="+", choices=tuple(WANTED), default=list(WANTED), help="(default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default: 0 1 2)")
    parser.add_argument("--steps", type=int, help="give up after these transitions (default: the settings')")
    parser.add_argument("--wanted", type=float, default=0.95, help="success rate, 0 to 1 (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=512, help="per judging (default: %(default)s)")
    parser.add_argument("--interval", type=int, default=25_000, help="transitions between judgings (%(default)s)")
    parser.add_argument("--sb3-python", type=Path, default=HERE.parent / ".venv-sb3/bin/python", help="(%(default)s)")
    chosen = parser.parse_args()
    if not chosen.sb3_python.exists():
        print(f"no {chosen.sb3_python}; benchmarks/sb3/setup.sh makes it", file=sys.stderr)
        return 2
    for trainer in chosen.trainer:
        seconds: dict[str, list[float]] = {"companion": [], "sb3": []}
        for seed in chosen.seeds:
            for library, command in commands(chosen, trainer, seed).items():
                found = train(command)
                print(json.dumps({"library": library, **found}), flush=True)
                seconds[library].append(found["reached"]["seconds"] if found["reached"] else float("inf"))
        print(json.dumps(summary(chosen.task, trainer, seconds)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
