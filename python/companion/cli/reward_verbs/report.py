"""Writes one HTML file about a run, or about several seeds of one recipe: curves, terms, episodes, lint, the recipe."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from companion.cli._files import write_whole
from companion.rewards import Recipe, load_recipe, recipes_of
from companion.tasks import Task

REPORT = "report.html"


@dataclass(frozen=True)
class Arguments:
    """Write a report."""

    runs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN [RUN …]")]
    """Run directories, finished or not; several are seeds of one recipe, and their curves get intervals."""
    against: Annotated[str | None, tyro.conf.arg(metavar="RECIPE", help_behavior_hint="")] = None
    """The recipe to tell the differences from: a name or a YAML file; `full` if not given."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Where it goes; report.html in the first run's directory if not given."""


def run(arguments: Arguments) -> None:
    """Write it and say where it is."""
    if not arguments.runs:
        raise ValueError("name at least one run directory (see companion rewards report --help)")
    print(f"report: {write_report(arguments.runs, arguments.against, arguments.output)}")


def write_report(runs: Sequence[Path], against: str | None = None, output: Path | None = None) -> Path:
    """Write a report; where it is.

    Raises:
        ValueError: if the runs can't be read or are not of one recipe.
        ImportError: without plotly.
    """
    from companion.cli._report_page import page
    from companion.cli._report_runs import subject_of

    subject = subject_of(runs)
    text = page(subject, _other(subject.task, against))
    output = output or runs[0] / REPORT
    write_whole(output, text.encode())
    return output


def _other(task: Task, against: str | None) -> Recipe | None:
    """The recipe to compare with; none where there is no usual one."""
    if against is None and "full" not in recipes_of(task.name):
        return None
    return load_recipe(task, against or "full")
