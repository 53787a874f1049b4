"""What a report is written from: finished or unfinished runs of one task and recipe."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion import tasks
from companion.cli import _run_directory
from companion.cli._run_directory import LEDGER, RunRecord
from companion.rewards import Recipe
from companion.rewards.ledger import open_ledger, parts_of
from companion.rewards.record import Record
from companion.rewards.rescoring import Judgement, judge
from companion.tasks import Task

SUCCESS, EPISODES, RETURN = "Environment/Success", "Environment/Episodes", "Environment/Cumulative Reward"


@dataclass(frozen=True)
class Curves:
    """What a training logged; arrays over its lines, NaN where a line lacks a figure."""

    step: NDArray[np.float64]
    figures: Mapping[str, NDArray[np.float64]]

    def get(self, name: str) -> NDArray[np.float64]:
        """A figure, all NaN where it never was logged."""
        return self.figures.get(name, np.full(len(self.step), np.nan))

    def names(self, prefix: str) -> list[str]:
        """The figures that are called so."""
        return [name for name in self.figures if name.startswith(prefix)]


@dataclass(frozen=True)
class ReportedRun:
    """One run."""

    directory: Path
    record: RunRecord
    seed: int
    curves: Curves
    evaluation: Mapping[str, Any] | None
    """None where it is not finished."""


@dataclass(frozen=True)
class Recorded:
    """What the first run that has a ledger recorded."""

    record: Record
    judgement: Judgement
    discount: float
    directory: Path


@dataclass(frozen=True)
class Subject:
    """All that a report tells of."""

    task: Task
    recipe: Recipe
    runs: Sequence[ReportedRun]
    recorded: Recorded | None


def subject_of(directories: Sequence[Path]) -> Subject:
    """Read runs.

    Raises:
        ValueError: if one is no run of a robot's task, or they are of different tasks or recipes.
    """
    records = [_run_directory.read_record(directory) for directory in directories]
    first = records[0]
    for directory, record in zip(directories, records, strict=True):
        if record.task not in tasks.names():
            raise ValueError(f"{directory} learns {record.task}, which has no recipe to report on")
        if (record.task, record.recipe_hash) != (first.task, first.recipe_hash):
            raise ValueError(
                f"{directory} is of {record.task} with recipe '{record.recipe}', {directories[0]} of {first.task} with "
                f"another recipe, '{first.recipe}'; report on runs of one recipe, and use `rewards compare` for several"
            )
    task = tasks.load(first.task)
    recipe = _run_directory.read_recipe(directories[0], task, first.recipe)
    runs = [_run(directory, record) for directory, record in zip(directories, records, strict=True)]
    return Subject(task, recipe, runs, _recorded(task, recipe, directories))


def _run(directory: Path, record: RunRecord) -> ReportedRun:
    file = directory / _run_directory.EVALUATION
    evaluation = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    config = _run_directory.read_config(directory)
    return ReportedRun(directory, record, int(config.get("seed", 0)), read_curves(directory), evaluation)


def read_curves(directory: Path) -> Curves:
    """What a run logged so far.

    Raises:
        ValueError: if it logged nothing yet.
    """
    file = directory / _run_directory.METRICS
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    # A line that is still being written is no line yet.
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    if not lines:
        raise ValueError(f"{file}: nothing was learned there yet")
    names = dict.fromkeys(name for line in lines for name in line if name != "step")
    figures = {name: np.array([_number(line.get(name)) for line in lines]) for name in names}
    return Curves(np.array([float(line["step"]) for line in lines]), figures)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _recorded(task: Task, recipe: Recipe, directories: Sequence[Path]) -> Recorded | None:
    for directory in directories:
        if parts_of(directory / LEDGER):
            ledger = open_ledger(directory)
            record = ledger.read()
            discount = ledger.about.discount
            return Recorded(record, judge(recipe, task, record, discount), discount, directory)
    return None
