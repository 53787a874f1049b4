"""Trains a recipe whole and without each of its terms in turn, and says which terms matter."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from companion.cli import _campaign_report as reports
from companion.cli import _trainings
from companion.cli._campaign import Arm, Campaign
from companion.cli._campaign_report import Side
from companion.cli._trainings import Trainings


@dataclass(frozen=True)
class Arguments:
    """Find out which terms of a recipe matter.

    Every term whose weight is not 0 is left out in one arm, with the same seeds as the whole recipe. Policies are
    judged by success and the task's metrics on fresh episodes, never by what they are paid.
    """

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
    """A robot's task, see `companion tasks`."""
    trainings: Annotated[Trainings, tyro.conf.arg(name="")]
    recipe: Annotated[str, tyro.conf.arg(metavar="RECIPE")] = "full"
    """A name under reward_configs/TASK/ or a YAML file."""
    terms: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TERM…", help_behavior_hint="")] = ()
    """Leave out these only."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A YAML file of the trainer's settings."""
    json: bool = False
    """Print one JSON object instead of tables."""


def run(arguments: Arguments) -> int:
    """Train what is not trained yet, and compare."""
    trainings = arguments.trainings
    _trainings.check_seeds(trainings.seeds)
    made = _trainings.make(arguments.task, arguments.recipe, arguments.config, trainings)
    wanted = [made.arm, *_without_each(made.arm, arguments)]
    place = _trainings.workplace(trainings)
    arms = _trainings.at_equal_steps(wanted, trainings.steps, place)
    campaign = Campaign(trainings.folder, made.rules, arms)
    code = _trainings.train(campaign, trainings.seeds, place)
    if code != _trainings.INTERRUPTED:
        reports.print_report(reports.report(campaign, trainings.seeds), campaign, tell, as_json=arguments.json)
    return code


def _without_each(whole: Arm, arguments: Arguments) -> list[Arm]:
    """One arm for each term to leave out.

    Raises:
        ValueError: if there is no such term, or its weight is 0 anyhow.
    """
    from companion import tasks
    from companion.rewards.variant import without

    task, recipe = tasks.load(arguments.task), whole.recipe
    weighed = [term.name for term in recipe.terms if term.weight != 0]
    wrong = [name for name in arguments.terms if name not in weighed]
    if wrong:
        raise ValueError(f"--terms {wrong[0]}: recipe '{recipe.name}' pays for {', '.join(weighed) or 'nothing'}")
    recipes = [without(task, recipe, name) for name in arguments.terms or weighed]
    return [replace(whole, name=variant.name, recipe=variant) for variant in recipes]


def tell(side: Side, whole: Side) -> str:
    """Whether the term that an arm lacks matters."""
    term = side.name.removeprefix("without_")
    found = reports.verdict(side)
    if side.success is None or whole.success is None or found not in ("better", "worse"):
        return f"{term}: {reports.unseen(side)}"
    shares = f"{side.success.value:.1%} succeed, {whole.success.value:.1%} with it"
    return f"{term} matters: without it {shares}" if found == "worse" else f"{term}: better without it, {shares}"
