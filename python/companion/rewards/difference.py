"""What really differs between two recipes of a task, in the files and in what they pay for recorded episodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from companion.rewards._recipe_shape import CONSTRAINT
from companion.rewards.bounds import limit_in_words, pay_in_words
from companion.rewards.curriculum import Stages, in_words, value_in_words
from companion.rewards.recipe import ConstraintSpec, Recipe, TermSpec
from companion.rewards.record import Record
from companion.rewards.rescoring import judge, rank_agreement
from companion.tasks import Task

Place: TypeAlias = Literal["first", "second", "both"]


@dataclass(frozen=True)
class TermDifference:
    """How one term, constraint or setting of the curriculum differs."""

    term: str
    """Its name; of a setting of the curriculum, `curriculum` and its name."""
    found_in: Place
    """The recipe that has it."""
    changes: Mapping[str, tuple[str | float | None, str | float | None]]
    """By function, kind, weight, limit or setting: its value in both; None where there is none."""
    pays: tuple[str | None, str | None]
    """What each pays, in points; of a constraint its limit, of a setting its stages."""


@dataclass(frozen=True)
class Comparison:
    """Two recipes on the same recorded episodes."""

    episodes: int
    first_shares: Mapping[str, float]
    """Each term's part in all that the first one pays and charges."""
    second_shares: Mapping[str, float]
    kendall_tau: float
    """Of the episodes' returns: 1 the same order, -1 the opposite, NaN if either pays all alike."""


def pay_the_same(first: Recipe, second: Recipe) -> bool:
    """Whether the two pay and limit the same at every stage.

    Their descriptions, rationales, order and training don't count.
    """
    return first.hash == second.hash


def differences(first: Recipe, second: Recipe) -> list[TermDifference]:
    """What differs in what it pays or limits, in the order of the first recipe; terms are matched by name."""
    before, after = _parts(first), _parts(second)
    found = [_difference(name, before.get(name), after.get(name)) for name in {**before, **after}]
    return [one for one in found if one.changes]


def compare(first: Recipe, second: Recipe, task: Task, record: Record, discount: float) -> Comparison:
    """What the two pay for a record.

    Raises:
        ValueError: if a signal that a term looks at was not recorded.
    """
    judgements = [judge(recipe, task, record, discount) for recipe in (first, second)]
    shares = [dict(zip(one.scores.names, one.shares.tolist(), strict=True)) for one in judgements]
    return Comparison(len(record.starts), shares[0], shares[1], rank_agreement(*judgements))


Part: TypeAlias = TermSpec | ConstraintSpec | Stages


def _parts(recipe: Recipe) -> dict[str, Part]:
    stages = {f"curriculum {one.parameter}": one for one in recipe.curriculum}
    return {**{one.name: one for one in (*recipe.terms, *recipe.constraints)}, **stages}


def _difference(name: str, before: Part | None, after: Part | None) -> TermDifference:
    place: Place = "second" if before is None else "first" if after is None else "both"
    values = [{} if part is None else _facts(part) for part in (before, after)]
    keys = {**values[0], **values[1]}
    pairs = {key: (values[0].get(key), values[1].get(key)) for key in keys}
    pays = (before and _in_words(before), after and _in_words(after))
    return TermDifference(name, place, {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}, pays)


def _facts(part: Part) -> dict[str, str | float]:
    """All of it that what is learned depends on."""
    if isinstance(part, Stages):
        return {"stages": _values(part), "when": in_words(part)}
    if isinstance(part, ConstraintSpec):
        return {"function": part.function_name, "kind": CONSTRAINT, "limit": part.limit, **part.settings}
    return {"function": part.function_name, "kind": part.kind, "weight": part.weight, **part.settings}


def _in_words(part: Part) -> str:
    if isinstance(part, Stages):
        return f"{_values(part)}, {in_words(part)}"
    return limit_in_words(part) if isinstance(part, ConstraintSpec) else pay_in_words(part)


def _values(stages: Stages) -> str:
    return ", then ".join(map(value_in_words, stages.values))
