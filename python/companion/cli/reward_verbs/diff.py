"""What really differs between two recipes, in points and, on a ledger, in shares of the reward and in ranks."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from companion import tasks
from companion.rewards import Recipe, load_recipe
from companion.rewards.difference import Comparison, TermDifference, compare, differences, pay_the_same
from companion.rewards.ledger import open_ledger
from companion.rewards.record import needed_signals
from companion.tasks import Task

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Arguments:
    """Compare two recipes of a task."""

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
    """A robot's task, see `companion tasks`."""
    first: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="A")]
    """A name under reward_configs/TASK/ or a YAML file."""
    second: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="B")]
    """The same, for the other recipe."""
    ledger: Annotated[Path | None, tyro.conf.arg(metavar="LEDGER", help_behavior_hint="")] = None
    """Recorded episodes to compare what they pay for; a ledger, or the directory of a run."""
    json: bool = False
    """Print one JSON object instead of tables."""


def run(arguments: Arguments) -> None:
    """Compare and print."""
    task = tasks.load(arguments.task)
    first, second = (load_recipe(task, name) for name in (arguments.first, arguments.second))
    found = differences(first, second)
    on_ledger = None if arguments.ledger is None else _on_ledger(arguments.ledger, task, first, second)
    if arguments.json:
        print(json.dumps(_to_json(first, second, found, on_ledger), allow_nan=False))
    else:
        _print(first, second, found, on_ledger)


def _on_ledger(folder: Path, task: Task, first: Recipe, second: Recipe) -> Comparison:
    ledger = open_ledger(folder)
    if ledger.about.task != task.name:
        raise ValueError(f"{folder} is a ledger of task '{ledger.about.task}', not of '{task.name}'")
    record = ledger.read(sorted({*needed_signals(first), *needed_signals(second)}))
    return compare(first, second, task, record, ledger.about.discount)


def _to_json(
    first: Recipe, second: Recipe, found: list[TermDifference], on_ledger: Comparison | None
) -> dict[str, Any]:
    recipes = {key: {"recipe": one.name, "hash": one.hash} for key, one in (("first", first), ("second", second))}
    told = {**recipes, "pay_the_same": pay_the_same(first, second), "terms": [asdict(one) for one in found]}
    return told if on_ledger is None else {**told, "on_ledger": _comparison_json(on_ledger)}


def _comparison_json(found: Comparison) -> dict[str, Any]:
    known = found.kendall_tau if math.isfinite(found.kendall_tau) else None
    return {**asdict(found), "kendall_tau": known}


def _print(first: Recipe, second: Recipe, found: list[TermDifference], on_ledger: Comparison | None) -> None:
    from rich.console import Console

    console = Console(emoji=False)
    if pay_the_same(first, second):
        console.print(f"'{first.name}' and '{second.name}' pay the same", highlight=False)
    else:
        _print_terms(console, first, second, found)
    if on_ledger:
        _print_comparison(console, first, second, on_ledger)


def _print_terms(console: "Console", first: Recipe, second: Recipe, found: list[TermDifference]) -> None:
    from rich.table import Table

    table = Table("term", "", f"{first.name} (A)", f"{second.name} (B)", box=None, header_style="bold")
    for one in found:
        changes = one.changes if one.found_in == "both" else {}
        for row, (key, (before, after)) in enumerate({**changes, "pays": one.pays}.items()):
            table.add_row("" if row else one.term, key, _told(before), _told(after))
    console.print(table)


def _told(value: str | float | None) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:g}"


def _print_comparison(console: "Console", first: Recipe, second: Recipe, found: Comparison) -> None:
    from rich.table import Table

    names = {**found.first_shares, **found.second_shares}
    table = Table("\nshare of what is paid", f"\n{first.name} (A)", f"\n{second.name} (B)", box=None)
    for name in names:
        table.add_row(name, *(_share(shares, name) for shares in (found.first_shares, found.second_shares)))
    console.print(table)
    told = f"{found.kendall_tau:.3f}" if math.isfinite(found.kendall_tau) else "unknown, as one of both pays all alike"
    console.print(f"\n{found.episodes} episodes; Kendall's τ of their returns {told}; 1 is the same order")


def _share(shares: Mapping[str, float], name: str) -> str:
    return f"{shares[name]:.1%}" if name in shares else "-"
