"""How trainings that are to be compared are asked for on the command line, and what becomes of it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from companion.cli import _evaluation
from companion.cli._campaign import Arm, Campaign, Rules, alone_in, plain
from companion.cli._flags import AtOnce, ConfiguredTrainer, Count, EqualSteps, Seed, Settings
from companion.cli._workplace import ThisMachine, Workplace, shares_of_cores

INTERRUPTED, INCOMPLETE = 130, 1

MOST_STEPS = 1_000_000
"""What differs between recipes shows by then on the tasks here, and 21 such trainings take less than an hour."""


@dataclass(frozen=True)
class Trainings:
    """What all of the trainings have in common."""

    folder: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Where everything goes; the same command goes on with what is there."""
    seeds: Annotated[tuple[Seed, ...], tyro.conf.arg(metavar="SEED…")] = (0, 1, 2)
    """One training of each arm with each; a folder can be given more later."""
    steps: EqualSteps = None
    """Decisions to learn from in each training."""
    trainer: ConfiguredTrainer = None
    """The learning algorithm, a file under trainers/."""
    set: Settings = ()
    """Fix a perturbation of the world, in its unit. May be repeated."""
    episodes: Count = _evaluation.EPISODES
    """Fresh episodes to judge each policy on."""
    at_once: AtOnce = None
    """Trainings side by side, among which the processor cores are divided."""
    cluster: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS", help_behavior_hint="(default: this machine)")] = (
        None
    )
    """Train on a Ray cluster, as 10.0.0.1:6379; `local` starts one on this machine."""


@dataclass(frozen=True)
class Made:
    """An arm before all are given the same number of steps."""

    arm: Arm
    rules: Rules


def make(task: str, recipe: str, config: Path | None, trainings: Trainings) -> Made:
    """The arm of a recipe and a file of settings, resolved and checked as `companion train` does.

    Raises:
        ValueError: on whatever can't work.
    """
    from companion import tasks
    from companion.cli._plans import make_plan
    from companion.cli.verbs.train import Arguments

    tasks.load(task)  # of the environments of others, recipes know nothing
    given = Arguments(
        task=task, recipe=recipe, config=config, trainer=trainings.trainer, steps=trainings.steps, set=trainings.set
    )
    plan = make_plan(given)
    if plan.problem.recipe is None:
        raise ValueError(f"{task} has no recipes")
    rules = Rules(task, plan.record.trainer, trainings.episodes, dict(plan.problem.set))
    return Made(Arm(plan.problem.recipe.name, plan.problem.recipe, plan.config), rules)


def at_equal_steps(arms: Sequence[Arm], steps: int | None, place: Workplace) -> list[Arm]:
    """The arms with one number of steps for all, and no more threads than there are cores for each."""
    steps = steps or min(MOST_STEPS, *(arm.config.steps for arm in arms))
    return [replace(arm, config=_adapted(arm.config, steps, place.threads)) for arm in arms]


def _adapted(config: Any, steps: int, threads: int) -> Any:
    fewer = {"threads": min(config.threads, threads)} if hasattr(config, "threads") else {}
    return replace(config, steps=steps, **fewer)


def workplace(trainings: Trainings) -> Workplace:
    """Where they are done.

    Raises:
        ValueError: if the cluster can't be had.
    """
    if trainings.cluster is None:
        return ThisMachine(trainings.at_once or len(shares_of_cores(1)[0]))
    from companion.cli._cluster import Cluster

    return Cluster(trainings.cluster, trainings.at_once)


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse a seed that is given twice, or none."""
    if not seeds:
        raise ValueError("--seeds: give at least one")
    for place, seed in enumerate(seeds):
        if seed in seeds[:place]:
            raise ValueError(f"--seeds: {seed} is given twice")


def check_differ(arms: Sequence[Arm]) -> None:
    """Refuse arms that can't be told apart."""
    for place, arm in enumerate(arms):
        for other in arms[:place]:
            if arm.name == other.name:
                raise ValueError(f"two recipes are called '{arm.name}'; give one another file name")
            if arm.facts() == other.facts():
                raise ValueError(f"'{other.name}' and '{arm.name}' are the same recipe with the same settings")


def train(campaign: Campaign, seeds: Sequence[int], place: Workplace) -> int:
    """Do what is left to do; the exit code."""
    _note_other_settings(campaign.arms)
    try:
        with alone_in(campaign.folder):
            failed = campaign.run(seeds, place)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    _note_commits(campaign, seeds)
    if failed:
        print(f"{len(failed)} trainings failed; the same command tries them again", file=sys.stderr)
    return INCOMPLETE if failed else 0


def _note_other_settings(arms: Sequence[Arm]) -> None:
    """Say where arms differ in more than their recipe: recipes bring settings of their own."""
    first = plain(arms[0].config)
    for arm in arms[1:]:
        other = [name for name, value in plain(arm.config).items() if first.get(name) != value]
        if other:
            print(
                f"'{arm.name}' is also trained with another {', '.join(other)} than '{arms[0].name}'", file=sys.stderr
            )


def _note_commits(campaign: Campaign, seeds: Sequence[int]) -> None:
    """Say where results were made by different versions of the program."""
    found = [campaign.results.get(arm.name, seed) for arm in campaign.arms for seed in seeds]
    commits = list(dict.fromkeys(result["commit"][:10] for result in found if result))
    if len(commits) > 1:
        print(f"the results were made by different versions: {', '.join(commits)}", file=sys.stderr)
