"""Recipes made from recipes: the same terms with other weights or settings."""

from collections.abc import Mapping
from typing import Any

import yaml

from companion.menu import no_such
from companion.rewards.recipe import Recipe, TermSpec, recipe_from_text
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
    """The recipe without one of its terms, called `without_TERM`; the term is still measured, at weight 0."""
    return changed(task, recipe, f"without_{term}", {term: {"weight": 0.0}})


def recipe_text(recipe: Recipe, terms: Mapping[str, Mapping[str, float]] | None = None) -> str:
    """The recipe as a file, its comments left out, with other numbers in some terms."""
    new = terms or {}
    data = {
        "task": recipe.task,
        "description": recipe.description,
        "terms": {spec.name: _entry(spec, new.get(spec.name, {})) for spec in recipe.terms},
        **({"training": {name: dict(block) for name, block in recipe.training.items()}} if recipe.training else {}),
    }
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


def _entry(spec: TermSpec, new: Mapping[str, float]) -> dict[str, Any]:
    """One term as a file has it; its function only where it is not the term's own name."""
    function = {} if spec.function_name == spec.name else {"function": spec.function_name}
    numbers = {"weight": spec.weight, **spec.settings, **new}
    return {**function, "kind": spec.kind, **numbers, "rationale": spec.rationale}
