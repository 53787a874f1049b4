"""Decisions per second of one task: embedded, through the stock ML-Agents client, and as a `UnityWorld`, in turns.

`python benchmarks/wire.py --task arm_reach` prints one JSON object. The turns are short and alternate, so that what
else the machine does falls on all of them alike; ratios are what to look at.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from companion.mlagents.stock import ActionTuple, StatsSideChannel, UnityEnvironment
from companion.rewards import load_recipe
from companion.tasks import Task, load
from companion.worlds.embedded import EmbeddedWorld
from companion.worlds.unity import UnityWorld

SEED = 5
TURN_S = 1.5


def measure(task: Task, player: Path, port: int, *, copies: int, rounds: int) -> dict[str, float]:
    """Decisions per second of every way, the median over the rounds."""
    arguments = ["--task", task.name, "--copies", str(copies)]
    with ExitStack() as stack:
        embedded = EmbeddedWorld(task, load_recipe(task, "full"), copies=copies, discount=0.99, seed=SEED)
        stack.callback(embedded.close)
        statistics = StatsSideChannel()
        client = UnityEnvironment(
            str(player), base_port=port, seed=SEED, additional_args=arguments, side_channels=[statistics]
        )
        stack.callback(client.close)
        world = UnityWorld(player, base_port=port + 1, seed=SEED, additional_args=arguments)
        stack.callback(world.close)
        embedded.reset(SEED)
        world.reset(SEED)
        client.reset()
        ways = {"embedded": embedded.step, "stock_client": stepper(client, statistics), "unity_world": world.step}
        action = np.random.default_rng(SEED).uniform(-1.0, 1.0, (copies, len(task.action))).astype(np.float32)
        rates = {name: [] for name in ways}
        for _ in range(rounds):
            for name, step in ways.items():
                rates[name].append(copies * _steps_per_second(step, action))
    return {name: float(np.median(found)) for name, found in rates.items()}


def stepper(client: UnityEnvironment, statistics: StatsSideChannel) -> Callable[[NDArray[np.float32]], object]:
    """One decision through the stock client, as anybody's training loop takes it."""
    behavior = next(iter(client.behavior_specs))

    def step(action: NDArray[np.float32]) -> object:
        client.set_actions(behavior, ActionTuple(action))
        client.step()
        return client.get_steps(behavior), statistics.get_and_reset_stats()

    return step


def _steps_per_second(step: Callable[[NDArray[np.float32]], object], action: NDArray[np.float32]) -> float:
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < TURN_S:
        step(action)
        count += 1
    return count / elapsed


def main() -> None:
    """Print the rates and their ratios as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="arm_reach")
    parser.add_argument("--copies", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--port", type=int, default=5405)
    parser.add_argument("--player", type=Path, help="the player's executable (companion-player of this environment)")
    chosen = parser.parse_args()
    player = chosen.player or shutil.which("companion-player", path=str(Path(sys.executable).parent))
    if player is None:
        parser.error("companion-player is not installed in this environment; give --player")
    rates = measure(load(chosen.task), Path(player), chosen.port, copies=chosen.copies, rounds=chosen.rounds)
    found = {
        "task": chosen.task,
        "copies": chosen.copies,
        "decisions_per_second": {name: round(rate) for name, rate in rates.items()},
        "stock_client_over_embedded": round(rates["stock_client"] / rates["embedded"], 3),
        "unity_world_over_embedded": round(rates["unity_world"] / rates["embedded"], 3),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
