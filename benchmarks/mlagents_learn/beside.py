"""Learns from one trainer configuration with stock `mlagents-learn` and with `companion train`, in turns.

`python benchmarks/mlagents_learn/beside.py --task arm_reach --learner .venv-mlagents/bin/mlagents-learn` prints one
JSON object. Both read the same file and drive the same player through ML-Agents' wire: same copies, network, batch,
buffer and passes. Rates are transitions per second between a run's first line of figures and its last, so that
starting up counts on neither side.

Predicted: at least 3 times as many.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml
from run import Settings, configuration, learn

from companion.rewards import Recipe, load_recipe
from companion.tasks import Task, load


def stock_rate(task: Task, recipe: Recipe, settings: Settings) -> float:
    """Transitions per second of `mlagents-learn`."""
    return learn(task, recipe, settings).steps_per_second


def our_rate(task: Task, recipe: Recipe, settings: Settings) -> float:
    """Transitions per second of `companion train` with the same file."""
    file, folder = settings.folder / f"{task.name}.yaml", settings.folder / "companion"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(configuration(task, recipe, settings)), encoding="utf-8")
    companion = Path(sys.executable).with_name("companion")
    command = [companion, "train", "--config", file, "--env", settings.player, "--run-dir", folder, "--force"]
    command += ["--quiet", "--seed", settings.seed, "--port", settings.port, "--episodes", settings.copies]
    command += ["--env-args", "--task", task.name, "--recipe", recipe.name, "--copies", settings.copies]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    (metrics,) = folder.rglob("metrics.jsonl")
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    told = [(line["step"], line["Time/Elapsed"]) for line in lines if "Time/Elapsed" in line]
    (first_step, first_s), (last_step, last_s) = told[0], told[-1]
    shutil.rmtree(folder)
    return (last_step - first_step) / (last_s - first_s)


def main() -> None:
    """Print the rates of all turns and the median of their ratios as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="arm_reach")
    parser.add_argument("--recipe", default="full")
    parser.add_argument("--learner", type=Path, default=Path(".venv-mlagents/bin/mlagents-learn"))
    parser.add_argument("--folder", type=Path, default=Path("runs/mlagents_beside"))
    parser.add_argument("--copies", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, default=5505)
    parser.add_argument("--steps", type=int, default=100_000, help="transitions of each turn (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="of each (default: %(default)s)")
    chosen = parser.parse_args()
    player = shutil.which("companion-player", path=str(Path(sys.executable).parent))
    if player is None or not chosen.learner.is_file():
        parser.error("companion-player or --learner is missing; benchmarks/mlagents_learn/setup.sh makes the learner")
    settings = Settings(
        learner=chosen.learner.absolute(),
        player=Path(player).absolute(),
        folder=chosen.folder.absolute(),
        copies=chosen.copies,
        seed=chosen.seed,
        port=chosen.port,
        wanted=2.0,  # never: a turn has its full length
        limit_s=3600.0,
        steps=chosen.steps,
        threads=None,
    )
    task = load(chosen.task)
    recipe = load_recipe(task, chosen.recipe)
    rates = [(our_rate(task, recipe, settings), stock_rate(task, recipe, settings)) for _ in range(chosen.turns)]
    ours, theirs = (np.array(column) for column in zip(*rates, strict=True))
    found = {
        "task": task.name,
        "copies": settings.copies,
        "steps": settings.steps,
        "companion_per_second": ours.round().tolist(),
        "mlagents_learn_per_second": theirs.round().tolist(),
        "ratio": round(float(np.median(ours / theirs)), 2),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
