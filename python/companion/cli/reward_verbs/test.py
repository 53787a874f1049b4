"""Tests recipes with scripted probes: better behaviour must earn more, and if it does not, a term is named."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import tyro

from companion import tasks
from companion.cli._flags import Count, Seed, Settings, perturbations
from companion.cli._probing import Probing, probe_cases
from companion.rewards import Recipe, load_recipe, recipes_of
from companion.rewards.lint import DEFAULT_DISCOUNT
from companion.rewards.trial import ORDER, Case, Pair, Standing, Trial, judge
from companion.tasks import Rank, Task

if TYPE_CHECKING:
    from rich.console import Console

FAILED = 1
ALL = "all"
RANKS: dict[str, Rank] = {rank: rank for rank in get_args(Rank)}
Cases = Annotated[
    tuple[str, ...],
    tyro.conf.arg(name="case", metavar="LEDGER:RANK", help_behavior_hint=""),
    tyro.conf.UseAppendAction,
]

Discount = Annotated[
    float | None, tyro.conf.arg(metavar="FACTOR", help_behavior_hint="(default: as the recipe is trained, or 0.99)")
]


@dataclass(frozen=True)
class Arguments:
    """Run a task's probes (do it right, slowly, shaking; freeze, spin, hover, ram, …) and see how recipes rank them.

    Exit code 0 if every recipe ranks them rightly, 1 if one does not, 2 on bad input.
    """

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
    """As `companion tasks` lists them."""
    recipe: str = "full"
    """A name under reward_configs/TASK/, a YAML file, or `all`."""
    case: Cases = ()
    """Episodes of your own as one more case: a ledger, and good, careless, slow, lazy or unsafe. May be repeated."""
    copies: Count = 24
    """Start states; each probe has one episode from each."""
    seed: Seed = 0
    """Of the start states and all noise."""
    discount: Discount = None
    """The learner's, per decision, in (0, 1]."""
    set: Settings = ()
    """Fix a perturbation of the world, in its unit; the others are drawn as in training. May be repeated."""
    json: bool = False
    """Print one JSON object instead of tables."""


def run(arguments: Arguments) -> int:
    """Test and tell; 1 if a recipe fails."""
    task = tasks.load(arguments.task)
    recipes = _recipes(task, arguments.recipe)
    discounts = [_discount(recipe, arguments.discount) for recipe in recipes]
    cases = _cases(task, arguments)
    if not cases:
        return _tell_nothing_to_test(task, arguments)
    trials = [judge(recipe, task, cases, discount) for recipe, discount in zip(recipes, discounts, strict=True)]
    if arguments.json:
        print(json.dumps(to_json(task, trials, arguments), allow_nan=False))
    else:
        _print(task, trials)
    return 0 if all(trial.passed for trial in trials) else FAILED


def _recipes(task: Task, name: str) -> list[Recipe]:
    return [load_recipe(task, each) for each in (recipes_of(task.name) if name == ALL else [name])]


def _discount(recipe: Recipe, given: float | None) -> float:
    discount = recipe.training.get("ppo", {}).get("discount", DEFAULT_DISCOUNT) if given is None else given
    if not isinstance(discount, int | float) or not 0.0 < discount <= 1.0:
        raise ValueError(f"a discount must be in (0, 1], not {discount}")
    return float(discount)


def _cases(task: Task, arguments: Arguments) -> list[Case]:
    """The user's cases, read before the probes take their time, after the probes."""
    own = [own_case(task, text) for text in arguments.case]
    if not task.probes:
        return []
    return [*probe_cases(Probing(task, arguments.copies, arguments.seed, perturbations(task, arguments.set))), *own]


def own_case(task: Task, text: str) -> Case:
    """All episodes of a ledger as a case, from `LEDGER:RANK`.

    Raises:
        ValueError: if it is not of that form, or there is no such ledger of this task.
    """
    from companion.rewards.ledger import open_ledger

    path, _, word = text.rpartition(":")
    rank = RANKS.get(word)
    if not path or rank is None:
        raise ValueError(f"--case {text}: expected LEDGER:RANK, with a rank of {', '.join(RANKS)}")
    ledger = open_ledger(Path(path))
    if ledger.about.task != task.name:
        raise ValueError(f"--case {text}: episodes of task '{ledger.about.task}', not of '{task.name}'")
    record = ledger.read()
    return Case(text, rank, record, len(record.starts), float(record.succeeded.mean()))


def _tell_nothing_to_test(task: Task, arguments: Arguments) -> int:
    said = f"task '{task.name}' has no probes, so its recipes can't be tested; give it some in tasks/{task.name}.py"
    print(json.dumps({"task": task.name, "passed": None, "recipes": [], "note": said}) if arguments.json else said)
    return 0


# --- as JSON ---


