"""Looks through a recipe, and where there is one through a ledger, for faults that are known from other rewards.

A public module here is one check: its docstring says which fault it finds, `check(case)` yields its findings. Its file
name is the check's name.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from companion.menu import choices, pick
from companion.rewards.lint._case import SEVERITIES, Case, Evidence, Finding, Severity
from companion.rewards.lint._objective import leaks
from companion.rewards.recipe import Recipe
from companion.tasks import Task

__all__ = ["DEFAULT_DISCOUNT", "Case", "Evidence", "Finding", "Severity", "checks", "discounts_of", "leaks", "lint"]

DEFAULT_DISCOUNT = 0.99
"""Every trainer's own, where a recipe says nothing of it; a test compares them."""


def checks() -> list[str]:
    """The names of all checks."""
    return choices(sys.modules[__name__])


def lint(recipe: Recipe, task: Task, evidence: Evidence | None = None) -> list[Finding]:
    """What is wrong with a recipe, errors first; with evidence also what shows only in recorded episodes."""
    case = Case(task, recipe, discounts_of(recipe.training), evidence)
    found = [finding for name in checks() for finding in _findings(name, case)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def discounts_of(training: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The discount per decision that each trainer of a recipe learns with."""
    given = {trainer: settings.get("discount", DEFAULT_DISCOUNT) for trainer, settings in training.items()}
    # What is no discount is refused by the trainer, in its own words.
    sound = {trainer: float(value) for trainer, value in given.items() if _is_discount(value)}
    return sound or {"any trainer": DEFAULT_DISCOUNT}


def _is_discount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 < value <= 1.0


def _findings(name: str, case: Case) -> list[Finding]:
    found = pick(sys.modules[__name__], name, "check").check(case)
    return [replace(finding, check=name) for finding in found]
