"""Trains one environment or task with one of our trainers, and prints one JSON object.

`python benchmarks/trainers/learn.py CartPole-v1 ppo --seed 0` trains as `companion train gym:CartPole-v1` does, with
the settings of `benchmarks/trainers/CartPole-v1/ppo.yaml`; a robot's task such as `arm_reach` may stand there as well,
whose recipe holds settings too. The last policy, not the best one, is judged by its deterministic actions on fresh
episodes; how many each copy plays is fixed beforehand, so that short ones count no more.
"""

import argparse
import json
import math
import os
import platform
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from companion import tasks
from companion.cli.verbs.train import Arguments, make_plan
from trainers.common.run import Run

FOLDER = Path(__file__).parent
JUDGING_SEED = 1_000_000
"""Seeds of judging begin here, far from those of training."""


@dataclass(frozen=True)
class Kind:
    """How environments of one kind are judged."""

    prefix: str
    """Of their names on the command line."""
    copies: int
    episodes: int


GYM = Kind("gym:", copies=10, episodes=100)
TASK = Kind("", copies=250, episodes=1000)


@torch.no_grad()
def judge(actor: nn.Module, world: Any, seed: int, episodes: int) -> tuple[list[float], list[float]]:
    """Returns and successes of as many fresh episodes of every copy as make up `episodes`."""
    observation = _fresh(world, seed)
    found: list[list[tuple[float, float]]] = [[] for _ in range(world.num_envs)]
    share = math.ceil(episodes / world.num_envs)
    while any(len(played) < share for played in found):
        mask = world.action_mask
        inputs = [torch.from_numpy(part) for part in (observation, mask) if part is not None]
        step = world.step(actor(*inputs).numpy())
        observation, ended = step.observation, step.episodes
        for copy, total, success in zip(ended.copy, ended.total_reward, ended.success, strict=True):
            found[copy].append((float(total), float(success)))
    totals, successes = zip(*(episode for played in found for episode in played[:share]), strict=True)
    return list(totals), list(successes)


def _fresh(world: Any, seed: int) -> Any:
    """The first observation of episodes that nobody learned in.

    Those of a gymnasium environment start where `benchmarks/sb3/learn.py` judges with the same seed: on Pendulum the
    mean return of 100 episodes differs by more from one set of starts to the next than good policies do.
    """
    if hasattr(world, "reset_each"):
        return world.reset_each([JUDGING_SEED + 1000 * seed + copy for copy in range(world.num_envs)])
    return world.reset(JUDGING_SEED + seed)


def learn(chosen: argparse.Namespace) -> dict[str, Any]:
    """One run: what was learned with, how long it took and what the last policy achieves."""
    name, kept = chosen.environment, FOLDER / chosen.environment / f"{chosen.trainer}.yaml"
    kind = TASK if name in tasks.names() else GYM
    file = chosen.config or (kept if kept.exists() else None)
    plan = make_plan(
        Arguments(
            task=f"{kind.prefix}{name}", trainer=chosen.trainer, config=file, steps=chosen.steps, seed=chosen.seed
        )
    )
    config = replace(plan.config, threads=chosen.threads)
    with tempfile.TemporaryDirectory() as folder, Run(folder, quiet=True) as run:
        start, cpu = time.perf_counter(), _cpu_seconds()
        actor = plan.trainer.train(plan.world.make, config, run)
        seconds, cpu_seconds = time.perf_counter() - start, _cpu_seconds() - cpu
    if run.stop_requested:
        raise SystemExit("stopped before its end")
    with closing(plan.world.make(kind.copies, 0)) as world:
        returns, successes = judge(actor, world, chosen.seed, chosen.episodes or kind.episodes)
    if not np.isfinite(returns).all():
        raise ValueError("the policy's returns are no finite numbers")
    return {
        "library": "companion",
        "environment": name,
        "trainer": chosen.trainer,
        "seed": config.seed,
        "steps": config.steps,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "steps_per_second": round(config.steps / seconds, 1),
        **({"success": float(np.mean(successes)), "episodes": len(successes)} if kind is TASK else {}),
        "returns": [round(value, 3) for value in returns[: GYM.episodes]],
        "settings": {} if file is None else yaml.safe_load(file.read_text(encoding="utf-8")),
        "config": asdict(config),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("gymnasium", "mujoco", "torch", "numpy")},
        },
    }


def _cpu_seconds() -> float:
    """Of this process and of the workers that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", help="a gymnasium id or a robot's task")
    parser.add_argument("trainer", help="a file under trainers/")
    parser.add_argument("--seed", type=int, default=0, help="of the learning; judging has other ones (default: 0)")
    parser.add_argument("--steps", type=int, help="transitions to learn from (default: as the settings say)")
    parser.add_argument("--config", type=Path, help="other settings than those kept here")
    parser.add_argument("--episodes", type=int, help="to judge by (default: 100, of a task 1000)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    print(json.dumps(learn(parser.parse_args())))


if __name__ == "__main__":
    main()
