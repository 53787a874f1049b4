"""Training time until the deterministic policy succeeds in 95 % of fresh episodes, under the full randomisation.

`python benchmarks/time_to_success.py arm_reach --seeds 0 1 2` prints one JSON object per seed and one with the medians.
A policy is trained as `companion train` trains it, and judged now and then on episodes that nobody saw before, other
ones each time; the training clock is stopped meanwhile. The first policy that reaches the rate is judged once more on
fresh episodes, which tells how much luck was in it, and the training ends.

Predicted, on two idle cores: arm_reach in less than 2 minutes, mobile_goto in less than 5.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from companion import tasks
from companion.cli import _evaluation
from companion.cli._evaluation import Request
from companion.cli._export import TorchPolicy
from companion.cli.verbs.train import Arguments, Plan, make_plan
from trainers.common.run import Run


@dataclass(frozen=True)
class Goal:
    """When a policy is good enough, and how that is found out."""

    rate: float
    """Success rate to reach, 0 to 1."""
    episodes: int
    """Fresh episodes of each judging."""
    confirming_episodes: int
    """Fresh episodes on which the first good policy is judged once more."""
    interval: int
    """Transitions between two judgings."""


class Judge:
    """Judges policies, each time on other episodes."""

    def __init__(self, plan: Plan) -> None:
        self._exam = plan.problem.exam
        self._seed = _evaluation.SEED * (1 + plan.config.seed)
        self._world = plan.world.make(_evaluation.COPIES, self._seed)

    def success_rate(self, actor: nn.Module, episodes: int) -> float:
        """The share of fresh episodes that succeed."""
        self._seed += 1
        request = Request(self._exam, "in training", episodes, self._seed)
        evaluation, _ = _evaluation.evaluate(TorchPolicy(actor), self._world, request)
        return evaluation.success_rate

    def close(self) -> None:
        """End the world."""
        self._world.close()


class TimedRun(Run):
    """A run that is judged off the clock, and stops once it is good enough."""

    def __init__(self, directory: Path, judge: Judge, goal: Goal) -> None:
        super().__init__(directory, evaluate=self._judge, quiet=True)
        self.curve: list[dict[str, float]] = []
        self.reached: dict[str, float] | None = None
        self.confirmed: float | None = None
        self._goal, self._judge_of = goal, judge
        self._steps = 0
        self._start, self._paused_s = time.perf_counter(), 0.0

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log, and remember how far the training is."""
        super().log(step, scalars)
        self._steps = step

    def _judge(self, actor: nn.Module) -> dict[str, float]:
        began = time.perf_counter()
        success = self._judge_of.success_rate(actor, self._goal.episodes)
        seconds = round(began - self._start - self._paused_s, 2)
        self.curve.append({"steps": self._steps, "seconds": seconds, "success": success})
        if success >= self._goal.rate:
            self.reached = self.curve[-1]
            self.confirmed = self._judge_of.success_rate(actor, self._goal.confirming_episodes)
            self.request_stop()
        self._paused_s += time.perf_counter() - began
        return {"Success": success}


def train(plan: Plan, goal: Goal) -> dict[str, Any]:
    """When the training was good enough; `reached` is None where it never was."""
    config = replace(plan.config, evaluation_interval=goal.interval)
    with closing(Judge(plan)) as judge, tempfile.TemporaryDirectory() as folder:
        run = TimedRun(Path(folder), judge, goal)
        with run:
            plan.trainer.train(plan.world.make, config, run)
    return {
        "task": plan.record.task,
        "trainer": plan.record.trainer,
        "recipe": plan.record.recipe,
        "seed": config.seed,
        "wanted": goal.rate,
        "episodes": goal.episodes,
        "reached": run.reached,
        "confirmed_success": run.confirmed,
        "confirming_episodes": goal.confirming_episodes,
        "curve": run.curve,
    }


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The medians over the seeds; a seed that never got there counts as infinitely late, told as None."""
    reached = [entry["reached"] for entry in found]
    late = {"seconds": np.inf, "steps": np.inf}
    medians = {name: float(np.median([(entry or late)[name] for entry in reached])) for name in late}
    return {
        "task": found[0]["task"],
        "trainer": found[0]["trainer"],
        "seeds": len(found),
        "seeds_that_reached": sum(entry is not None for entry in reached),
        **{f"median_{name}": value if np.isfinite(value) else None for name, value in medians.items()},
    }


def main() -> None:
    """Print JSON, one line per seed and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=tasks.names())
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one training each (default: 0)")
    parser.add_argument("--trainer", default="ppo", help="a file under trainers/ (default: %(default)s)")
    parser.add_argument("--config", type=Path, help="the trainer's settings in a YAML file")
    parser.add_argument("--recipe", help="a name or a file (default: full)")
    parser.add_argument("--steps", type=int, help="give up after these transitions (default: the recipe's)")
    parser.add_argument("--wanted", type=float, default=0.95, help="success rate, 0 to 1 (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=512, help="per judging (default: %(default)s)")
    parser.add_argument("--confirming-episodes", type=int, default=1000, help="(default: %(default)s)")
    parser.add_argument("--interval", type=int, default=50_000, help="transitions between judgings (%(default)s)")
    chosen = parser.parse_args()
    goal = Goal(chosen.wanted, chosen.episodes, chosen.confirming_episodes, chosen.interval)
    found = []
    for seed in chosen.seeds:
        given = {"recipe": chosen.recipe, "config": chosen.config, "steps": chosen.steps}
        plan = make_plan(Arguments(task=chosen.task, trainer=chosen.trainer, seed=seed, **given))
        found.append(train(plan, goal))
        print(json.dumps(found[-1]), flush=True)
    print(json.dumps(summary(found)))


if __name__ == "__main__":
    main()
