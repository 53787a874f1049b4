"""The terms that a task's recipes can use, or those that a recipe does use and what each can pay."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from companion import tasks
from companion.rewards import Recipe, TermSpec, load_recipe
from companion.rewards.bounds import most_per_episode, pay, pay_in_words, quantity
from companion.rewards.terms import TermFunction, functions
from companion.tasks import Task


@dataclass(frozen=True)
class Arguments:
    """List reward terms with their units, ranges and settings."""

    task: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[TASK]", help_behavior_hint="")] = None
    """A robot's task, see `companion tasks`; without it, all terms and the tasks that they are for."""
    recipe: Annotated[str | None, tyro.conf.arg(metavar="RECIPE", help_behavior_hint="")] = None
    """Show the terms of this one: a name under reward_configs/TASK/ or a YAML file."""
    json: bool = False
    """Print JSON instead of a table."""


def run(arguments: Arguments) -> None:
    """Print the terms."""
    task = None if arguments.task is None else tasks.load(arguments.task)
    if arguments.recipe is None:
        entries = [_function_json(function) for function in _usable(task)]
        print(json.dumps(entries, indent=1)) if arguments.json else _print_functions(entries, for_all=task is None)
        return
    if task is None:
        raise ValueError(f"--recipe {arguments.recipe}: name its task first, as in `companion rewards list TASK`")
    recipe = load_recipe(task, arguments.recipe)
    entries = [_term_json(term, task) for term in recipe.terms]
    print(json.dumps(entries, indent=1)) if arguments.json else _print_terms(recipe, task, entries)


def _usable(task: Task | None) -> list[TermFunction]:
    """The functions whose signals are all measured."""
    known = list(functions().values())
    return known if task is None else [one for one in known if _fits(one, task)]


def _fits(function: TermFunction, task: Task) -> bool:
    return {signal.name for signal in task.signals}.issuperset(function.signals)


def _function_json(function: TermFunction) -> dict[str, Any]:
    measured = function.quantity
    return {
        "function": function.name,
        "description": function.description,
        "unit": measured.unit,
        "range": [_known(measured.low), _known(measured.high)],
        "range_in_words": str(measured),
        "better": measured.better,
        "momentary": measured.momentary,
        "signals": list(function.signals),
        "settings": dict(function.settings),
        "tasks": [name for name in tasks.names() if _fits(function, tasks.load(name))],
    }


def _term_json(term: TermSpec, task: Task) -> dict[str, Any]:
    paid = pay(term)
    return {
        "term": term.name,
        "function": term.function_name,
        "kind": term.kind,
        "weight": term.weight,
        "settings": dict(term.settings),
        "unit": quantity(term).unit,
        "pays": {"low": _known(paid.low), "high": _known(paid.high), "per": paid.per},
        "most_per_episode": _known(most_per_episode(term, task)),
        "rationale": term.rationale,
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _print_functions(entries: list[dict[str, Any]], *, for_all: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    titles = ["term function", "what it measures", "range", "unit", "wanted", "settings", "looks at"]
    table = Table(*titles, *(["tasks"] if for_all else []), box=None, header_style="bold")
    for entry in entries:
        table.add_row(
            entry["function"],
            entry["description"],
            entry["range_in_words"],
            entry["unit"],
            entry["better"] or "",
            _settings(entry["settings"]),
            ", ".join(entry["signals"]),
            *([", ".join(entry["tasks"])] if for_all else []),
        )
    Console(emoji=False).print(table)


def _print_terms(recipe: Recipe, task: Task, entries: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("term", "kind", "pays at most", "in an episode", "measures", "why", box=None, header_style="bold")
    for term, entry in zip(recipe.terms, entries, strict=True):
        most = entry["most_per_episode"]
        table.add_row(
            term.name,
            term.kind,
            pay_in_words(term),
            "" if term.weight == 0 else "no limit" if most is None else f"{most:.3g}",
            "\n".join(filter(None, [term.function_name, _settings(term.settings)])),
            term.rationale,
        )
    console = Console(emoji=False)
    console.print(table)
    limit = f"{task.max_episode_s:g} s"
    console.print(f"Points, undiscounted; an episode takes at most {limit}.", highlight=False, style="dim")


def _settings(settings: Mapping[str, float]) -> str:
    return "\n".join(f"{name}: {value:g}" for name, value in settings.items())