def to_json(task: Task, trials: Sequence[Trial], arguments: Arguments) -> dict[str, Any]:
    """All that is told, as plain data."""
    return {
        "task": task.name,
        "copies": arguments.copies,
        "seed": arguments.seed,
        "passed": all(trial.passed for trial in trials),
        "recipes": [_trial_json(trial) for trial in trials],
    }


def _trial_json(trial: Trial) -> dict[str, Any]:
    return {
        "recipe": trial.recipe.name,
        "hash": trial.recipe.hash,
        "discount": trial.discount,
        "passed": trial.passed,
        "blamed": trial.blamed or None,
        "cases": [_standing_json(trial, standing) for standing in trial.standings],
        "pairs": [_pair_json(pair) for pair in trial.pairs],
        "checks": [{**vars(check), "passes": check.passes} for check in trial.checks],
        "unjudged": list(trial.unjudged),
    }


def _standing_json(trial: Trial, standing: Standing) -> dict[str, Any]:
    case = standing.case
    terms = dict(zip((term.name for term in trial.recipe.terms), standing.terms.mean(axis=0).tolist(), strict=True))
    return {
        "case": case.name,
        "rank": case.rank,
        "episodes": case.episodes,
        "ran": case.ran,
        "success_share": case.success_share,
        "discounted_return": float(standing.returns.mean()),
        "undiscounted_return": float(standing.undiscounted.mean()),
        "terms": terms,
    }


def _pair_json(pair: Pair) -> dict[str, Any]:
    blame = vars(pair.blame) if pair.blame else None
    return {**vars(pair), "verdict": pair.verdict, "passes": pair.passes, "blame": blame}


# --- as tables ---


def _print(task: Task, trials: Sequence[Trial]) -> None:
    from rich.console import Console

    console = Console(emoji=False)
    _print_probes(console, task)
    for trial in trials:
        _print_trial(console, task, trial)


def _print_probes(console: "Console", task: Task) -> None:
    for probe in task.probes:
        console.print(f"  {probe.name} ({probe.rank}): {probe.description}", highlight=False, markup=False)


def _print_trial(console: "Console", task: Task, trial: Trial) -> None:
    verdict = "[green]passes[/green]" if trial.passed else "[red]fails[/red]"
    console.print(f"\n[bold]{task.name}/{trial.recipe.name}[/bold] {verdict}, at a discount of {trial.discount:g}")
    _print_standings(console, trial)
    _print_pairs(console, trial)
    limits = [constraint.name for constraint in trial.recipe.constraints]
    for check in (check for check in trial.checks if not check.passes):
        said = (
            f"not {check.promise}, which is good behaviour: {check.error:.3g}"
            if check.term in limits
            else f"a term of its kind {check.promise}, but this one is off by {check.error:.3g}"
        )
        told = f"{check.term}: {said} (at most {check.limit:g})"
        console.print(told, style="red", highlight=False, soft_wrap=True)
    if trial.unjudged:
        console.print(f"Too few episodes to judge {', '.join(trial.unjudged)}; take more --copies", style="yellow")
    for pair in trial.unclear:
        said = f"Narrow: {pair.better} > {pair.worse}, by {pair.margin:.3g} ({pair.low:.3g} to {pair.high:.3g})"
        console.print(f"{said}; more --copies would tell", style="yellow", highlight=False)
    if trial.blamed:
        console.print(f"To blame first: [bold]{trial.blamed}[/bold]", highlight=False)


def _print_standings(console: "Console", trial: Trial) -> None:
    from rich.table import Table

    table = Table("case", "rank", "episodes", "success", "return", "undiscounted", box=None, header_style="bold")
    for standing in sorted(trial.standings, key=lambda each: -each.returns.mean()):
        case = standing.case
        table.add_row(
            case.name,
            case.rank,
            f"{case.episodes} of {case.ran}",
            f"{case.success_share:.0%}",
            f"{standing.returns.mean():.3g}",
            f"{standing.undiscounted.mean():.3g}",
        )
    console.print(table)


def _print_pairs(console: "Console", trial: Trial) -> None:
    """The pairs that are not as they should be, or the narrowest of each step of the order."""
    from rich.table import Table

    table = Table("order", "pair", "margin", "95 %", box=None, header_style="bold")
    if trial.faults:
        table.add_column("term to blame")
    for pair in trial.faults or _narrowest(trial):
        cells = (
            " > ".join(pair.ranks),
            f"{pair.better} > {pair.worse}",
            f"{pair.margin:.3g}",
            f"{pair.low:.3g} to {pair.high:.3g}",
        )
        table.add_row(*cells, *([_blame(pair)] if trial.faults else []))
    console.print(table)


def _narrowest(trial: Trial) -> list[Pair]:
    steps = [[pair for pair in trial.pairs if pair.ranks == ranks] for ranks in ORDER]
    return [min(step, key=lambda pair: pair.low) for step in steps if step]


def _blame(pair: Pair) -> str:
    if pair.blame is None:
        return "no term tells them apart"
    return f"{pair.blame.term}: {pair.blame.better:.3g} against {pair.blame.worse:.3g}"
