"""Training time of Stable-Baselines3 on an embedded task, until 95 % of fresh episodes succeed.

`PYTHONPATH=python .venv-sb3/bin/python benchmarks/sb3/time_to_success.py arm_reach ppo --seeds 0 1 2` prints one JSON
object per seed and one with the medians, as `benchmarks/time_to_success.py` does for our trainers, and judges as that
does: the deterministic policy, other fresh episodes each time, the training clock stopped meanwhile. The copies are the
very ones that our trainers learn in (`embedded_world.py`); the settings are `benchmarks/sb3/TASK/TRAINER.yaml`.
"""
# Stable-Baselines3 is not in the project's own environment, where types are checked.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from embedded_world import EmbeddedVecEnv
from learn import make_model
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from companion import tasks
from companion.rewards import load_recipe
from companion.worlds.embedded import EmbeddedWorld

HERE = Path(__file__).parent
JUDGING_SEED = 1_000_000
JUDGING_COPIES = 256


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


class Judge(BaseCallback):
    """Judges the policy off the clock now and then, and stops the learning once it is good enough."""

    def __init__(self, world: EmbeddedWorld, goal: Goal, seed: int) -> None:
        super().__init__()
        self.curve: list[dict[str, float]] = []
        self.reached: dict[str, float] | None = None
        self.confirmed: float | None = None
        self._world, self._goal = world, goal
        self._seed = JUDGING_SEED * (1 + seed)
        self._judged_at = 0
        self._start, self._paused_s = time.perf_counter(), 0.0

    def _on_training_start(self) -> None:
        self._start = time.perf_counter()

    def _on_rollout_start(self) -> None:
        """Between two collections, when the policy has just learned."""
        if self.num_timesteps // self._goal.interval == self._judged_at // self._goal.interval:
            return
        self._judged_at = self.num_timesteps
        began = time.perf_counter()
        success = self._success_rate(self._goal.episodes)
        seconds = round(began - self._start - self._paused_s, 2)
        self.curve.append({"steps": self.num_timesteps, "seconds": seconds, "success": success})
        if success >= self._goal.rate:
            self.reached = self.curve[-1]
            self.confirmed = self._success_rate(self._goal.confirming_episodes)
        self._paused_s += time.perf_counter() - began

    def _on_step(self) -> bool:
        return self.reached is None

    def _success_rate(self, episodes: int) -> float:
        """The share of fresh episodes that succeed; every copy plays as many."""
        self._seed += 1
        world, share = self._world, math.ceil(episodes / self._world.num_envs)
        observation = world.reset(self._seed)
        left = np.full(world.num_envs, share)
        successes = 0
        while left.any():
            step = world.step(self._act(observation))
            observation, episodes_now = step.observation, step.episodes
            counts = left[episodes_now.copy] > 0
            successes += int(np.asarray(episodes_now.success)[counts].sum())
            left[episodes_now.copy[counts]] -= 1
        return successes / (share * world.num_envs)

    def _act(self, observation: np.ndarray) -> np.ndarray:
        normaliser = self.model.get_vec_normalize_env()
        seen = observation if normaliser is None else normaliser.normalize_obs(observation)
        action, _ = self.model.predict(seen, deterministic=True)
        return np.asarray(action, np.float32).reshape(len(observation), -1)


def learn(chosen: argparse.Namespace, goal: Goal, seed: int) -> dict[str, Any]:
    """When the training was good enough; `reached` is None where it never was."""
    settings = yaml.safe_load((chosen.config or HERE / chosen.task / f"{chosen.trainer}.yaml").read_text("utf-8"))
    steps, copies, normalise = settings.pop("n_timesteps"), settings.pop("n_envs"), settings.pop("normalize", None)
    task, discount = tasks.load(chosen.task), settings["gamma"]
    recipe = load_recipe(task, "full")
    world: VecEnv = EmbeddedVecEnv(EmbeddedWorld(task, recipe, copies=copies, discount=discount, seed=seed), seed)
    if normalise is not None:
        world = VecNormalize(world, gamma=discount, **normalise)
    model = make_model(chosen.trainer, world, settings, seed)
    fresh = EmbeddedWorld(task, recipe, copies=JUDGING_COPIES, discount=discount, seed=JUDGING_SEED)
    judge = Judge(fresh, goal, seed)
    model.learn(chosen.steps or steps, callback=judge)
    world.close()
    fresh.close()
    return {
        "library": "sb3",
        "task": task.name,
        "trainer": chosen.trainer,
        "seed": seed,
        "wanted": goal.rate,
        "episodes": goal.episodes,
        "reached": judge.reached,
        "confirmed_success": judge.confirmed,
        "confirming_episodes": goal.confirming_episodes,
        "curve": judge.curve,
    }


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The medians over the seeds; a seed that never got there counts as infinitely late, told as None."""
    late = {"seconds": math.inf, "steps": math.inf}
    medians = {name: float(np.median([(entry["reached"] or late)[name] for entry in found])) for name in late}
    return {
        "library": "sb3",
        "task": found[0]["task"],
        "trainer": found[0]["trainer"],
        "seeds": len(found),
        "seeds_that_reached": sum(entry["reached"] is not None for entry in found),
        **{f"median_{name}": value if math.isfinite(value) else None for name, value in medians.items()},
    }


def main() -> None:
    """Print JSON, one line per seed and one for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=tasks.names())
    parser.add_argument("trainer", choices=("ppo", "sac", "td3"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one training each (default: 0)")
    parser.add_argument("--steps", type=int, help="give up after these transitions (default: the settings')")
    parser.add_argument("--config", type=Path, help="other settings than those kept here")
    parser.add_argument("--wanted", type=float, default=0.95, help="success rate, 0 to 1 (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=512, help="per judging (default: %(default)s)")
    parser.add_argument("--confirming-episodes", type=int, default=1000, help="(default: %(default)s)")
    parser.add_argument("--interval", type=int, default=50_000, help="transitions between judgings (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: %(default)s)")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    goal = Goal(chosen.wanted, chosen.episodes, chosen.confirming_episodes, chosen.interval)
    found = []
    for seed in chosen.seeds:
        found.append(learn(chosen, goal, seed))
        print(json.dumps(found[-1]), flush=True)
    print(json.dumps(summary(found)))


if __name__ == "__main__":
    main()
