"""A task that can't be solved without a memory: the T-maze of Bakker (2001), learned by PPO with and without one.

`python benchmarks/memory_task.py` prints one JSON object per training and one per kind of policy, over 5 seeds. The
same maze is there for `companion train gym:memory_task:TMaze-v0` with this folder on the PYTHONPATH.

The sign at the start of a corridor says whether the goal is left or right of the junction at its other end. In between
every place looks the same, and so does the junction for both goals: who doesn't remember the sign guesses.

Predicted: at least 95 % of fresh episodes succeed with a memory, about 50 % without.
"""

import argparse
import json
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from companion.cli import _evaluation
from companion.cli._evaluation import Request
from companion.cli._export import TorchPolicy
from companion.cli.verbs.train import Arguments, make_plan
from trainers.common.run import Run

ENVIRONMENT = "TMaze-v0"
CORRIDOR = 10
"""Places between the start and the junction, as in Bakker's first experiment."""
GOAL_REWARD, STANDSTILL_REWARD = 4.0, -0.1
SIGNS = {-1: (0, 1, 1), +1: (1, 1, 0)}
"""What the start shows for a goal to the left and to the right."""
CORRIDOR_VIEW, JUNCTION_VIEW = (1, 0, 1), (0, 1, 0)
LEFT, RIGHT, FORWARD, BACK = range(4)


class TMaze(gymnasium.Env[NDArray[np.float32], np.int64]):
    """The T-maze with discrete moves (Bakker 2001, section 4: left, right, forward, back, seen from above).

    A move into a wall costs 0.1. Either move at the junction ends the episode: 4 at the goal, -0.1 at the other side.
    """

    observation_space = spaces.Box(0.0, 1.0, (3,))
    action_space = spaces.Discrete(4)

    def __init__(self, corridor: int = CORRIDOR) -> None:
        self.corridor = corridor
        self._place, self._goal = 0, 1

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Stand at the start, beside a new sign."""
        super().reset(seed=seed, options=options)
        self._place, self._goal = 0, int(self.np_random.choice((-1, 1)))
        return self._look(), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Move, or bump into a wall."""
        if self._place == self.corridor and action in (LEFT, RIGHT):
            right = bool(action == RIGHT) == (self._goal > 0)
            return self._look(), GOAL_REWARD if right else STANDSTILL_REWARD, True, False, {"is_success": right}
        moved = {FORWARD: 1, BACK: -1}.get(int(action), 0)
        place = min(max(self._place + moved, 0), self.corridor)
        reward = 0.0 if place != self._place else STANDSTILL_REWARD
        self._place = place
        return self._look(), reward, False, False, {"is_success": False}

    def _look(self) -> NDArray[np.float32]:
        if self._place == 0:
            return np.array(SIGNS[self._goal], np.float32)
        return np.array(JUNCTION_VIEW if self._place == self.corridor else CORRIDOR_VIEW, np.float32)


if ENVIRONMENT not in gymnasium.registry:
    gymnasium.register(ENVIRONMENT, f"{Path(__file__).stem}:TMaze", max_episode_steps=100)

SETTINGS = Path(__file__).with_suffix(".yaml")


def train(seed: int, recurrent: bool, steps: int | None, episodes: int) -> dict[str, Any]:
    """Train one policy and judge it, deterministic, on fresh episodes."""
    task = f"gym:{Path(__file__).stem}:{ENVIRONMENT}"
    plan = make_plan(Arguments(task=task, trainer="ppo", config=SETTINGS, seed=seed, steps=steps))
    config = replace(plan.config, recurrent=recurrent)
    with tempfile.TemporaryDirectory() as folder, Run(folder, quiet=True) as run:
        began = time.perf_counter()
        actor = plan.trainer.train(plan.world.make, config, run)
        seconds = time.perf_counter() - began
    request = Request(plan.problem.exam, "trained", episodes, _evaluation.SEED * (1 + seed))
    with closing(plan.world.make(_evaluation.COPIES, request.seed)) as world:
        judged, _ = _evaluation.evaluate(TorchPolicy(actor), world, request)
    return {
        "policy": "recurrent" if recurrent else "memoryless",
        "corridor": CORRIDOR,
        "seed": seed,
        "steps": config.steps,
        "seconds": round(seconds, 1),
        "episodes": judged.episodes,
        "success": judged.success_rate,
        "mean_length": round(judged.metrics["length"].mean, 1),
    }


def main() -> None:
    """Print JSON, one line per training and one per kind of policy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=list(range(5)), help="one training each (default: 0 to 4)"
    )
    parser.add_argument("--steps", type=int, help="to learn from (default: those of memory_task.yaml)")
    parser.add_argument("--episodes", type=int, default=1000, help="to judge on (default: %(default)s)")
    chosen = parser.parse_args()
    for recurrent in (True, False):
        found = []
        for seed in chosen.seeds:
            found.append(train(seed, recurrent, chosen.steps, chosen.episodes))
            print(json.dumps(found[-1]), flush=True)
        rates = [entry["success"] for entry in found]
        summary = {
            "seeds": len(rates),
            "median_success": float(np.median(rates)),
            "least": min(rates),
            "most": max(rates),
        }
        print(json.dumps({"policy": found[0]["policy"], **summary}), flush=True)


if __name__ == "__main__":
    main()
