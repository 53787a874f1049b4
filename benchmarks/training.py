"""Training steps per second of PPO end to end, beside the simulator alone, in turns.

`python benchmarks/training.py` prints one JSON object per task, in a minute or two. PPO learns with the recipe's own
settings; after each update its clock is stopped while the simulator alone takes as many decisions with random held
actions. Checkpoints, logs and rewards count as training.

Predicted: at least 0.6 of the simulator alone on two idle cores.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from simulator import WARM_UP_STEPS, held_actions, take

from companion import tasks
from companion.cli.verbs.train import Arguments, Plan, make_plan
from companion.simulator.batch import Simulator
from trainers.common.run import Run

WARM_UP_UPDATES = 3
"""The first updates are not counted: buffers are touched for the first time, and no episode has ended yet."""


class RunInTurns(Run):
    """A run that, whenever the trainer logs an update, lets the simulator alone take as many decisions."""

    def __init__(self, directory: Path, simulator: Simulator) -> None:
        super().__init__(directory, quiet=True)
        self.training_rates: list[float] = []
        self.simulator_rates: list[float] = []
        self._simulator = simulator
        self._actions = held_actions(simulator.copies, len(simulator.task.action), seed=0)
        self._step, self._since = 0, time.perf_counter()

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log, note the speed of the update that ended, and give the simulator its turn."""
        super().log(step, scalars)
        decisions, self._step = step - self._step, step
        self.training_rates.append(decisions / (time.perf_counter() - self._since))
        actions = [next(self._actions) for _ in range(decisions // self._simulator.copies)]
        start = time.perf_counter()
        take(self._simulator, actions)
        self._since = time.perf_counter()
        self.simulator_rates.append(decisions / (self._since - start))


def measure(plan: Plan, updates: int) -> dict[str, Any]:
    """The rates of both, medians over the updates, and the median of their ratio."""
    config = replace(plan.config, steps=(WARM_UP_UPDATES + updates) * plan.config.copies * plan.config.rollout_steps)
    task = tasks.load(plan.record.task)
    simulator = Simulator(task, config.copies, seed=1)
    simulator.reset()
    actions = held_actions(config.copies, len(task.action), seed=1)
    take(simulator, [next(actions) for _ in range(WARM_UP_STEPS)])
    with tempfile.TemporaryDirectory() as folder:
        run = RunInTurns(Path(folder), simulator)
        with run:
            plan.trainer.train(plan.world.make, config, run)
    simulator.close()
    training, alone = (np.array(rates[WARM_UP_UPDATES:]) for rates in (run.training_rates, run.simulator_rates))
    return {
        "task": plan.record.task,
        "recipe": plan.record.recipe,
        "copies": config.copies,
        "updates": len(training),
        "training_per_second": round(float(np.median(training))),
        "simulator_per_second": round(float(np.median(alone))),
        "training_over_simulator": round(float(np.median(training / alone)), 3),
    }


def main() -> None:
    """Print the rates and their ratio as JSON, one line per task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=tasks.names(), help="one task only")
    parser.add_argument("--recipe", help="a name or a file (default: full)")
    parser.add_argument("--updates", type=int, default=25, help="counted, after a warm-up (default: %(default)s)")
    chosen = parser.parse_args()
    for name in [chosen.task] if chosen.task else tasks.names():
        plan = make_plan(Arguments(task=name, recipe=chosen.recipe))
        print(json.dumps(measure(plan, chosen.updates)), flush=True)


if __name__ == "__main__":
    main()
