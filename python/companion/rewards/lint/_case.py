"""What a check looks at, and what it finds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from companion.rewards.bounds import quantity
from companion.rewards.recipe import Recipe, TermSpec
from companion.rewards.record import Record, Scores, score
from companion.rewards.rescoring import Judgement, judge
from companion.tasks import Task

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

ENOUGH_EPISODES = 10
"""Fewer successes, or failures, than this say nothing of a term that only they can show."""


@dataclass(frozen=True)
class Finding:
    """One fault of a recipe."""

    terms: tuple[str, ...]
    """Those to look at, the worst first; () if it is the recipe as a whole."""
    severity: Severity
    figure: float
    """The one by which it was found, which `said` explains."""
    said: str
    """What is wrong, in one sentence."""
    mends: str
    """What usually mends it."""
    check: str = ""
    """The name of the check that found it."""


@dataclass(frozen=True)
class Evidence:
    """Recorded episodes, and what the recipe pays for them."""

    record: Record
    discount: float
    """That potentials are paid with."""
    judgement: Judgement
    values: NDArray[np.float32]
    """What each term's function measures on each row `[rows, terms]`, whatever its kind; 0 on starts."""

    @staticmethod
    def of(recipe: Recipe, task: Task, record: Record, discount: float) -> "Evidence":
        """Score a record.

        Raises:
            ValueError: if it lacks a signal that a term looks at, or holds no decision.
        """
        if not (record.step > 0).any():
            raise ValueError("no decision was recorded")
        measured = replace(recipe, terms=tuple(replace(term, kind="rate") for term in recipe.terms))
        values = score(measured, task, record, discount).raw
        return Evidence(record, discount, judge(recipe, task, record, discount), values)

    @property
    def scores(self) -> Scores:
        """What the recipe pays."""
        return self.judgement.scores

    @cached_property
    def decided(self) -> NDArray[np.bool_]:
        """True on the rows that are decisions `[rows]`."""
        return self.record.step > 0

    @cached_property
    def successes(self) -> int:
        """How many episodes succeeded."""
        return int(self.record.succeeded.sum())

    @cached_property
    def failures(self) -> int:
        """How many did not."""
        return len(self.record.starts) - self.successes

    @property
    def has_both(self) -> bool:
        """Whether there are enough successes and failures to compare them."""
        return min(self.successes, self.failures) >= ENOUGH_EPISODES

    @property
    def severity(self) -> Severity:
        """Of what all the recorded behaviour has in common: behaviour that never succeeds may be one-sided."""
        return "warning" if self.successes >= ENOUGH_EPISODES else "note"

    def shows(self, term: TermSpec) -> bool:
        """Whether a term that is at rest here should have been seen at work.

        What rewards is at rest where nothing succeeds, and what punishes where nothing fails.
        """
        return (self.successes if term.weight > 0 else self.failures) >= ENOUGH_EPISODES


@dataclass(frozen=True)
class Case:
    """A recipe to check."""

    task: Task
    recipe: Recipe
    discounts: Mapping[str, float]
    """The discount per decision by trainer, at least one."""
    evidence: Evidence | None = None

    @property
    def weighed(self) -> list[TermSpec]:
        """The terms that are not merely watched."""
        return [term for term in self.recipe.terms if term.weight != 0.0]

    @property
    def lasting(self) -> list[TermSpec]:
        """Of these, those that tell of something that goes on."""
        return [term for term in self.weighed if not quantity(term).momentary]

    @property
    def discount(self) -> float:
        """The recorded one, else the largest that the recipe is trained with."""
        return self.evidence.discount if self.evidence else max(self.discounts.values())

    def column(self, term: TermSpec) -> int:
        """Where a term stands in the evidence's arrays."""
        return self.recipe.terms.index(term)


def outcomes(case: Case, meaning: Literal["less", "more"]) -> list[TermSpec]:
    """The terms that pay for a success (`more`), or charge for a failure (`less`), on the step on which it happens."""
    sign = 1.0 if meaning == "more" else -1.0
    return [
        term
        for term in case.weighed
        if term.kind in ("event", "terminal")
        and quantity(term).momentary
        and quantity(term).better == meaning
        and term.weight * sign > 0
    ]


def names(terms: list[TermSpec]) -> tuple[str, ...]:
    """Their names."""
    return tuple(term.name for term in terms)
