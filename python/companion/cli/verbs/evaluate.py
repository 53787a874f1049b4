"""Judges a policy: success rate or return with its 95 % interval, and the task's metrics, over fresh episodes."""

import json
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from companion import tasks
from companion.cli import _evaluation, _ledgers, _matches, _worlds
from companion.cli._baselines import BASELINE, BaselinePolicy, discount_of
from companion.cli._cards import check_card_fits
from companion.cli._evaluation import Evaluation, Policy, Request
from companion.cli._flags import JudgingCopies, Opponents, Seed, Settings, TestedEpisodes, perturbations
from companion.cli._opponents import TEAM, check_opponents, with_opponent
from companion.cli._problems import Problem, RobotTask, problem_of
from companion.cli._run_directory import POLICY
from companion.rewards import load_recipe


@dataclass(frozen=True)
class Arguments:
    """Judge an exported policy in the embedded world, or in the gymnasium environment that it was trained in."""

    model: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="MODEL", help_behavior_hint="")] = None
    """An exported policy, as exported_models/arm_reach.onnx, or the directory of a finished run."""
    baseline: Annotated[str | None, tyro.conf.arg(metavar="TASK", help_behavior_hint="")] = None
    """Judge the task's classical controller, which sees what a policy sees; with MODEL, both side by side."""
    episodes: TestedEpisodes = None
    """Fresh episodes to judge."""
    seed: Seed = _evaluation.SEED
    """Of the episodes; training uses small seeds."""
    copies: JudgingCopies = None
    """Copies stepped together; each contributes a fixed share of the episodes."""
    set: Settings = ()
    """Fix a perturbation of the world, in its unit, also beyond its training range; or a setting of a gymnasium
    environment. May be repeated."""
    opponent: Opponents = ()
    """Who plays against the robot: scripted, an opponent's file, or of the run that MODEL names latest or held-out.
    May be repeated."""
    record: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: nowhere)")] = None
    """Where a ledger of the episodes goes, for `companion rewards`; of a robot's task only."""
    json: bool = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True)
class Contestant:
    """Who is judged."""

    name: str
    """What the evaluation calls the model."""
    policy: Policy


@dataclass(frozen=True)
class Contest:
    """Who is judged at what."""

    problem: Problem
    discount: float
    contestants: tuple[Contestant, ...]
    """A policy, a baseline, or both in this order."""


def run(arguments: Arguments) -> None:
    """Judge and print."""
    contest = _contest(arguments)
    if arguments.record is not None and arguments.record.exists() and any(arguments.record.iterdir()):
        raise ValueError(f"--record {arguments.record}: the folder holds something; choose an empty one")
    if arguments.opponent:
        _judge_against_opponents(arguments, contest)
        return
    judged = [_judge(arguments, contest, one) for one in contest.contestants]
    exam, (first, *others) = contest.problem.exam, judged
    if others:
        _evaluation.print_both(first, others[0], exam, as_json=arguments.json)
    elif arguments.json:
        print(json.dumps(first.to_json(), allow_nan=False))
    else:
        _evaluation.print_table(first, exam)


def _judge_against_opponents(arguments: Arguments, contest: Contest) -> None:
    """Judge everybody against each opponent."""
    problem = contest.problem
    if not isinstance(problem, RobotTask):
        raise ValueError(f"--opponent: nobody plays against the policy in {problem.name}")
    if arguments.record is not None and len(arguments.opponent) > 1:
        raise ValueError("--record writes down the episodes against one --opponent, not against several")
    check_opponents(arguments.opponent, problem.task, arguments.model)

    def judged(one: Contestant, word: str) -> Evaluation:
        task = with_opponent(problem.task, word, arguments.model)
        return _judge(arguments, replace(contest, problem=replace(problem, task=task)), one)

    found = {one.name: {word: judged(one, word) for word in arguments.opponent} for one in contest.contestants}
    if arguments.json:
        told = {name: _matches.to_json(matches) for name, matches in found.items()}
        print(json.dumps(told, allow_nan=False))
        return
    for name, matches in found.items():
        _matches.print_table(name, matches)


def _contest(arguments: Arguments) -> Contest:
    """Who is judged at what.

    Raises:
        ValueError: if nobody is, or the two can't be compared.
    """
    if arguments.model is not None:
        return _of_model(arguments, arguments.model)
    if arguments.baseline is None:
        raise ValueError("what to judge? name a MODEL, a --baseline TASK, or both")
    task = tasks.load(arguments.baseline)
    recipe = load_recipe(task, "full")
    problem = RobotTask(task, recipe, set=perturbations(task, arguments.set))
    return Contest(problem, discount_of(recipe), (_baseline(problem),))


def _of_model(arguments: Arguments, path: Path) -> Contest:
    from companion.deploy.actor import OnnxActor

    file = path / POLICY if path.is_dir() else path
    actor = OnnxActor(file)
    if actor.card.behavior.endswith(TEAM):
        raise ValueError(f"{file} is an opponent; judge a robot against it: evaluate MODEL --opponent {file}")
    problem = problem_of(actor.card, arguments.set)
    check_card_fits(actor.card, problem.subject, str(file))
    discount = float(actor.card.provenance.config.get("discount", 1.0))
    contestants = [Contestant(str(file), actor)]
    if arguments.baseline is not None:
        if arguments.baseline != problem.name or not isinstance(problem, RobotTask):
            raise ValueError(
                f"--baseline {arguments.baseline}: {file} is a policy of {problem.name}; compare like with like"
            )
        contestants.append(_baseline(problem))
    return Contest(problem, discount, tuple(contestants))


def _baseline(problem: RobotTask) -> Contestant:
    return Contestant(f"{BASELINE} of {problem.name}", BaselinePolicy(problem.task))


def _judge(arguments: Arguments, contest: Contest, one: Contestant) -> Evaluation:
    problem = contest.problem
    episodes = arguments.episodes or problem.test_episodes
    request = Request(problem.exam, one.name, episodes, arguments.seed, problem.set)
    copies = min(arguments.copies or problem.judging_copies, episodes)
    plan = problem.judging_world(contest.discount, Path(), by_number=False)
    if arguments.record is not None:
        plan = _recorded(plan, _folder(arguments.record, contest, one), copies)
    with closing(plan.make(copies, request.seed)) as world:
        return _evaluation.evaluate(one.policy, world, request)[0]


def _folder(folder: Path, contest: Contest, one: Contestant) -> Path:
    """Each of two has a ledger of its own."""
    if len(contest.contestants) == 1:
        return folder
    return folder / ("policy" if one is contest.contestants[0] else BASELINE)


def _recorded(plan: _worlds.Plan, folder: Path, copies: int) -> _worlds.Plan:
    """The same world with a ledger.

    Raises:
        ValueError: if its signals are not at hand.
    """
    if not isinstance(plan, _worlds.WorldPlan):
        raise ValueError("--record is for the robots' tasks; a gymnasium environment has no signals to record")
    return replace(plan, recording=_ledgers.Recording(folder, "evaluation", copies))
