"""What can be watched, in a browser or in a video: a policy, a task's baseline and probes, and who drives it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from companion import tasks
from companion.cli._baselines import BASELINE, discount_of, observing
from companion.cli._cards import check_card_fits
from companion.cli._flags import perturbations
from companion.cli._problems import RobotTask, problem_of
from companion.cli._run_directory import POLICY
from companion.cli._viewer_stage import MakeController, Play
from companion.deploy.actor import OnnxActor
from companion.rewards import load_recipe
from companion.rewards.lint import DEFAULT_DISCOUNT
from companion.tasks import Controller, Task

POLICY_DRIVER, REST = "policy", "rest"


@dataclass(frozen=True)
class Wanted:
    """What is to be watched, as on the command line."""

    recipe: str | None
    """What is rewarded; None: the model's own recipe, or full."""
    set: tuple[str, ...]
    """KEY=VALUE for each perturbation that is fixed."""


def model_play(path: Path, wanted: Wanted) -> tuple[Play, Mapping[str, float]]:
    """What an exported policy, or a finished run's, does; and which perturbations are fixed.

    Raises:
        ValueError: if it is none, or none of a robot's task.
    """
    file = path / POLICY if path.is_dir() else path
    actor = OnnxActor(file)
    problem = problem_of(actor.card, wanted.set)
    if not isinstance(problem, RobotTask):
        raise ValueError(f"{file}: only policies of the robots' tasks can be watched, not of {actor.card.task}")
    check_card_fits(actor.card, problem.subject, str(file))
    task = problem.task
    recipe = problem.recipe if wanted.recipe is None else load_recipe(task, wanted.recipe)
    discount = float(actor.card.provenance.config.get("discount", DEFAULT_DISCOUNT))
    return Play(task, recipe, discount, {POLICY_DRIVER: acting(task, actor), **scripted(task)}), problem.set


def task_play(name: str, wanted: Wanted) -> tuple[Play, Mapping[str, float]]:
    """What a task's baseline and probes do; and which perturbations are fixed."""
    task = tasks.load(name)
    recipe = load_recipe(task, wanted.recipe or "full")
    return Play(task, recipe, discount_of(recipe), scripted(task)), perturbations(task, wanted.set)


def scripted(task: Task) -> dict[str, MakeController]:
    """Who can drive without having learned anything."""
    baseline = {} if task.baseline is None else {BASELINE: lambda: observing(task)}
    probes = {probe.name: probe.make_controller for probe in task.probes}
    return {**baseline, **probes, REST: lambda: resting(task)}


def resting(task: Task) -> Controller:
    """Asks nothing of the robot."""
    return lambda signals: task.rest_action[None]


def acting(task: Task, policy: Any) -> MakeController:
    """A policy that forgets all at the beginning of an episode."""

    def make() -> Controller:
        policy.restart()
        return lambda signals: policy.act(task.layout.pack(signals))

    return make
