"""Trains a task with stock `mlagents-learn` on `companion-player`, and prints when its policy reached a success rate.

`python benchmarks/mlagents_learn/run.py --task arm_reach --learner .venv-mlagents/bin/mlagents-learn` prints one JSON
object. The recipe travels as ML-Agents environment parameters. Every checkpoint that the learner exported is judged
afterwards by its deterministic actions on fresh episodes, so that judging takes no time from learning.
"""

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from companion.rewards import Recipe, load_recipe
from companion.tasks import Task, load
from companion.worlds.embedded import EmbeddedWorld

HERE = Path(__file__).parent
SUCCESS = "Environment/Success"
JUDGING_COPIES = 128
CONNECTED = re.compile(r"Connected new brain")
PROGRESS = re.compile(r"Step: (\d+)\. Time Elapsed: ([\d.]+) s")


@dataclass(frozen=True)
class Settings:
    """What to run and when to stop."""

    learner: Path
    """The stock `mlagents-learn`."""
    player: Path
    """The executable of `companion-player`."""
    folder: Path
    """Where results go."""
    copies: int
    seed: int
    port: int
    wanted: float
    """Success rate to reach, 0 to 1."""
    limit_s: float
    """Learning stops after this."""
    steps: int | None
    """Learning stops after these transitions; None for what the configuration says."""
    threads: int | None
    """Physics threads of the player; None for all cores."""


@dataclass(frozen=True)
class Learned:
    """What the learner said while it ran."""

    started_at: float
    """Epoch seconds at which it had the player's first observations."""
    steps_per_second: float
    """Between its first and last progress line."""


def configuration(task: Task, recipe: Recipe, settings: Settings) -> dict[str, Any]:
    """The trainer configuration of a task with a recipe's weights and settings as environment parameters."""
    with open(HERE / f"{task.name}.yaml", encoding="utf-8") as file:
        found = yaml.safe_load(file)
    parameters = {f"reward/{term.name}/weight": float(term.weight) for term in recipe.terms}
    for term in recipe.terms:
        parameters |= {f"reward/{term.name}/{name}": float(value) for name, value in term.settings.items()}
    found["environment_parameters"] = parameters
    if settings.steps is not None:
        found["behaviors"][task.behavior_name]["max_steps"] = settings.steps
    return found


