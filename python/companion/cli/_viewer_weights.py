"""Other weights for a recipe while somebody watches: how far they may go, and the recipe's file with them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import yaml

from companion.menu import no_such
from companion.rewards import Recipe, TermSpec

REACH = 10.0
"""A weight may become so many times as large as the recipe's, with either sign."""
STEPS = 20
"""Of a slider, for each time the recipe's weight."""
UNKNOWN = 1.0
"""What is sensible in a recipe that weighs nothing at all."""


@dataclass(frozen=True)
class Span:
    """Where a weight's slider begins and ends, and how finely it moves."""

    low: float
    high: float
    step: float


def span_of(recipe: Recipe, term: TermSpec) -> Span:
    """From -10 to 10 times the recipe's weight; of a term that weighs nothing, of what its like weigh there."""
    scale = abs(term.weight) or usual_weight(recipe, term)
    return Span(-REACH * scale, REACH * scale, scale / STEPS)


def usual_weight(recipe: Recipe, term: TermSpec) -> float:
    """The geometric mean of the weights of the term's kind in this recipe, else of all, to one digit."""
    alike = [abs(other.weight) for other in recipe.terms if other.kind == term.kind and other.weight]
    weights = alike or [abs(other.weight) for other in recipe.terms if other.weight]
    return float(f"{np.exp(np.log(weights).mean()):.0e}") if weights else UNKNOWN


def with_weights(recipe: Recipe, weights: Mapping[str, float]) -> Recipe:
    """The recipe with other weights, for scoring; its hash and text stay those of the file."""
    terms = tuple(replace(term, weight=weights.get(term.name, term.weight)) for term in recipe.terms)
    return replace(recipe, terms=terms)


def text_with_weights(recipe: Recipe, weights: Mapping[str, float]) -> str:
    """The recipe's file with other weights; every comment, rationale and setting stays as it was written.

    Raises:
        ValueError: on a term that the recipe does not have.
    """
    names = [term.name for term in recipe.terms]
    for name in weights:
        if name not in names:
            raise ValueError(no_such(f"term of recipe '{recipe.name}'", name, names))
    new = {term.name: weights[term.name] for term in recipe.terms if weights.get(term.name, term.weight) != term.weight}
    text = recipe.text
    for begin, end, name in sorted(_places(text), reverse=True):
        if name in new:
            text = f"{text[:begin]}{_number(new[name])}{text[end:]}"
    return text


def _places(text: str) -> list[tuple[int, int, str]]:
    """Where in a recipe's text weights stand: the first character, the one behind the last, and the term."""
    terms = _entry(yaml.compose(text, Loader=yaml.SafeLoader), "terms")
    assert isinstance(terms, yaml.MappingNode)  # the recipe was read from this text
    found = []
    for key, term in terms.value:
        weight = _entry(term, "weight")
        found.append((weight.start_mark.index, weight.end_mark.index, key.value))
    return found


def _entry(node: yaml.Node | None, name: str) -> yaml.Node:
    assert isinstance(node, yaml.MappingNode)
    return next(value for key, value in node.value if key.value == name)


def _number(weight: float) -> str:
    """Six digits are finer than any slider."""
    return repr(float(f"{weight:.6g}"))
