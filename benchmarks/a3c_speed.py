"""Steps per second of A3C with several workers, over those with one.

`python benchmarks/a3c_speed.py` prints one JSON object per run and one with the medians and their ratio. Each worker is
one process with one thread on a core of its own, and the number of copies per worker is the same, so that one worker is
exactly a part of the others' team. The clock runs from the first report to the last, which leaves out how long Python
and torch take to start. Measure on an idle machine with as many cores as workers.

Predicted, on two idle cores: 1.6 to 1.9 times one worker.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from companion import tasks
from companion.rewards import load_recipe
from companion.worlds.embedded import EmbeddedWorld
from companion.worlds.gym import GymWorld
from trainers import a3c
from trainers.common.run import Run


@dataclass(frozen=True)
class Effort:
    """What every run has in common."""

    task: str
    steps_per_worker: int
    copies_per_worker: int
    rollout_steps: int


def make_world(task: str, copies: int, seed: int) -> Any:
    """A world of that many copies that uses one thread."""
    if task.startswith("gym:"):
        return GymWorld(task.removeprefix("gym:"), copies=copies, seed=seed)
    chosen = tasks.load(task)
    recipe = load_recipe(chosen, "full")
    return EmbeddedWorld(chosen, recipe, copies=copies, seed=seed, discount=a3c.Config().discount, threads=1)


class TimedRun(Run):
    """Notes when how many steps were done."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, quiet=True)
        self.moments: list[tuple[float, int]] = []

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log, and look at the clock."""
        super().log(step, scalars)
        self.moments.append((time.perf_counter(), step))


def measure(effort: Effort, workers: int, seed: int) -> dict[str, Any]:
    """One training; its speed from the first report to the last."""
    config = a3c.Config(
        steps=effort.steps_per_worker * workers,
        workers=workers,
        copies=effort.copies_per_worker * workers,
        rollout_steps=effort.rollout_steps,
        log_interval=max(effort.steps_per_worker * workers // 20, 1),
        checkpoint_interval_s=1e6,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = TimedRun(Path(folder))
        with run:
            a3c.train(partial(make_world, effort.task), config, run)
    # A worker that reached the end first leaves the other one alone: the last report of all comes from that time.
    (began_s, first), (ended_s, last) = run.moments[workers], run.moments[-workers]
    return {"workers": workers, "seed": seed, "steps_per_s": round((last - first) / (ended_s - began_s), 1)}


def main() -> None:
    """Print JSON, one line per run and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="gym:CartPole-v1", help="gym:ID or a task (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="compared with one (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=60_000, help="per worker and run (default: %(default)s)")
    parser.add_argument("--copies", type=int, default=8, help="per worker (default: %(default)s)")
    parser.add_argument("--rollout-steps", type=int, default=8, help="between updates (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="(default: %(default)s)")
    chosen = parser.parse_args()
    effort = Effort(chosen.task, chosen.steps, chosen.copies, chosen.rollout_steps)
    speeds: dict[int, list[float]] = {1: [], chosen.workers: []}
    for seed in range(chosen.repeats):
        for workers in speeds:  # taking turns, so that what disturbs the machine disturbs both
            found = measure(effort, workers, seed)
            speeds[workers].append(found["steps_per_s"])
            print(json.dumps(found), flush=True)
    median = {workers: float(np.median(values)) for workers, values in speeds.items()}
    ratio = median[chosen.workers] / median[1]
    print(json.dumps({"task": chosen.task, "median_steps_per_s": median, "ratio": round(ratio, 2)}))


if __name__ == "__main__":
    main()
