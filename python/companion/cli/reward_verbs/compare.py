"""Trains several recipes with the same seeds, and says which of them leads to the better policies."""

from dataclasses import dataclass, replace
from itertools import product
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
    """Compare recipes, each beside the first one.

    Policies are judged by success and the task's metrics on fresh episodes, never by what they are paid.
    """

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
    """A robot's task, see `companion tasks`."""
    recipes: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RECIPE…")]
    """Names under reward_configs/TASK/ or YAML files; the first one is what the others stand beside."""
    trainings: Annotated[Trainings, tyro.conf.arg(name="")]
    config: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE…", help_behavior_hint="")] = ()
    """YAML files of the trainer's settings; of several, each recipe is trained with each."""
    json: bool = False
    """Print one JSON object instead of tables."""


def run(arguments: Arguments) -> int:
    """Train what is not trained yet, and compare."""
    trainings = arguments.trainings
    _trainings.check_seeds(trainings.seeds)
    pairs = list(product(arguments.recipes, arguments.config or (None,)))
    if len(pairs) < 2:
        raise ValueError("one recipe alone can't be compared; name two, or two files of settings with --config")
    made = [_trainings.make(arguments.task, recipe, config, trainings) for recipe, config in pairs]
    arms = [
        _named(one.arm, config if len(arguments.config) > 1 else None)
        for one, (_, config) in zip(made, pairs, strict=True)
    ]
    place = _trainings.workplace(trainings)
    arms = _trainings.at_equal_steps(arms, trainings.steps, place)
    _trainings.check_differ(arms)
    campaign = Campaign(trainings.folder, made[0].rules, arms)
    code = _trainings.train(campaign, trainings.seeds, place)
    if code != _trainings.INTERRUPTED:
        reports.print_report(reports.report(campaign, trainings.seeds), campaign, tell, as_json=arguments.json)
    return code


def _named(arm: Arm, config: Path | None) -> Arm:
    """Told apart by its settings where there are several."""
    return arm if config is None else replace(arm, name=f"{arm.name}+{config.stem}")


def tell(side: Side, first: Side) -> str:
    """Whether an arm is better or worse than the first one."""
    found = reports.verdict(side)
    if side.success is None or first.success is None or found not in ("better", "worse"):
        return f"{side.name}: {reports.unseen(side)}"
    shares = f"{side.success.value:.1%} succeed, {first.success.value:.1%} with {first.name}"
    return f"{side.name} is {found} than {first.name}: {shares}"
