"""Looks through recipes for known faults, and where there is a ledger also at what they pay for recorded episodes."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from companion import tasks
from companion.rewards import Recipe, RecipeError, load_recipe, recipes_of
from companion.rewards.ledger import Ledger, open_ledger
from companion.rewards.lint import Evidence, Finding, lint
from companion.rewards.record import Record, needed_signals
from companion.tasks import Task

ALL = "all"
COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class Arguments:
    """Find faults of recipes before they cost a training; exits with 1 if there is an error."""

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
    """A robot's task, see `companion tasks`."""
    recipe: Annotated[str, tyro.conf.arg(metavar="RECIPE")] = ALL
    """A name under reward_configs/TASK/ or a YAML file; all of them if not given."""
    ledger: Annotated[Path | None, tyro.conf.arg(metavar="LEDGER", help_behavior_hint="")] = None
    """Recorded episodes to look at too; a ledger, or the directory of a run."""
    strict: bool = False
    """Exit with 1 on a warning, too."""
    json: bool = False
    """Print one JSON object instead of lines."""


@dataclass(frozen=True)
class Report:
    """What was found in one recipe."""

    recipe: str
    hash: str | None
    """None where the file is no recipe."""
    findings: Sequence[Finding]


def run(arguments: Arguments) -> int:
    """Look, print, and tell by the exit code."""
    task = tasks.load(arguments.task)
    names = recipes_of(task.name) if arguments.recipe == ALL else [arguments.recipe]
    loaded = {name: _load(task, name) for name in names}
    ledger = None if arguments.ledger is None else _ledger(arguments.ledger, task)
    record = None if ledger is None else _read(ledger, list(loaded.values()))
    reports = []
    for name, recipe in loaded.items():
        if isinstance(recipe, Finding):
            reports.append(Report(name, None, [recipe]))
            continue
        evidence = Evidence.of(recipe, task, record, ledger.about.discount) if ledger and record else None
        reports.append(Report(name, recipe.hash, lint(recipe, task, evidence)))
    if arguments.json:
        print(json.dumps(_to_json(task, reports), allow_nan=False))
    else:
        _print(task, reports)
    count = _count(reports)
    return int(count["error"] > 0 or (arguments.strict and count["warning"] > 0))


def _load(task: Task, name: str) -> Recipe | Finding:
    """The recipe, or why its file is none.

    Raises:
        RecipeError: if there is no such file.
    """
    try:
        return load_recipe(task, name)
    except RecipeError as error:
        if name not in recipes_of(task.name) and not Path(name).is_file():
            raise
        return Finding((), "error", 1.0, str(error), "what the line says", "no_recipe")


def _ledger(folder: Path, task: Task) -> Ledger:
    ledger = open_ledger(folder)
    if ledger.about.task != task.name:
        raise ValueError(f"{folder} is a ledger of task '{ledger.about.task}', not of '{task.name}'")
    return ledger


def _read(ledger: Ledger, loaded: Sequence[Recipe | Finding]) -> Record:
    recipes = [recipe for recipe in loaded if isinstance(recipe, Recipe)]
    return ledger.read(sorted({name for recipe in recipes for name in needed_signals(recipe)}))


def _count(reports: Sequence[Report]) -> Counter[str]:
    return Counter(finding.severity for report in reports for finding in report.findings)


def _to_json(task: Task, reports: Sequence[Report]) -> dict[str, Any]:
    count = _count(reports)
    recipes = [{**vars(report), "findings": [_finding_json(one) for one in report.findings]} for report in reports]
    return {"task": task.name, "errors": count["error"], "warnings": count["warning"], "recipes": recipes}


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {**asdict(finding), "figure": finding.figure if math.isfinite(finding.figure) else None}


def _print(task: Task, reports: Sequence[Report]) -> None:
    from rich.console import Console

    console = Console(emoji=False, markup=True, highlight=False)
    for report in reports:
        console.print(f"[bold]{task.name} {report.recipe}[/bold]" + ("" if report.findings else ": nothing found"))
        for finding in report.findings:
            _print_finding(console, finding)
    count = _count(reports)
    console.print(f"\n{_plural(count['error'], 'error')}, {_plural(count['warning'], 'warning')}")


def _print_finding(console: Any, finding: Finding) -> None:
    from rich.text import Text

    line = Text(f"  {finding.severity}", COLOURS[finding.severity])
    who = f" {', '.join(finding.terms)}:" if finding.terms else ""
    line.append(f" {finding.check}{who} {finding.said}", "default").append(f"\n    mends: {finding.mends}", "dim")
    console.print(line, soft_wrap=True)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
