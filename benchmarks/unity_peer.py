"""Success of the exported policies when they drive the Unity project's C# agents, over ML-Agents' own wire.

`python benchmarks/unity_peer.py` builds the project's scripts without an Editor, as tests/unity does (real ML-Agents
assemblies on a small engine of ours, from PyPI and npm), starts the player and judges each policy on as many fresh
episodes of every copy. One JSON object per task. What PhysX would make of it, only an Editor can show.

`python benchmarks/unity_peer.py --build FOLDER` makes the player and tells where it is, to learn in it:
`companion train mobile_goto --world unity --env FOLDER/player.x86_64 --players 2 --copies 64`.

Promised: at least 90 % of 200 episodes of mobile_goto and of arm_reach.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from companion import tasks
from companion.cli._evaluation import wilson_interval
from companion.deploy.actor import OnnxActor
from companion.worlds.unity import UnityWorld

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "exported_models"
TASKS = tuple(tasks.names())
START_LIMIT_S = 300.0
"""For the player to start on a busy machine."""


def measured(
    player: Path, task: str, *, episodes: int, copies: int, seed: int, settings: tuple[str, ...] = ()
) -> dict[str, object]:
    """Judge a policy on `episodes` episodes, as many of each copy, those that each copy began first.

    Args:
        player: the executable.
        task: whose policy.
        episodes: a multiple of `copies`.
        copies: played side by side.
        seed: of the player.
        settings: `KEY=VALUE` of perturbations to fix.
    """
    actor = OnnxActor(MODELS / f"{task}.onnx")
    words = ["--task", task, "--copies", str(copies), *(word for pair in settings for word in ("--set", pair))]
    began_s = time.perf_counter()
    world = UnityWorld(player, seed=seed, additional_args=words, timeout_s=START_LIMIT_S)
    left = np.full(copies, episodes // copies)
    success, length, metrics, decisions = list[float](), list[int](), dict[str, list[float]](), 0
    try:
        observation = world.reset()
        while left.any():
            step = world.step(actor.act(observation))
            observation, ended = step.observation, step.episodes
            decisions += copies
            counts = left[ended.copy] > 0
            left[ended.copy[counts]] -= 1
            success += ended.success[counts].tolist()
            length += ended.length[counts].tolist()
            for name, values in ended.metrics.items():
                metrics.setdefault(name, []).extend(values[counts].tolist())
    finally:
        world.close()
    wins = int(np.sum(success))
    low, high = wilson_interval(wins, len(success))
    return {
        "task": task,
        "episodes": len(success),
        "success": round(wins / len(success), 4),
        "interval": [round(low, 4), round(high, 4)],
        "steps": round(float(np.mean(length)), 1),
        "metrics": {name: round(float(np.mean(values)), 4) for name, values in metrics.items()},
        "decisions": decisions,
        "seconds": round(time.perf_counter() - began_s, 1),
    }


def main() -> None:
    """Print one JSON object per task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, action="append", help="this one; may be told several times (all)")
    parser.add_argument("--episodes", type=int, default=200, help="a multiple of the copies (%(default)s)")
    parser.add_argument("--copies", type=int, default=20, help="played side by side (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the player (%(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="fix a perturbation")
    parser.add_argument("--player", type=Path, help="a player that is there already, such as a real Unity build")
    parser.add_argument("--build", type=Path, metavar="FOLDER", help="only build the player, into this folder")
    settings = parser.parse_args()
    if settings.build is not None:
        print(_built(settings.build.absolute()))
        return
    if settings.player is not None and not settings.player.is_file():
        parser.error(f"no player {settings.player}")
    if settings.copies < 1 or settings.episodes < 1 or settings.episodes % settings.copies:
        parser.error(f"{settings.episodes} episodes are not a multiple of {settings.copies} copies")
    with tempfile.TemporaryDirectory() as folder:
        player = settings.player or _built(Path(folder))
        for task in settings.task or TASKS:
            told = measured(
                player,
                task,
                episodes=settings.episodes,
                copies=settings.copies,
                seed=settings.seed,
                settings=tuple(settings.set),
            )
            print(json.dumps(told), flush=True)


def _built(folder: Path) -> Path:
    """The project's player, or an end with one line that says why there is none."""
    sys.path.insert(0, str(ROOT))
    from tests.unity import peer, toolchain

    found = toolchain.find()
    if isinstance(found, str):
        sys.exit(found)
    return peer.build_player(found, folder)


if __name__ == "__main__":
    main()
