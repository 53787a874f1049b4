"""A run directory: everything needed to repeat and judge a training.

run.json         task, trainer, recipe, world, git commit, versions
config.yaml      the trainer's resolved settings, as `--config` takes them
recipe.yaml      the recipe as it was; a robot's task only
metrics.jsonl, checkpoint.pt, events…   written by the trainer
ledger/      the signals of some copies, for `companion rewards`
curriculum.json   the stages reached, of a world that can't tell its state
self_play.yaml, self_play.json   settings of self-play; everybody's rating
opponents/, opponent/   exported opponents of self-play; the run in which they learn
alarms.jsonl, alarms/   reasons to look at the reward, and an episode for each
policy.onnx, policy.unity.onnx, evaluation.json, report.html   written at the end
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from companion.cli import _provenance
from companion.cli._files import check_writable, write_whole
from companion.rewards import Recipe, recipe_from_text
from companion.tasks import Task
from companion.yaml_file import read

RUN, CONFIG, RECIPE, METRICS = "run.json", "config.yaml", "recipe.yaml", "metrics.jsonl"
CHECKPOINTS = ("checkpoint.pt", "checkpoint.previous.pt")
LEDGER = "ledger"
SELF_PLAY = "self_play.yaml"
POLICY, UNITY_POLICY, EVALUATION = "policy.onnx", "policy.unity.onnx", "evaluation.json"


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` says."""

    task: str
    trainer: str
    recipe: str
    """Empty where the environment rewards by itself."""
    recipe_hash: str
    world: str
    player: str | None
    players: int
    port: int | None
    set: Mapping[str, Any]
    git_commit: str
    date: str
    versions: Mapping[str, str]
    actions: Literal["continuous", "discrete"] = "continuous"
    """Of a robot's task: computed, or picked among its motions."""


def holds_a_run(directory: Path) -> bool:
    """Whether something was learned there that would be a pity to lose; a start that failed at once leaves nothing."""
    if not (directory / RUN).exists():
        return False
    if any((directory / name).exists() for name in (*CHECKPOINTS, POLICY)):
        return True
    return (directory / METRICS).exists() and (directory / METRICS).stat().st_size > 0


def others_in(directory: Path, ours: Collection[str] = (RUN, CONFIG, RECIPE, METRICS, LEDGER, SELF_PLAY)) -> list[str]:
    """What stands in a directory and was not left there by a start that failed."""
    names = [path.name for path in directory.iterdir()] if directory.exists() else []
    return sorted(name for name in names if name not in ours and not name.startswith("."))


@dataclass(frozen=True)
class Wish:
    """What the user wants with a run that is there already."""

    resume: bool
    force: bool
    is_named: bool
    """Whether he said which."""


def goes_on_there(
    directory: Path,
    wish: Wish,
    holds: Callable[[Path], bool] = holds_a_run,
    others: Callable[[Path], list[str]] = others_in,
) -> bool:
    """Whether a run is resumed; refuses a directory that holds something else.

    Raises:
        ValueError: if the directory holds a run and neither --resume nor --force says what to do with it.
    """
    if wish.resume and wish.force:
        raise ValueError("--resume and --force contradict each other")
    if wish.resume and not wish.is_named:
        raise ValueError("--resume needs --run-dir, to know which run")
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"{directory} is a file, not a folder")
    if holds(directory):
        if not wish.resume and not wish.force:
            raise ValueError(
                f"{directory} holds a run; --resume goes on with it, --force keeps it aside and starts anew"
            )
        return wish.resume
    if found := others(directory):
        raise ValueError(f"{directory} is no run and not empty ({found[0]}); choose another --run-dir")
    return False


def new_record(old: RunRecord | None, **facts: Any) -> RunRecord:
    """The record of a run that begins now, or goes on from where `old` was written."""
    commit = _provenance.git_commit()
    both = commit if old is None or old.git_commit == commit else f"{old.git_commit}, then {commit}"
    return RunRecord(**facts, git_commit=both, date=_provenance.now(), versions=_provenance.library_versions())


def check_same(directory: Path, old: RunRecord, new: RunRecord) -> None:
    """Refuse to go on with another run than was begun.

    Raises:
        ValueError: naming what differs.
    """
    for name in ("task", "trainer", "recipe_hash", "world", "set", "actions"):
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            raise ValueError(f"{directory} can't be resumed: its {name} was {was!r}, now it is {now!r}")


def read_record(directory: Path) -> RunRecord:
    """What a run directory says of itself.

    Raises:
        ValueError: if it is no run directory, or its `run.json` can't be read.
    """
    path = directory / RUN
    try:
        return RunRecord(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ValueError(f"{directory} is no run directory: it has no {RUN}") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a run's record: {error}") from None


def read_config(directory: Path) -> dict[str, Any]:
    """The trainer's settings of a run."""
    data = read(directory / CONFIG).data
    if not isinstance(data, dict):
        raise ValueError(f"{directory / CONFIG}: not a mapping of settings")
    return data


def read_recipe(directory: Path, task: Task, name: str) -> Recipe:
    """The recipe that a run was started with."""
    return recipe_from_text(task, name, (directory / RECIPE).read_text(encoding="utf-8"))


def steps_done(directory: Path) -> int:
    """Transitions that the run learned from, by the last line of its metrics; 0 where there is none."""
    lines = (directory / METRICS).read_bytes().splitlines() if (directory / METRICS).exists() else []
    return int(json.loads(lines[-1])["step"]) if lines else 0


def begin(directory: Path, record: RunRecord, config: Any, recipe: Recipe | None) -> None:
    """Write down what is about to be trained, the record last: a directory with it is complete."""
    check_writable(directory)
    write_config(directory, config)
    if recipe is not None:
        write_whole(directory / RECIPE, recipe.text)
    write_whole(directory / RUN, json.dumps(asdict(record), indent=1) + "\n")


def write_config(directory: Path, config: Any) -> None:
    """Write a trainer's settings as `--config` reads them."""
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(config).items()}
    write_whole(directory / CONFIG, yaml.safe_dump(settings, sort_keys=False))


def set_aside(directory: Path) -> Path:
    """Rename a run directory to make room for a new run; nothing in it is lost. Gives its new name."""
    number = 1
    while (aside := directory.with_name(f"{directory.name}.old-{number}")).exists():
        number += 1
    return directory.rename(aside)
