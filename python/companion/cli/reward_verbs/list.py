"""The terms that a task's recipes can use, or those that a recipe does use and what each can pay."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import tyro

from companion import tasks
from companion.cli._environment_parameters import environment_parameters
from companion.cli._flags import ConfiguredCount
from companion.rewards import ConstraintSpec, Recipe, TermSpec, load_recipe
from companion.rewards.bounds import limit_in_words, most_per_episode, pay, pay_in_words, quantity
from companion.rewards.curriculum import Stages, in_words, value_in_words
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
    mlagents: bool = False
    """Print the recipe's weights, settings and stages as `environment_parameters` for a file of mlagents-learn."""
    steps: ConfiguredCount = None
    """For --mlagents: that file's max_steps, of which stages by steps begin after a share; as ppo is configured."""


def run(arguments: Arguments) -> None:
    """Print the terms."""
    task = None if arguments.task is None else tasks.load(arguments.task)
    if arguments.recipe is None and arguments.mlagents:
        raise ValueError("--mlagents: name the --recipe to print")
    if arguments.recipe is None:
        entries = [_function_json(function) for function in _usable(task)]
        print(json.dumps(entries, indent=1)) if arguments.json else _print_functions(entries, for_all=task is None)
        return
    if task is None:
        raise ValueError(f"--recipe {arguments.recipe}: name its task first, as in `companion rewards list TASK`")
    recipe = load_recipe(task, arguments.recipe)
    if arguments.mlagents:
        _print_mlagents(recipe, task, arguments.steps)
        return
    entries = [_term_json(term, task) for term in recipe.terms]
    if arguments.json:
        more = [*map(_constraint_json, recipe.constraints), *map(_stages_json, recipe.curriculum)]
        print(json.dumps([*entries, *more], indent=1))
    else:
        _print_terms(recipe, task, entries)


def _print_mlagents(recipe: Recipe, task: Task, steps: int | None) -> None:
    import yaml

    max_steps = steps or recipe.training.get("ppo", {}).get("steps", 0)
    found = {"environment_parameters": environment_parameters(recipe, task, max_steps)}
    print(yaml.safe_dump(found, sort_keys=False), end="")


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


def _constraint_json(constraint: ConstraintSpec) -> dict[str, Any]:
    return {
        "term": constraint.name,
        "function": constraint.function_name,
        "kind": "constraint",
        "limit": constraint.limit,
        "settings": dict(constraint.settings),
        "unit": constraint.unit,
        "rationale": constraint.rationale,
    }


def _stages_json(stages: Stages) -> dict[str, Any]:
    return {"kind": "curriculum", **asdict(stages)}


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
    for one in recipe.constraints:
        measures = "\n".join(filter(None, [one.function_name, _settings(one.settings)]))
        table.add_row(one.name, "constraint", limit_in_words(one), "", measures, one.rationale)
    console = Console(emoji=False)
    console.print(table)
    for one in recipe.curriculum:
        stages = ", then ".join(map(value_in_words, one.values))
        console.print(f"curriculum of {one.parameter}: {stages}; {in_words(one)}", highlight=False, soft_wrap=True)
    limit = f"{task.max_episode_s:g} s"
    console.print(f"Points, undiscounted; an episode takes at most {limit}.", highlight=False, style="dim")


def _settings(settings: Mapping[str, float]) -> str:
    return "\n".join(f"{name}: {value:g}" for name, value in settings.items())
