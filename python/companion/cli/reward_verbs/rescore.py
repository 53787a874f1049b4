"""What recipes would have paid for recorded episodes: how they rank them, and where two recipes disagree."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from companion import tasks
from companion.cli._flags import Count, Port
from companion.rewards import load_recipe
from companion.rewards.bounds import limit_in_words
from companion.rewards.ledger import Ledger, LedgerWriter, open_ledger
from companion.rewards.record import Record, costs, mean_costs, needed_signals
from companion.rewards.rescoring import (
    Judgement,
    disagreements,
    extremes,
    judge,
    rank_agreement,
    recorded_difference,
    success_outranks,
)
from companion.tasks import Task

if TYPE_CHECKING:
    from rich.console import Console

CAUTION = "This ranks what was done. It does not predict what a policy would learn: `companion rewards compare` trains."


@dataclass(frozen=True)
class Arguments:
    """Score recorded episodes by recipes."""

    ledger: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="LEDGER")]
    """A ledger, as `train` leaves one in its run directory and `evaluate --record` writes one; or a run directory."""
    recipes: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[RECIPE …]")] = ()
    """Names under reward_configs/TASK/ or YAML files; the recorded one if none is given. Of two or more, the first is
    what the others are compared with."""
    top: Count = 5
    """Episodes to show of each kind."""
    keep: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Write the episodes that are shown into a ledger of their own, as cases for `companion rewards test`."""
    view: bool = False
    """Then open them in the viewer, as `companion view --ledger` does, until Ctrl-C."""
    port: Port = 8080
    """Of the viewer's page."""
    json: bool = False
    """Print one JSON object instead of tables."""


@dataclass(frozen=True)
class View:
    """All that is told."""

    ledger: Ledger
    task: Task
    record: Record
    judgements: Sequence[Judgement]
    steps_per_second: float


def run(arguments: Arguments) -> None:
    """Score and tell."""
    view = look(arguments)
    shown = _shown(view, arguments.top)
    if arguments.keep is not None:
        _keep(view, shown, arguments.keep)
    if arguments.json:
        print(json.dumps(to_json(view, arguments.top), allow_nan=False))
    else:
        _print(view, arguments.top)
        _print_watching(view, shown)
    if arguments.view:
        _watch(view, shown, arguments)


def look(arguments: Arguments) -> View:
    """Read the ledger and score it by every recipe.

    Raises:
        ValueError: if there is no ledger, a recipe can't be used, or one looks at what was not recorded.
    """
    ledger = open_ledger(arguments.ledger)
    task = tasks.load(ledger.about.task)
    recipes = [load_recipe(task, name) for name in arguments.recipes] or [ledger.recipe(task)]
    # The terms look at a few of the signals; those are what is read.
    record = ledger.read(sorted({name for recipe in recipes for name in needed_signals(recipe)}))
    start = time.perf_counter()
    judgements = [judge(recipe, task, record, ledger.about.discount) for recipe in recipes]
    seconds = max(time.perf_counter() - start, 1e-9)
    return View(ledger, task, record, judgements, len(record) * len(recipes) / seconds)


def _shown(view: View, top: int) -> list[int]:
    """The numbers of the episodes that are told about."""
    first, record = view.judgements[0], view.record
    if len(view.judgements) == 1:
        best, worst = extremes(first, top)
        found = [*best, *worst]
    else:
        found = [one.place for other in view.judgements[1:] for one in disagreements(first, other, top)]
    return [int(record.episode[record.starts[place]]) for place in dict.fromkeys(found)]


def _watch(view: View, numbers: Sequence[int], arguments: Arguments) -> None:
    """Judged by the recipe that the others are compared with."""
    from companion.cli.verbs import view as viewer

    recipe = arguments.recipes[0] if arguments.recipes else None
    viewer.run(viewer.Arguments(ledger=view.ledger.folder, episodes=tuple(numbers), recipe=recipe, port=arguments.port))


def _keep(view: View, numbers: Sequence[int], folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"--keep {folder}: the folder holds something; choose an empty one")
    writer = LedgerWriter(folder, replace(view.ledger.about, source=f"kept from {view.ledger.about.source}"))
    writer.add(view.ledger.episodes(numbers))
    writer.close()


# --- as JSON ---


def to_json(view: View, top: int) -> dict[str, Any]:
    """All that is told, as plain data."""
    record, first = view.record, view.judgements[0]
    return {
        "task": view.task.name,
        "source": view.ledger.about.source,
        "recorded_recipe": view.ledger.about.recipe,
        "episodes": len(record.starts),
        "steps": len(record) - len(record.starts),
        "success_rate": float(record.succeeded.mean()),
        "recipes": [_recipe_json(view, one) for one in view.judgements],
        "disagreements": {
            other.recipe.name: {
                "kendall_tau": _known(rank_agreement(first, other)),
                "episodes": [
                    {"episode": int(record.episode[record.starts[one.place]]), **vars(one)}
                    for one in disagreements(first, other, top)
                ],
            }
            for other in view.judgements[1:]
        },
    }


def _recipe_json(view: View, judgement: Judgement) -> dict[str, Any]:
    returns, succeeded = judgement.returns, view.record.succeeded
    return {
        "recipe": judgement.recipe.name,
        "return_mean": float(returns.mean()),
        "return_of_successes": _known(_mean(returns[succeeded])),
        "return_of_failures": _known(_mean(returns[~succeeded])),
        "success_outranks_failure": _known(success_outranks(judgement, view.record)),
        "largest_difference_to_recorded": _difference(view, judgement),
        "shares": dict(zip(judgement.scores.names, map(float, judgement.shares), strict=True)),
        "constraints": _limits(view, judgement),
    }


