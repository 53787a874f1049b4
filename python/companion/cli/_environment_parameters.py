"""A recipe as `environment_parameters` of mlagents-learn: weights and settings, and stages by steps as lessons."""

from typing import Any

from companion.rewards import Recipe
from companion.rewards.curriculum import Stages, Value
from companion.tasks import Task


def numbers(recipe: Recipe) -> dict[str, float]:
    """The weights and settings of a recipe under their names as environment parameters; constraints have no weight."""
    found = {term.name: {"weight": term.weight, **term.settings} for term in recipe.terms}
    found |= {constraint.name: dict(constraint.settings) for constraint in recipe.constraints}
    return {f"reward/{name}/{key}": value for name, given in found.items() for key, value in given.items()}


def environment_parameters(recipe: Recipe, task: Task, max_steps: int) -> dict[str, Any]:
    """What stands under `environment_parameters` of a file whose `max_steps` is this.

    Raises:
        ValueError: if stages go by success, which that file can't say, or begin after the training.
    """
    lessons = {one.parameter: {"curriculum": _lessons(one, task, max_steps)} for one in recipe.curriculum}
    return {**numbers(recipe), **lessons}


def _lessons(stages: Stages, task: Task, max_steps: int) -> list[dict[str, Any]]:
    if stages.by == "success":
        raise ValueError(
            f"curriculum of {stages.parameter}: mlagents-learn knows lessons by progress or return, and no way back; "
            "stages by steps have that form"
        )
    if stages.at[-1] >= max_steps:
        raise ValueError(
            f"curriculum of {stages.parameter}: its last stage begins after {max_steps} steps; say --steps"
        )
    lessons: list[dict[str, Any]] = [
        {"name": f"stage_{number}", "value": _value(value)} for number, value in enumerate(stages.values)
    ]
    for lesson, at in zip(lessons, stages.at, strict=False):
        # A lesson ends above its threshold, and a stage at its step.
        threshold = (at - 0.5) / max_steps
        lesson["completion_criteria"] = {
            "behavior": task.behavior_name, "measure": "progress", "threshold": threshold
        }  # fmt: skip
    return lessons


def _value(value: Value) -> Any:
    if not isinstance(value, tuple):
        return value
    return {"sampler_type": "uniform", "sampler_parameters": {"min_value": value[0], "max_value": value[1]}}
