"""Decisions per second of the simulator alone, beside bare `mujoco.rollout` on the very same physics, in turns.

`python benchmarks/simulator.py` prints one JSON object per task, in a minute. In each turn the simulator takes some
decisions with random held actions, resets included, and then bare `mujoco.rollout` takes the same ones: the calls that
the simulator made are noted beforehand and repeated with the same models, start states, controls and substeps.

Predicted: at least 0.6 of bare `mujoco.rollout`; arm_reach 20,000 and mobile_goto, lidar included, 12,000 decisions per
second with 256 copies on two idle cores.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from mujoco import rollout
from numpy.typing import NDArray

from companion import tasks
from companion.simulator.batch import Simulator, available_threads
from companion.tasks import Task

HOLD_STEPS = 10
"""Random actions are held for this many decisions on average, so that the robots get somewhere."""
WARM_UP_STEPS = 100
"""Decisions before the first turn; the copies' episodes are of different ages afterwards."""


@dataclass(frozen=True)
class Settings:
    """How much to measure."""

    copies: int
    threads: int
    turns: int
    steps: int
    """Decisions per copy and turn."""
    seed: int = 0


@dataclass(frozen=True)
class Call:
    """One call of `Rollout.rollout`: everything that went in."""

    models: Sequence[mujoco.MjModel]
    start: NDArray[np.float64]
    control: NDArray[np.float64]
    options: dict[str, Any]


class NotingRollout:
    """Passes calls on to a `Rollout` and notes them."""

    def __init__(self, inner: rollout.Rollout) -> None:
        self.calls: list[Call] = []
        self._inner = inner

    def rollout(self, models: Any, data: Any, start: Any, control: Any, /, **options: Any) -> None:
        """Note and pass on."""
        self.calls.append(Call(models, start.copy(), control.copy(), options))
        self._inner.rollout(models, data, start, control, **options)


class BareRollout:
    """Repeats noted calls with threads, data and output arrays of its own."""

    def __init__(self, model: mujoco.MjModel, threads: int) -> None:
        self._rollout = rollout.Rollout(nthread=threads)
        self._data = [mujoco.MjData(model) for _ in range(threads)]

    def repeat(self, calls: Sequence[Call]) -> None:
        """Step the same physics again."""
        out = {name: np.empty_like(calls[0].options[name]) for name in ("state", "sensordata")}
        for call in calls:
            self._rollout.rollout(call.models, self._data, call.start, call.control, **{**call.options, **out})

    def close(self) -> None:
        """Stop the threads."""
        self._rollout.close()


def held_actions(copies: int, entries: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Endless random actions `[copies, entries]` in [-1, 1], each held for some decisions."""
    random = np.random.default_rng(seed)
    action = random.uniform(-1.0, 1.0, (copies, entries)).astype(np.float32)
    while True:
        yield action.copy()
        fresh = random.random(copies) < 1 / HOLD_STEPS
        action[fresh] = random.uniform(-1.0, 1.0, (int(fresh.sum()), entries))


def take(simulator: Simulator, actions: Sequence[NDArray[np.float32]]) -> None:
    """Take these decisions in every copy."""
    for action in actions:
        simulator.step(action)


def noted_calls(simulator: Simulator, actions: Sequence[NDArray[np.float32]]) -> list[Call]:
    """What the simulator asks of MuJoCo for these decisions; the simulator is put back to where it was."""
    state, inner = simulator.get_state(), simulator._rollout
    noting: Any = NotingRollout(inner)
    simulator._rollout = noting
    take(simulator, actions)
    simulator._rollout = inner
    simulator.set_state(state)
    return noting.calls


def measure(task: Task, settings: Settings) -> dict[str, Any]:
    """The rates of both, medians over the turns, and the median of their ratio."""
    simulator = Simulator(task, settings.copies, seed=settings.seed, threads=settings.threads)
    bare = BareRollout(simulator.nominal_model, settings.threads)
    actions = held_actions(settings.copies, len(task.action), settings.seed)
    simulator.reset()
    take(simulator, [next(actions) for _ in range(WARM_UP_STEPS)])
    rates = [_turn(simulator, bare, [next(actions) for _ in range(settings.steps)]) for _ in range(settings.turns)]
    simulator.close()
    bare.close()
    ours, theirs = (np.array(column) for column in zip(*rates, strict=True))
    return {
        "task": task.name,
        "copies": settings.copies,
        "threads": settings.threads,
        "turns": settings.turns,
        "substeps": task.substeps,
        "simulator_per_second": round(float(np.median(ours))),
        "bare_rollout_per_second": round(float(np.median(theirs))),
        "simulator_over_bare": round(float(np.median(ours / theirs)), 3),
    }


def _turn(simulator: Simulator, bare: BareRollout, actions: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Decisions per second of the simulator and of bare MuJoCo over the same decisions."""
    calls, decisions = noted_calls(simulator, actions), simulator.copies * len(actions)
    start = time.perf_counter()
    take(simulator, actions)
    middle = time.perf_counter()
    bare.repeat(calls)
    return decisions / (middle - start), decisions / (time.perf_counter() - middle)


def main() -> None:
    """Print the rates and their ratio as JSON, one line per task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=tasks.names(), help="one task only")
    parser.add_argument("--copies", type=int, default=256, help="stepped together (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=available_threads(), help="of physics (default: all cores)")
    parser.add_argument("--turns", type=int, default=15, help="of each (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=25, help="decisions per copy and turn (default: %(default)s)")
    chosen = parser.parse_args()
    settings = Settings(chosen.copies, chosen.threads, chosen.turns, chosen.steps)
    for name in [chosen.task] if chosen.task else tasks.names():
        print(json.dumps(measure(tasks.load(name), settings)), flush=True)


if __name__ == "__main__":
    main()
