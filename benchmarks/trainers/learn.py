"""Trains one environment with one of our trainers, and prints one JSON object.

`python benchmarks/trainers/learn.py CartPole-v1 ppo --seed 0` trains as `companion train gym:CartPole-v1` does, with
the settings of `benchmarks/trainers/CartPole-v1/ppo.yaml`. The last policy, not the best one, is judged by its
deterministic actions on fresh episodes; how many each copy plays is fixed beforehand, so that short ones count no more.
"""

import argparse
import importlib
import json
import math
import platform
import tempfile
import time
from contextlib import closing
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from companion.worlds.gym import GymWorld
from trainers.common.run import Run

FOLDER = Path(__file__).parent
JUDGING_SEED = 1_000_000
"""Seeds of judging begin here, far from those of training."""
JUDGING_COPIES = 10


def make_world(environment: str, copies: int, seed: int) -> GymWorld:
    """So many copies of a gymnasium environment."""
    return GymWorld(environment, copies=copies, seed=seed)


@torch.no_grad()
def judge(actor: nn.Module, world: GymWorld, seed: int, episodes: int) -> list[float]:
    """The returns of as many fresh episodes of every copy as make up `episodes`."""
    observation = world.reset(JUDGING_SEED + seed)
    returns: list[list[float]] = [[] for _ in range(world.num_envs)]
    share = math.ceil(episodes / world.num_envs)
    while any(len(found) < share for found in returns):
        mask = world.action_mask
        inputs = [torch.from_numpy(part) for part in (observation, mask) if part is not None]
        step = world.step(actor(*inputs).numpy())
        observation = step.observation
        for copy, total in zip(step.episodes.copy, step.episodes.total_reward, strict=True):
            returns[copy].append(float(total))
    return [total for found in returns for total in found[:share]][:episodes]


def settings_of(environment: str, trainer: str) -> dict[str, Any]:
    """Our settings for a trainer on an environment; none where its defaults serve."""
    file = FOLDER / environment / f"{trainer}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8")) or {} if file.exists() else {}


def learn(chosen: argparse.Namespace) -> dict[str, Any]:
    """One run: what was learned with, how long it took and what the last policy returns."""
    trainer = importlib.import_module(f"trainers.{chosen.trainer}")
    settings = settings_of(chosen.environment, chosen.trainer)
    if chosen.config is not None:
        settings = yaml.safe_load(chosen.config.read_text(encoding="utf-8"))
    given = {"steps": chosen.steps, "seed": chosen.seed, "threads": chosen.threads}
    config = trainer.config_from({**settings, **{name: value for name, value in given.items() if value is not None}})
    make = partial(make_world, chosen.environment)
    with tempfile.TemporaryDirectory() as folder, Run(folder, quiet=True) as run:
        start, cpu = time.perf_counter(), time.process_time()
        actor = trainer.train(make, config, run)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    with closing(make(JUDGING_COPIES, 0)) as world:
        returns = judge(actor, world, chosen.seed, chosen.episodes)
    if not np.isfinite(returns).all():
        raise ValueError("the policy's returns are no finite numbers")
    return {
        "library": "companion",
        "environment": chosen.environment,
        "trainer": chosen.trainer,
        "seed": config.seed,
        "steps": config.steps,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "steps_per_second": round(config.steps / seconds, 1),
        "returns": [round(value, 3) for value in returns],
        "settings": settings,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("gymnasium", "torch", "numpy")},
        },
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", help="a gymnasium id")
    parser.add_argument("trainer", help="a file under trainers/")
    parser.add_argument("--seed", type=int, default=0, help="of the learning; judging has other ones (default: 0)")
    parser.add_argument("--steps", type=int, help="transitions to learn from (default: as the settings say)")
    parser.add_argument("--config", type=Path, help="other settings than those kept here")
    parser.add_argument("--episodes", type=int, default=100, help="to judge the last policy by (default: 100)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    print(json.dumps(learn(parser.parse_args())))


if __name__ == "__main__":
    main()
