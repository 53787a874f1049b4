"""Reward that is reached without success."""

from collections.abc import Iterator

import numpy as np

from companion.rewards.lint._case import Case, Evidence, Finding, Severity

TOO_MANY = 0.05
"""Of the failures. A few are lucky: a long way done and a failure at its end can pay more than a short success."""
MENDS = "pay more for success or charge more for failure, and less for what these episodes do"


def check(case: Case) -> Iterator[Finding]:
    """Count failures that return more than the median success, and say what paid most in them."""
    evidence = case.evidence
    if evidence is None or not evidence.has_both:
        return
    returns = evidence.judgement.returns
    succeeded = evidence.record.succeeded
    median = float(np.median(returns[succeeded]))
    rich = ~succeeded & (returns > median)
    if rich.any():
        share = float(rich.sum() / (~succeeded).sum())
        severity: Severity = "warning" if share > TOO_MANY else "note"
        said = f"{rich.sum()} of {(~succeeded).sum()} failures return more than the median success ({median:.3g})"
        yield Finding(_best_paid(case, evidence, rich), severity, share, said, MENDS)


def _best_paid(case: Case, evidence: Evidence, chosen: np.ndarray) -> tuple[str, ...]:
    """The term that paid most in these episodes; none where it was potentials alone, which change no order."""
    paid = evidence.judgement.term_returns[chosen].mean(axis=0)
    pays = {term.name: value for term, value in zip(case.recipe.terms, paid, strict=True) if term.kind != "potential"}
    best = max(pays, key=lambda name: pays[name], default=None)
    return (best,) if best is not None and pays[best] > 0 else ()
