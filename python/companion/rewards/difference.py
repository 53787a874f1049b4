"""What really differs between two recipes of a task, in the files and in what they pay for recorded episodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from companion.rewards.bounds import pay_in_words
from companion.rewards.recipe import Recipe, TermSpec
from companion.rewards.record import Record
from companion.rewards.rescoring import judge, rank_agreement
from companion.tasks import Task

Place: TypeAlias = Literal["first", "second", "both"]


@dataclass(frozen=True)
class TermDifference:
    """How one term differs."""

    term: str
    found_in: Place
    """The recipe that has it."""
    changes: Mapping[str, tuple[str | float | None, str | float | None]]
    """By function, kind, weight or setting: its value in both; None where there is none."""
    pays: tuple[str | None, str | None]
    """What each pays, in points."""


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
    """Whether the two are one reward; their descriptions, rationales, order and training don't count."""
    return first.hash == second.hash


def differences(first: Recipe, second: Recipe) -> list[TermDifference]:
    """The terms that differ in what they pay, in the order of the first recipe; terms are matched by name."""
    before = {term.name: term for term in first.terms}
    after = {term.name: term for term in second.terms}
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


def _difference(name: str, before: TermSpec | None, after: TermSpec | None) -> TermDifference:
    place: Place = "second" if before is None else "first" if after is None else "both"
    values = [{} if term is None else _what_pays(term) for term in (before, after)]
    keys = {**values[0], **values[1]}
    pairs = {key: (values[0].get(key), values[1].get(key)) for key in keys}
    pays = (before and pay_in_words(before), after and pay_in_words(after))
    return TermDifference(name, place, {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}, pays)


def _what_pays(term: TermSpec) -> dict[str, str | float]:
    """All of a term that its pay depends on."""
    return {"function": term.function_name, "kind": term.kind, "weight": term.weight, **term.settings}