def learn(task: Task, recipe: Recipe, settings: Settings) -> Learned:
    """Run the learner until it is done, good enough or out of time.

    Raises:
        RuntimeError: if it ends without having learnt anything.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    file = settings.folder / f"{task.name}.yaml"
    file.write_text(yaml.safe_dump(configuration(task, recipe, settings)), encoding="utf-8")
    command = [settings.learner, file, "--env", settings.player, "--run-id", task.name, "--force", "--no-graphics"]
    command += ["--results-dir", settings.folder, "--seed", settings.seed, "--base-port", settings.port, "--env-args"]
    command += ["--task", task.name, "--recipe", recipe.name, "--copies", settings.copies]
    command += ["--threads", settings.threads] if settings.threads else []
    words = [str(word) for word in command]
    # A shell's background job ignores SIGINT, and so would the learner that is started from it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            return _follow(process, task, settings)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


def _follow(process: "subprocess.Popen[str]", task: Task, settings: Settings) -> Learned:
    """Read along; stop the learner once its own success rate is what is wanted, or the time is over."""
    started_at, progress, lines = 0.0, [], []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip())
        if CONNECTED.search(line):
            started_at = time.time()
        if match := PROGRESS.search(line):
            print(line.strip(), file=sys.stderr)
            progress.append((int(match[1]), float(match[2])))
            is_over = time.time() - started_at > settings.limit_s or is_good_enough(task, settings)
            if is_over and process.poll() is None:
                process.send_signal(signal.SIGINT)
    if len(progress) < 2:
        raise RuntimeError("mlagents-learn learnt nothing; its last words: " + " | ".join(lines[-5:]))
    (first_step, first_s), (last_step, last_s) = progress[0], progress[-1]
    return Learned(started_at, (last_step - first_step) / (last_s - first_s))


def is_good_enough(task: Task, settings: Settings) -> bool:
    """Whether the last two summaries of the exploring policy reached what is wanted of the deterministic one."""
    last = success_curve(settings.folder / task.name)[-2:]
    return len(last) == 2 and all(rate >= settings.wanted for _, rate in last)


def success_curve(folder: Path) -> list[tuple[int, float]]:
    """(step, success rate while exploring) as the learner wrote it for TensorBoard."""
    found: list[tuple[int, float]] = []
    for file in folder.glob("*/events.out.tfevents*"):
        events = EventAccumulator(str(file))
        events.Reload()
        if SUCCESS in events.Tags()["scalars"]:
            found += [(event.step, event.value) for event in events.Scalars(SUCCESS)]
    return sorted(found)


def judged(task: Task, recipe: Recipe, folder: Path, started_at: float, episodes: int) -> Iterator[dict[str, float]]:
    """Each exported checkpoint in order: its steps, seconds of learning, and success over fresh episodes."""
    files = {int(file.stem.rsplit("-", 1)[1]): file for file in folder.glob("*/*-*.onnx")}
    for step in sorted(files):
        rate = success_rate(task, recipe, files[step], episodes)
        yield {"steps": step, "seconds": round(files[step].stat().st_mtime - started_at, 1), "success": round(rate, 4)}


def success_rate(task: Task, recipe: Recipe, model: Path, episodes: int, seed: int = 1_000_003) -> float:
    """Success of the deterministic policy, over the first episodes of every copy, so that short ones count no more."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    world = EmbeddedWorld(task, recipe, copies=JUDGING_COPIES, discount=0.99, seed=seed)
    per_copy = max(1, round(episodes / JUDGING_COPIES))
    counted, successes = np.zeros(JUDGING_COPIES, np.int64), 0
    observation = world.reset(seed)
    while counted.min() < per_copy:
        (action,) = session.run(["deterministic_continuous_actions"], {"obs_0": observation})
        step = world.step(np.asarray(action, np.float32))
        fresh = counted[step.episodes.copy] < per_copy
        successes += int(step.episodes.success[fresh].sum())
        counted[step.episodes.copy] += 1
        observation = step.observation
    world.close()
    return successes / (per_copy * JUDGING_COPIES)


def main() -> None:
    """Learn, judge, and print what came of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="arm_reach")
    parser.add_argument("--recipe", default="full")
    parser.add_argument("--learner", type=Path, default=Path(".venv-mlagents/bin/mlagents-learn"))
    parser.add_argument("--player", type=Path, help="the player's executable (companion-player of this environment)")
    parser.add_argument("--folder", type=Path, default=Path("runs/mlagents_learn"))
    parser.add_argument("--copies", type=int, default=64)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, default=5505)
    parser.add_argument("--wanted", type=float, default=0.95)
    parser.add_argument("--limit-s", type=float, default=3600.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--episodes", type=int, default=512, help="to judge each checkpoint by")
    chosen = parser.parse_args()
    player = chosen.player or shutil.which("companion-player", path=str(Path(sys.executable).parent))
    if player is None:
        parser.error("companion-player is not installed in this environment; give --player")
    if not chosen.learner.is_file():
        parser.error(f"there is no {chosen.learner}; benchmarks/mlagents_learn/setup.sh makes it")
    named = ("copies", "seed", "port", "wanted", "limit_s", "steps", "threads")
    settings = Settings(
        learner=chosen.learner.absolute(),
        player=Path(player).absolute(),
        folder=chosen.folder.absolute(),
        **{name: getattr(chosen, name) for name in named},
    )
    task = load(chosen.task)
    recipe = load_recipe(task, chosen.recipe)
    learned = learn(task, recipe, settings)
    checkpoints = list(judged(task, recipe, settings.folder / task.name, learned.started_at, chosen.episodes))
    reached = next((entry for entry in checkpoints if entry["success"] >= settings.wanted), None)
    found = {
        "task": task.name,
        "recipe": recipe.name,
        "copies": settings.copies,
        "steps_per_second": round(learned.steps_per_second),
        "wanted": settings.wanted,
        "reached": reached,
        "checkpoints": checkpoints,
        "success_while_exploring": success_curve(settings.folder / task.name),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
