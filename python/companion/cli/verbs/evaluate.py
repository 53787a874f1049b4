"""Judges a policy: success rate or return with its 95 % interval, and the task's metrics, over fresh episodes."""

import json
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from companion.cli import _evaluation, _ledgers, _worlds
from companion.cli._cards import check_card_fits
from companion.cli._evaluation import Request
from companion.cli._flags import JudgingCopies, Seed, Settings, TestedEpisodes
from companion.cli._problems import problem_of
from companion.cli._run_directory import POLICY


@dataclass(frozen=True)
class Arguments:
    """Judge an exported policy in the embedded world, or in the gymnasium environment that it was trained in."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """An exported policy, as exported_models/arm_reach.onnx, or the directory of a finished run."""
    episodes: TestedEpisodes = None
    """Fresh episodes to judge."""
    seed: Seed = _evaluation.SEED
    """Of the episodes; training uses small seeds."""
    copies: JudgingCopies = None
    """Copies stepped together; each contributes a fixed share of the episodes."""
    set: Settings = ()
    """Fix a perturbation of the world, in its unit, also beyond its training range; or a setting of a gymnasium
    environment. May be repeated."""
    record: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where a ledger of the episodes goes, for `companion rewards`; of a robot's task only."""
    json: bool = False
    """Print one JSON object instead of a table."""


def run(arguments: Arguments) -> None:
    """Judge and print."""
    from companion.deploy.actor import OnnxActor

    model = arguments.model / POLICY if arguments.model.is_dir() else arguments.model
    actor = OnnxActor(model)
    problem = problem_of(actor.card, arguments.set)
    check_card_fits(actor.card, problem.subject, str(model))
    request = Request(
        problem.exam, str(model), arguments.episodes or problem.test_episodes, arguments.seed, problem.set
    )
    copies = min(arguments.copies or problem.judging_copies, request.episodes)
    discount = float(actor.card.provenance.config.get("discount", 1.0))
    world_plan = problem.judging_world(discount, Path(), by_number=False)
    if arguments.record is not None:
        world_plan = _recorded(world_plan, arguments.record, copies)
    with closing(world_plan.make(copies, request.seed)) as world:
        evaluation, _ = _evaluation.evaluate(actor, world, request)
    if arguments.json:
        print(json.dumps(evaluation.to_json(), allow_nan=False))
    else:
        _evaluation.print_table(evaluation, problem.exam)


def _recorded(plan: _worlds.Plan, folder: Path, copies: int) -> _worlds.Plan:
    """The same world with a ledger.

    Raises:
        ValueError: if its signals are not at hand, or the folder holds something.
    """
    if not isinstance(plan, _worlds.WorldPlan):
        raise ValueError("--record is for the robots' tasks; a gymnasium environment has no signals to record")
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"--record {folder}: the folder holds something; choose an empty one")
    return replace(plan, recording=_ledgers.Recording(folder, "evaluation", copies))
