"""A term that never fires, in episodes that should have made it fire."""

from collections.abc import Iterator

import numpy as np

from companion.rewards.bounds import quantity
from companion.rewards.lint._case import Case, Evidence, Finding
from companion.rewards.recipe import TermSpec
from companion.rewards.terms import functions

FIRES = 1e-3
"""A bounded term that never leaves this part of its range around 0 does not fire."""


def check(case: Case) -> Iterator[Finding]:
    """Look for terms that stayed at 0, and say whether their signals did too."""
    evidence = case.evidence
    if evidence is None:
        return
    for term in case.weighed:
        largest = float(np.abs(evidence.scores.raw[:, case.column(term)]).max())
        if largest <= _threshold(term):
            yield _tell(evidence, term, largest)


def _threshold(term: TermSpec) -> float:
    measured = quantity(term)
    return FIRES * max(abs(measured.low), abs(measured.high)) if measured.bounded and term.kind != "potential" else 0.0


def _tell(evidence: Evidence, term: TermSpec, largest: float) -> Finding:
    decisions = int(evidence.decided.sum())
    said, name = f"never fires in {decisions} decisions", (term.name,)
    if still := _still(evidence, term):
        said += f", as {', '.join(still)} never changes there"
        return Finding(name, "note", largest, said, "record episodes in which it happens")
    if not evidence.shows(term):
        which = "success" if term.weight > 0 else "failure"
        said += f", too few of which end in {which} to judge it"
        return Finding(name, "note", largest, said, f"record episodes that end in {which}")
    # What only punishes is at rest, too, in all that is done wrong in another way, as by standing still.
    severity = evidence.severity if term.weight < 0 else "warning"
    return Finding(name, severity, largest, said, "check its settings and its kind, or take it out")


def _still(evidence: Evidence, term: TermSpec) -> list[str]:
    used = functions()[term.function_name].signals
    return [name for name in used if not np.ptp(evidence.record.signals[name][evidence.decided], axis=0).any()]
