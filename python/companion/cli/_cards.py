"""Filling in a policy card from a task, a run and its evaluation."""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion import robots
from companion.cli._evaluation import Observed
from companion.menu import pick
from companion.policy_card import (
    ActionScale,
    GoldenVectors,
    ObservationRange,
    PolicyCard,
    Provenance,
    Range,
    RecipeText,
)
from companion.rewards import Recipe
from companion.tasks import Task

DELAY = "action_delay_steps"
"""The perturbation whose range is the latency that a policy was trained for."""


def make_card(
    task: Task,
    recipe: Recipe,
    provenance: Provenance,
    golden: GoldenVectors,
    *,
    evaluation: Mapping[str, Any] | None = None,
    observed: Observed | None = None,
    fixed: Mapping[str, float] | None = None,
) -> PolicyCard:
    """The card of a policy trained on `task` for `recipe`; `fixed` are perturbations that were set from outside."""
    ranges = tuple(_range(task, name, fixed or {}) for name in (entry.name for entry in task.perturbations))
    delay = next((entry for entry in ranges if entry.name == DELAY), None)
    period = task.control_period_s
    return PolicyCard(
        robot=task.robot,
        task=task.name,
        behavior=task.behavior_name,
        observation=task.layout.signals,
        action=tuple(ActionScale(one.name, one.unit, float(one.low), float(one.high)) for one in task.action),
        control_period_s=period,
        latency_s=(delay.low * period, delay.high * period) if delay else (0.0, 0.0),
        perturbations=ranges,
        robot_facts=_robot_facts(task.robot),
        recipe=RecipeText(recipe.name, recipe.hash, recipe.text),
        provenance=provenance,
        golden=golden,
        evaluation=evaluation,
        observation_range=None if observed is None else ObservationRange(_floats(observed.low), _floats(observed.high)),
    )


def golden_vectors(observation: NDArray[np.float32], action: NDArray[np.float32]) -> GoldenVectors:
    """Rows of both, with every float32 exactly."""
    return GoldenVectors(tuple(map(_floats, observation)), tuple(map(_floats, action)))


def check_card_fits(card: PolicyCard, task: Task, where: str) -> None:
    """Refuse a policy that was trained for another layout than the task has now.

    Raises:
        ValueError: naming the file and what differs.
    """
    differing = [
        (what, found, expected)
        for what, found, expected in (
            ("observation", [(one.name, one.size) for one in card.observation], _sizes(task)),
            ("action", [one.name for one in card.action], [one.name for one in task.action]),
            ("control period", card.control_period_s, task.control_period_s),
        )
        if found != expected
    ]
    if differing:
        what, found, expected = differing[0]
        raise ValueError(f"{where}: its {what} is {found}, but task '{task.name}' now has {expected}; train it anew")


def _sizes(task: Task) -> list[tuple[str, int]]:
    return [(signal.name, signal.size) for signal in task.layout.signals]


def _range(task: Task, name: str, fixed: Mapping[str, float]) -> Range:
    entry = task.perturbation(name)
    low, high = (fixed[name], fixed[name]) if name in fixed else (entry.low, entry.high)
    return Range(name, entry.unit, float(entry.nominal), float(low), float(high))


def _robot_facts(name: str) -> Mapping[str, Any]:
    facts = pick(robots, name, "robot").ROBOT
    return asdict(facts) if is_dataclass(facts) and not isinstance(facts, type) else vars(facts)


def _floats(values: NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
