"""What recording costs a training, and how fast recipes score what was recorded.

`python benchmarks/ledger.py` prints one JSON object per task, in about two minutes. PPO learns with the recipe's own
settings and records as `companion train` does, in every other update only: the rates of both kinds of updates are
taken in one run. Then every recipe of the task scores a recording of random held actions, repeated until it is a
million steps long, in one thread.

Predicted: recording costs less than 5 % of the training's steps/s; a recipe of six terms scores at least 2,000,000
steps/s on one core, reading the files not counted.
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
from simulator import held_actions

from companion import tasks
from companion.cli import _ledgers
from companion.cli.verbs.train import Arguments, Plan, make_plan
from companion.rewards import Recipe, load_recipe, recipes_of
from companion.rewards.ledger import Ledger, open_ledger
from companion.rewards.record import Record, joined, score
from companion.rewards.recorder import Recorder, Taken
from companion.simulator.batch import Simulator
from companion.worlds.embedded import EmbeddedWorld
from trainers.common.run import Run

WARM_UP_UPDATES = 4
RECORDED_COPIES = 64
STEPS_TO_SCORE = 1_000_000
TURNS = 5


class SwitchedRecorder(Recorder):
    """A recorder that can be switched off and on again, and the poses with it; it misses what happens meanwhile."""

    is_on = True
    _inner: Recorder
    _signals_now: Mapping[str, Any]

    def __init__(self, inner: Recorder, simulator: Simulator) -> None:
        self._inner, self._simulator = inner, simulator
        self._poses = simulator._poses

    def start(self, signals: Mapping[str, Any], *, midway: bool = False) -> None:
        """Episodes begin."""
        self._signals_now = signals
        self._inner.start(signals, midway=midway)

    def step(self, taken: Taken) -> None:
        """A decision, taken down or not."""
        self._signals_now = taken.next_signals
        if self.is_on:
            self._inner.step(taken)

    def switch(self) -> None:
        """On if it was off; episodes under way then are not recorded."""
        self._simulator._poses = None if self.is_on else self._poses
        if not self.is_on:
            self._inner.flush()
            self._inner.start({**self._signals_now, **self._simulator._watched()}, midway=True)
        self.is_on = not self.is_on

    def close(self) -> None:
        """Close what is inside."""
        self._inner.close()


class RunInTurns(Run):
    """A run that switches recording off and on with every update and notes the speed of each."""

    recorder: SwitchedRecorder | None = None

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, quiet=True)
        self.rates: dict[bool, list[float]] = {True: [], False: []}
        self._step, self._since = 0, time.perf_counter()

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log and note."""
        super().log(step, scalars)
        assert self.recorder is not None
        self.rates[self.recorder.is_on].append((step - self._step) / (time.perf_counter() - self._since))
        self.recorder.switch()
        self._step, self._since = step, time.perf_counter()


@dataclass(frozen=True)
class SwitchedWorlds:
    """Makes the plan's world with a recorder that the run can switch."""

    plan: Plan
    folder: Path
    run: RunInTurns

    def make(self, copies: int, seed: int) -> EmbeddedWorld:
        """The world."""
        world = self.plan.world.make(copies, seed)
        recording = _ledgers.Recording(self.folder, "training", _ledgers.TRAINING_COPIES)
        recorder = _ledgers.record(world, recording, discount=0.99, seed=seed)
        self.run.recorder = SwitchedRecorder(recorder, world.simulator)
        world.record_with(self.run.recorder)
        return world


def cost(plan: Plan, updates: int, folder: Path) -> dict[str, Any]:
    """The rates of updates with and without recording, medians, and their ratio."""
    decisions = plan.config.copies * plan.config.rollout_steps
    config = replace(plan.config, steps=2 * (WARM_UP_UPDATES + updates) * decisions)
    run = RunInTurns(folder / "run")
    with run:
        plan.trainer.train(SwitchedWorlds(plan, folder / "ledger", run).make, config, run)
    on, off = (float(np.median(run.rates[is_on][WARM_UP_UPDATES:])) for is_on in (True, False))
    return {
        "recorded_copies": _ledgers.TRAINING_COPIES,
        "recording_per_second": round(on),
        "without_per_second": round(off),
        "cost": round(1 - on / off, 4),
    }


def recorded(plan: Plan, folder: Path) -> Ledger:
    """A ledger of random held actions, of every copy until each had several episodes."""
    task = tasks.load(plan.record.task)
    with closing(plan.world.make(RECORDED_COPIES, 0)) as world:
        _ledgers.record(world, _ledgers.Recording(folder, "probes", RECORDED_COPIES), discount=0.99, seed=0)
        world.reset(0)
        actions = held_actions(RECORDED_COPIES, len(task.action), seed=0)
        for _ in range(3 * task.max_episode_steps):
            world.step(next(actions).astype(np.float32))
    return open_ledger(folder)


def scoring(recipe: Recipe, record: Record) -> dict[str, Any]:
    """Steps per second of scoring, the median of some turns."""
    task, rates = tasks.load(recipe.task), []
    for _ in range(TURNS):
        start = time.thread_time()
        score(recipe, task, record, 0.99)
        rates.append(len(record) / (time.thread_time() - start))
    return {"terms": len(recipe.terms), "scored_per_core_second": round(float(np.median(rates)))}


def main() -> None:
    """Print the figures as JSON, one line per task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=tasks.names(), help="one task only")
    parser.add_argument("--updates", type=int, default=40, help="of each kind, after a warm-up (default: %(default)s)")
    chosen = parser.parse_args()
    for name in [chosen.task] if chosen.task else tasks.names():
        with tempfile.TemporaryDirectory() as place:
            plan = make_plan(Arguments(task=name))
            found = cost(plan, chosen.updates, Path(place))
            ledger = recorded(plan, Path(place, "scored"))
            start = time.perf_counter()
            record = ledger.read()
            found["read_per_second"] = round(len(record) / (time.perf_counter() - start))
            found["bytes_per_step"] = round(sum(p.stat().st_size for p in ledger.folder.iterdir()) / len(record))
        long = joined([record] * -(-STEPS_TO_SCORE // len(record)))
        recipes = {recipe: scoring(load_recipe(tasks.load(name), recipe), long) for recipe in recipes_of(name)}
        print(json.dumps({"task": name, **found, "steps_scored": len(long), "recipes": recipes}), flush=True)


if __name__ == "__main__":
    main()
