"""Two terms that pay for the same thing."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from companion.rewards.bounds import quantity
from companion.rewards.lint._case import Case, Evidence, Finding, names
from companion.rewards.recipe import TermSpec
from companion.rewards.terms import functions

NEAR = 0.2
"""Settings that differ by less than this share make the same measurement; scales that are meant differ by factors."""
SAME_COURSE = 0.98
"""Terms that correlate by this much over all decisions could be one: over 96 % of one is told by the other."""
ENOUGH_CHANGES = 100
"""Decisions on which both are not as usual; a few would correlate by chance."""
MENDS = "keep one of both, with the sum of what they pay"


def check(case: Case) -> Iterator[Finding]:
    """Compare all pairs of terms by function and settings, by their signals, and by what they paid."""
    for first, second in combinations(case.weighed, 2):
        found = _alike(first, second) or _correlated(case, first, second) or _same_signals(first, second)
        if found:
            yield found


def _alike(first: TermSpec, second: TermSpec) -> Finding | None:
    if first.function_name != second.function_name or _shapes(first) != _shapes(second):
        return None
    apart = max((_apart(value, second.settings[name]) for name, value in first.settings.items()), default=0.0)
    if apart > NEAR:
        return None
    how = "the same settings" if apart == 0.0 else f"settings that differ by {apart:.0%}"
    said = f"both measure '{first.function_name}' with {how}"
    return Finding(names([first, second]), "warning" if apart else "error", apart, said, MENDS)


def _shapes(term: TermSpec) -> bool:
    """A potential pays for changes, and any other kind for the value: these two may well stand side by side."""
    return term.kind == "potential"


def _apart(first: float, second: float) -> float:
    return abs(first - second) / max(abs(first), abs(second), 1e-12)


def _same_signals(first: TermSpec, second: TermSpec) -> Finding | None:
    looked_at = [functions()[term.function_name].signals for term in (first, second)]
    pushes = [_push(first), _push(second)]
    if looked_at[0] != looked_at[1] or first.kind != second.kind or pushes[0] != pushes[1] or not pushes[0]:
        return None
    said = f"both push the same way on {', '.join(looked_at[0])}"
    return Finding(
        names([first, second]), "note", 1.0, said, "see by `companion rewards ablate` whether both are needed"
    )


def _push(term: TermSpec) -> str | None:
    """What the term makes of what it looks at: the same for a reward for nearness and a charge for distance."""
    better = quantity(term).better
    if better is None:
        return None
    return "wanted" if (term.weight > 0) == (better == "more") else "unwanted"


def _correlated(case: Case, first: TermSpec, second: TermSpec) -> Finding | None:
    if case.evidence is None or quantity(first).momentary != quantity(second).momentary:
        return None
    found = _correlation(case.evidence, case.column(first), case.column(second))
    if abs(found) <= SAME_COURSE:
        return None
    said = f"what they paid correlates by {found:.3f}: one tells all that the other does"
    return Finding(names([first, second]), case.evidence.severity, found, said, MENDS)


def _correlation(evidence: Evidence, first: int, second: int) -> float:
    """Over all decisions but the last ones, on which potentials drop together; 0 where one hardly ever changes."""
    rows = evidence.decided & ~evidence.record.terminated
    paid = evidence.scores.weighted[rows][:, [first, second]].astype(np.float64)
    if (np.abs(paid - np.median(paid, axis=0)) > 0).sum(axis=0).min() < ENOUGH_CHANGES:
        return 0.0
    return float(np.corrcoef(paid[:, 0], paid[:, 1]).item(1))
