"""Charges for living that add up to more than the charge for a failure that ends it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from companion.rewards.bounds import pay, seconds_seen
from companion.rewards.lint._case import Case, Evidence, Finding, names, outcomes
from companion.rewards.lint.no_outcome import failure_functions, limits_failure
from companion.rewards.recipe import TermSpec

BEST_TENTH = 0.9
"""What a term pays in the best tenth of recorded decisions is what living costs where one takes care."""
MENDS = "charge more for the failure, or less per second; a potential in place of a distance costs nothing"


def check(case: Case) -> Iterator[Finding]:
    """Compare what an episode costs even if all goes well with what a failure costs: by range, then as recorded."""
    if not failure_functions(case) or limits_failure(case):
        return
    charging = [term for term in case.lasting if term.kind in ("rate", "event")]
    certain = _comparison(case, {term.name: _certain_cost_per_s(case, term) for term in charging})
    if certain:
        yield certain
    elif case.evidence:
        costs = {term.name: _recorded_cost_per_s(case, case.evidence, term) for term in charging}
        seen = _comparison(case, costs)
        yield from [replace(seen, severity=case.evidence.severity)] if seen else []


def _comparison(case: Case, cost_per_s: dict[str, float]) -> Finding | None:
    """The finding, if the costs of a whole episode come to more than a failure."""
    living, failing = sum(cost_per_s.values()), -sum(pay(term).low for term in outcomes(case, "less"))
    whole, seen = living * case.task.max_episode_s, living * seconds_seen(case.task, case.discount)
    if whole <= failing or not living:
        return None
    said = (
        f"living costs {living:.3g} per second, {whole:.3g} in an episode ({seen:.3g} as discounted), "
        f"and failing {failing:.3g}: an early end pays"
    )
    costly = sorted((name for name, cost in cost_per_s.items() if cost), key=lambda name: -cost_per_s[name])
    blamed = (*costly, *names(outcomes(case, "less")))
    return Finding(blamed, "error" if seen > failing else "warning", whole - failing, said, MENDS)


def _certain_cost_per_s(case: Case, term: TermSpec) -> float:
    """What the term charges at the good end of its range."""
    return max(0.0, -pay(term).high / (1.0 if term.kind == "rate" else case.task.control_period_s))


def _recorded_cost_per_s(case: Case, evidence: Evidence, term: TermSpec) -> float:
    paid = evidence.scores.weighted[evidence.decided, case.column(term)]
    return max(0.0, -float(np.quantile(paid, BEST_TENTH)) / case.task.control_period_s)
