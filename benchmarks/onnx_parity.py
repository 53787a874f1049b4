"""The greatest difference of any action between torch and onnxruntime, on 10,000 random observations.

`python benchmarks/onnx_parity.py runs/arm_reach` prints one JSON object per run directory; without arguments, for each
task that `make train` trained. The network that the run's checkpoint holds acts in torch, the run's policy.onnx in
onnxruntime, on observations drawn evenly from twice the range that the policy met when it was judged.

Predicted: at most 1e-5.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from companion import tasks
from companion.cli import _run_directory
from companion.cli._export import as_function
from companion.deploy.actor import OnnxActor
from companion.policy_card import PolicyCard
from trainers import ppo
from trainers.common import checkpoint
from trainers.common.actions import ActionSpace


def trained_actor(run: Path, observations: int, actions: int) -> torch.nn.Module:
    """The actor that a run's checkpoint holds.

    Raises:
        ValueError: if there is no checkpoint, or it is not PPO's.
    """
    saved = checkpoint.load(run)
    if saved is None or "learner" not in saved["trainer"]:
        raise ValueError(f"{run} holds no checkpoint of PPO")
    learner = saved["trainer"]["learner"]
    actor, _ = ppo.networks(observations, ActionSpace(actions), ppo.config_from(learner["config"]))
    actor.load_state_dict(learner["actor"])
    return actor.eval()


def random_observations(card: PolicyCard, count: int, seed: int = 0) -> NDArray[np.float32]:
    """Observations `[count, n]` from twice the range that the card tells.

    Raises:
        ValueError: if it tells none.
    """
    span = card.observation_range
    if span is None:
        raise ValueError("the policy's card tells no observation range")
    low, high = np.array(span.low), np.array(span.high)
    share = np.random.default_rng(seed).uniform(-2.0, 2.0, (count, len(low)))
    return ((low + high) / 2 + (high - low) / 2 * share).astype(np.float32)


def measure(run: Path, count: int) -> dict[str, Any]:
    """How far the exported policy is from the trained one."""
    exported = OnnxActor(run / _run_directory.POLICY)
    actor = trained_actor(run, exported.card.layout.size, len(exported.card.action))
    observations = random_observations(exported.card, count)
    difference = np.abs(exported.act(observations) - as_function(actor)(observations))
    return {"run": str(run), "task": exported.card.task, "observations": count, "difference": float(difference.max())}


def main() -> int:
    """Print the differences as JSON; 2 with one line where there is nothing to compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="*", help="finished runs of PPO (default: runs/TASK of every task)")
    parser.add_argument("--observations", type=int, default=10_000, help="(default: %(default)s)")
    chosen = parser.parse_args()
    finished = [Path("runs", name) for name in tasks.names() if Path("runs", name, _run_directory.POLICY).exists()]
    if not (chosen.runs or finished):
        print("onnx_parity: there is no finished run under runs/; `make train` makes them", file=sys.stderr)
        return 2
    try:
        for run in chosen.runs or finished:
            print(json.dumps(measure(run, chosen.observations)), flush=True)
    except ValueError as error:
        print(f"onnx_parity: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
