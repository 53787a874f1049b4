"""Filling in a policy card from what was learned, a run and its evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion import robots
from companion.cli._evaluation import Observed
from companion.menu import pick
from companion.policy_card import (
    ActionScale,
    Branch,
    CardMotion,
    GoldenVectors,
    ObservationRange,
    PolicyCard,
    Provenance,
    Range,
    RecipeText,
)
from companion.rewards import Recipe
from companion.signals import Signal
from companion.tasks import Task

DELAY = "action_delay_steps"
"""The perturbation whose range is the latency that a policy was trained for."""

THEIR_OWN = RecipeText("the environment's own", "", "")
"""The reward of an environment that brings its own."""


@dataclass(frozen=True)
class Subject:
    """What a card says of that which was learned; the fields mean what the card's fields of these names mean."""

    robot: str
    task: str
    behavior: str
    observation: tuple[Signal, ...]
    action: tuple[ActionScale, ...]
    control_period_s: float | None
    recipe: RecipeText
    branches: tuple[Branch, ...] = ()
    is_masked: bool = False
    motions: tuple[CardMotion, ...] = ()
    latency_s: tuple[float, float] = (0.0, 0.0)
    perturbations: tuple[Range, ...] = ()
    robot_facts: Mapping[str, Any] = field(default_factory=dict)


def task_subject(
    task: Task, recipe: Recipe, *, fixed: Mapping[str, float] | None = None, discrete: bool = False
) -> Subject:
    """A robot's task, learned for a recipe.

    Args:
        task: of `companion.tasks`.
        recipe: the reward.
        fixed: perturbations that were set from outside.
        discrete: whether the policy picks one of the task's motions. The robot still gets the continuous action.
    """
    ranges = tuple(_range(task, name, fixed or {}) for name in (entry.name for entry in task.perturbations))
    delay = next((entry for entry in ranges if entry.name == DELAY), None)
    period = task.control_period_s
    return Subject(
        robot=task.robot,
        task=task.name,
        behavior=task.behavior_name,
        observation=task.layout.signals,
        action=tuple(ActionScale(one.name, one.unit, float(one.low), float(one.high)) for one in task.action),
        control_period_s=period,
        recipe=RecipeText(recipe.name, recipe.hash, recipe.text),
        motions=tuple(CardMotion(one.name, one.action) for one in task.motions) if discrete else (),
        latency_s=(delay.low * period, delay.high * period) if delay else (0.0, 0.0),
        perturbations=ranges,
        robot_facts=_robot_facts(task.robot),
    )


def foreign_subject(
    name: str,
    *,
    robot: str,
    behavior: str,
    observation: Sequence[tuple[str, int]],
    action: Sequence[tuple[str, float, float]] = (),
    branches: Sequence[int] = (),
    masked: bool = False,
    period_s: float | None = None,
) -> Subject:
    """An environment that is not ours, as `gym:Pendulum-v1` or a behavior of somebody's Unity project.

    Args:
        name: as on the command line.
        robot: what the card calls the machine, as `gymnasium` or `unity`.
        behavior: the name under which Unity would find the policy.
        observation: names and sizes of its parts, in order.
        action: of each continuous entry the name, and what -1 and +1 stand for.
        branches: how many choices each discrete branch has.
        masked: whether choices may be closed.
        period_s: time between two decisions, where the environment says.
    """
    return Subject(
        robot=robot,
        task=name,
        behavior=behavior,
        observation=tuple(Signal(part, size, "1", "As the environment gives it.") for part, size in observation),
        action=tuple(ActionScale(entry, "1", float(low), float(high)) for entry, low, high in action),
        control_period_s=period_s,
        recipe=THEIR_OWN,
        branches=tuple(
            Branch(f"branch_{index}", tuple(map(str, range(choices)))) for index, choices in enumerate(branches)
        ),
        is_masked=masked,
    )


def make_card(
    subject: Subject,
    provenance: Provenance,
    golden: GoldenVectors,
    *,
    evaluation: Mapping[str, Any] | None = None,
    observed: Observed | None = None,
) -> PolicyCard:
    """The card of a policy; what it remembers is written by `robot_file`, which knows the network."""
    return PolicyCard(
        **{entry.name: getattr(subject, entry.name) for entry in fields(subject)},
        provenance=provenance,
        golden=golden,
        evaluation=evaluation,
        observation_range=None if observed is None else ObservationRange(_floats(observed.low), _floats(observed.high)),
    )


def golden_rows(rows: NDArray[np.float32]) -> tuple[tuple[float, ...], ...]:
    """Rows of numbers, with every float32 exactly."""
    return tuple(map(_floats, rows))


def check_card_fits(card: PolicyCard, subject: Subject, where: str) -> None:
    """Refuse a policy that was trained for something else than there is now under that name.

    Raises:
        ValueError: naming the file and what differs.
    """
    for what, found, expected in (
        ("observation", _sizes(card.observation), _sizes(subject.observation)),
        ("action", [one.name for one in card.action], [one.name for one in subject.action]),
        ("discrete choices", _choices(card.branches), _choices(subject.branches)),
        ("control period", card.control_period_s, subject.control_period_s),
    ):
        if found != expected:
            told = f"its {what} is {found}, but '{subject.task}' now has {expected}"
            raise ValueError(f"{where}: {told}; train it anew")


def _sizes(signals: Sequence[Signal]) -> list[tuple[str, int]]:
    return [(signal.name, signal.size) for signal in signals]


def _choices(branches: Sequence[Branch]) -> list[int]:
    return [len(branch.choices) for branch in branches]


def _range(task: Task, name: str, fixed: Mapping[str, float]) -> Range:
    entry = task.perturbation(name)
    low, high = (fixed[name], fixed[name]) if name in fixed else (entry.low, entry.high)
    return Range(name, entry.unit, float(entry.nominal), float(low), float(high))


def _robot_facts(name: str) -> Mapping[str, Any]:
    facts = pick(robots, name, "robot").ROBOT
    return asdict(facts) if is_dataclass(facts) and not isinstance(facts, type) else vars(facts)


def _floats(values: NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