def _limits(view: View, judgement: Judgement) -> dict[str, dict[str, Any]]:
    """What each constraint of the recipe cost in all that was recorded, and whether its limit held."""
    recipe, record = judgement.recipe, view.record
    found = mean_costs(recipe, costs(recipe, view.task, record), record.decisions).tolist()
    return {
        one.name: {"unit": one.unit, "cost": cost, "limit": one.limit, "held": cost <= one.limit}
        for one, cost in zip(recipe.constraints, found, strict=True)
    }


def _difference(view: View, judgement: Judgement) -> float | None:
    """To the reward that was recorded, where it was this recipe's, in no stage but its own."""
    is_staged = any(one.parameter.startswith("reward/") for one in judgement.recipe.curriculum)
    same = judgement.recipe.hash == view.ledger.about.recipe_hash and not is_staged
    return recorded_difference(judgement, view.record) if same else None


def _mean(values: Any) -> float:
    return float(values.mean()) if len(values) else math.nan


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


# --- for a person ---


def _print(view: View, top: int) -> None:
    from rich.console import Console

    console, record, about = Console(emoji=False), view.record, view.ledger.about
    steps = len(record) - len(record.starts)
    told = f"{about.task}, {about.source} with recipe '{about.recipe}': {len(record.starts)} episodes, {steps} steps"
    console.print(f"{told}, {record.succeeded.mean():.1%} succeed", highlight=False, soft_wrap=True)
    _print_recipes(console, view)
    _print_shares(console, view)
    _print_limits(console, view)
    if len(view.judgements) == 1:
        _print_extremes(console, view, top)
    for other in view.judgements[1:]:
        _print_disagreements(console, view, other, top)
    console.print(f"\n{view.steps_per_second:,.0f} steps/s. {CAUTION}", highlight=False, style="dim")


def _print_watching(view: View, numbers: Sequence[int]) -> None:
    if numbers:
        print(f"companion view --ledger {view.ledger.folder} --episodes {' '.join(map(str, numbers))}")


def _print_recipes(console: "Console", view: View) -> None:
    from rich.table import Table

    table = Table("discounted return", "mean", "of successes", "of failures", "P(success > failure)", "", box=None)
    for one in view.judgements:
        difference = _difference(view, one)
        table.add_row(
            one.recipe.name,
            f"{one.returns.mean():.3f}",
            _told(_mean(one.returns[view.record.succeeded])),
            _told(_mean(one.returns[~view.record.succeeded])),
            _told(success_outranks(one, view.record)),
            "" if difference is None else f"as recorded, within {difference:.1e} per step",
        )
    console.print(table)


def _print_shares(console: "Console", view: View) -> None:
    from rich.table import Table

    names = list(dict.fromkeys(name for one in view.judgements for name in one.scores.names))
    table = Table("\nshare of what is paid", *(f"\n{one.recipe.name}" for one in view.judgements), box=None)
    for name in names:
        shares = [dict(zip(one.scores.names, one.shares, strict=True)).get(name) for one in view.judgements]
        table.add_row(name, *("" if share is None else f"{share:.1%}" for share in shares))
    console.print(table)


def _print_limits(console: "Console", view: View) -> None:
    for judgement in view.judgements:
        found = _limits(view, judgement)
        for one in judgement.recipe.constraints:
            verdict = "held" if found[one.name]["held"] else "broken"
            told = f"{found[one.name]['cost']:.4g}, {limit_in_words(one)}: {verdict}"
            console.print(f"limit of {one.name} in '{judgement.recipe.name}': {told}", highlight=False, soft_wrap=True)


def _print_extremes(console: "Console", view: View, top: int) -> None:
    from rich.table import Table

    one, record = view.judgements[0], view.record
    table = Table(
        "\nepisode", "\ndiscounted return", "\ndecisions", "\nsuccess", "\nmost from", "\nleast from", box=None
    )
    returns = one.term_returns
    best, worst = extremes(one, top)
    for place in dict.fromkeys([*best, *worst[::-1]]):
        terms = [one.scores.names[int(at)] for at in (returns[place].argmax(), returns[place].argmin())]
        table.add_row(*_episode(record, place)[:1], f"{one.returns[place]:.3f}", *_episode(record, place)[1:], *terms)
    console.print(table)


def _print_disagreements(console: "Console", view: View, other: Judgement, top: int) -> None:
    from rich.table import Table

    first, record = view.judgements[0], view.record
    tau = rank_agreement(first, other)
    names = f"'{first.recipe.name}' and '{other.recipe.name}'"
    console.print(f"\n{names}: Kendall's τ {_told(tau)}; 1 is the same order", highlight=False)
    found = disagreements(first, other, top)
    if not found:
        console.print("they put all episodes in the same order")
        return
    ranks = [f"rank by {one.recipe.name}" for one in (first, other)]
    table = Table("episode", "decisions", "success", *ranks, f"most moved in '{other.recipe.name}' by", box=None)
    for one in found:
        table.add_row(*_episode(record, one.place), f"{one.first_rank:.0%}", f"{one.second_rank:.0%}", one.term)
    console.print(table)


def _episode(record: Record, place: int) -> tuple[str, str, str]:
    number = int(record.episode[record.starts[place]])
    return str(number), str(int(record.decisions[place])), "yes" if record.succeeded[place] else "no"


def _told(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"
