"""Judges a policy: success rate with its 95 % interval and the task's metrics over fresh episodes."""

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from companion import tasks
from companion.cli import _evaluation
from companion.cli._cards import check_card_fits
from companion.cli._evaluation import Request
from companion.cli._flags import Count, Seed, Settings, perturbations
from companion.cli._run_directory import POLICY
from companion.cli._worlds import WorldPlan
from companion.rewards import recipe_from_text


@dataclass(frozen=True)
class Arguments:
    """Judge an exported policy in the embedded world."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """An exported policy, as exported_models/arm_reach.onnx, or the directory of a finished run."""
    episodes: Count = 1000
    """Fresh episodes to judge."""
    seed: Seed = _evaluation.SEED
    """Of the episodes; training uses small seeds."""
    copies: Count = _evaluation.COPIES
    """Copies stepped together; each contributes a fixed share of the episodes."""
    set: Settings = ()
    """Fix a perturbation of the world, in its unit; also beyond its training range. May be repeated."""
    json: bool = False
    """Print one JSON object instead of a table."""


def run(arguments: Arguments) -> None:
    """Judge and print."""
    from companion.deploy.actor import OnnxActor

    model = arguments.model / POLICY if arguments.model.is_dir() else arguments.model
    actor = OnnxActor(model)
    card = actor.card
    task = tasks.load(card.task)
    check_card_fits(card, task, str(model))
    fixed = perturbations(task, arguments.set)
    recipe = recipe_from_text(task, card.recipe.name, card.recipe.text)
    plan = WorldPlan(task, recipe, Path(), float(card.provenance.config.get("discount", 1.0)), set=fixed)
    request = Request(task, str(model), arguments.episodes, arguments.seed, fixed)
    with closing(plan.make(min(arguments.copies, arguments.episodes), arguments.seed)) as world:
        evaluation, _ = _evaluation.evaluate(actor.act, world, request)
    if arguments.json:
        print(json.dumps(evaluation.to_json(), allow_nan=False))
    else:
        _evaluation.print_table(evaluation)
