"""Recipes made from recipes: the same terms with other weights or settings."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from companion.menu import no_such
from companion.rewards._recipe_shape import CONSTRAINT
from companion.rewards.curriculum import Stages
from companion.rewards.recipe import ConstraintSpec, Recipe, TermSpec, recipe_from_text
from companion.tasks import Task


def changed(task: Task, recipe: Recipe, name: str, terms: Mapping[str, Mapping[str, float]]) -> Recipe:
    """The recipe under another name, with other numbers in some of its terms.

    Args:
        task: the recipe's.
        recipe: what to start from.
        name: of the new one.
        terms: by term, its new `weight` and settings.

    Raises:
        ValueError: on a term or a setting that the recipe does not have, or a number that a term does not take.
    """
    for term in terms:
        if term not in (spec.name for spec in recipe.terms):
            raise ValueError(no_such(f"term of recipe '{recipe.name}'", term, [spec.name for spec in recipe.terms]))
    return recipe_from_text(task, name, recipe_text(recipe, terms))


def without(task: Task, recipe: Recipe, term: str) -> Recipe:
    """The recipe without one of its terms, called `without_TERM`; the term is still measured, at weight 0.

    Stages of its weight go with it.
    """
    stages = tuple(one for one in recipe.curriculum if one.parameter != f"reward/{term}/weight")
    return changed(task, replace(recipe, curriculum=stages), f"without_{term}", {term: {"weight": 0.0}})


def recipe_text(recipe: Recipe, terms: Mapping[str, Mapping[str, float]] | None = None) -> str:
    """The recipe as a file, its comments left out, with other numbers in some terms."""
    new = terms or {}
    data = {
        "task": recipe.task,
        "description": recipe.description,
        "terms": {
            **{spec.name: _entry(spec, new.get(spec.name, {})) for spec in recipe.terms},
            **{spec.name: _limit_entry(spec) for spec in recipe.constraints},
        },
        **(
            {"curriculum": {one.parameter: _stages_entry(one) for one in recipe.curriculum}}
            if recipe.curriculum
            else {}
        ),
        **({"training": {name: dict(block) for name, block in recipe.training.items()}} if recipe.training else {}),
    }
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


def _entry(spec: TermSpec, new: Mapping[str, float]) -> dict[str, Any]:
    """One term as a file has it."""
    numbers = {"weight": spec.weight, **spec.settings, **new}
    return {**_function(spec), "kind": spec.kind, **numbers, "rationale": spec.rationale}


def _limit_entry(spec: ConstraintSpec) -> dict[str, Any]:
    numbers = {"limit": spec.limit, **spec.settings}
    return {**_function(spec), "kind": CONSTRAINT, **numbers, "rationale": spec.rationale}


def _function(spec: TermSpec | ConstraintSpec) -> dict[str, str]:
    """Only where it is not the term's own name."""
    return {} if spec.function_name == spec.name else {"function": spec.function_name}


def _stages_entry(stages: Stages) -> dict[str, Any]:
    by_success = {"up": stages.up, "down": stages.down, "episodes": stages.episodes}
    when = {"at": list(stages.at)} if stages.by == "steps" else by_success
    values = [list(value) if isinstance(value, tuple) else value for value in stages.values]
    return {"by": stages.by, **when, "stages": values}
