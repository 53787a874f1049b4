"""A term that is too small beside another to change what is learned."""

from collections.abc import Iterator

import numpy as np

from companion.rewards.bounds import most_per_episode
from companion.rewards.lint._case import Case, Finding

VANISHES = 1e-3
"""Below this part of the largest term, advantages are told apart by noise: a learner sees some thousand episodes."""
PAID_LITTLE = 1e-4
"""The same for what was paid, which is less for a charge that policies have learned to avoid."""
MENDS = "raise its weight, or take it out"


def check(case: Case) -> Iterator[Finding]:
    """Compare what terms add up to in an episode at most, then, on a ledger, what they did pay."""
    most = {term.name: most_per_episode(term, case.task) for term in case.weighed}
    known = {name: size for name, size in most.items() if np.isfinite(size)}
    small = [name for name, size in known.items() if size < VANISHES * max(known.values(), default=0.0)]
    yield from _by_range(known, small)
    yield from _by_ledger(case, small)


def _by_range(known: dict[str, float], small: list[str]) -> Iterator[Finding]:
    if not small:
        return
    giant = max(known, key=lambda name: known[name])
    if len(small) == len(known) - 1 > 1:
        said = f"at most {known[giant]:.3g} in an episode, beside which every other term vanishes"
        yield Finding((giant,), "warning", known[giant], said, "lower its weight")
        return
    for name in small:
        said = f"at most {known[name]:.2g} in an episode, where '{giant}' comes to {known[giant]:.3g}"
        yield Finding((name,), "warning", known[name] / known[giant], said, MENDS)


def _by_ledger(case: Case, told: list[str]) -> Iterator[Finding]:
    evidence = case.evidence
    if evidence is None:
        return
    share = evidence.judgement.shares
    largest = max((share[case.column(term)] for term in case.lasting), default=0.0)
    for term in case.lasting:
        own = float(share[case.column(term)])
        if term.name not in told and 0.0 < own < PAID_LITTLE * largest and evidence.shows(term):
            said = f"{own:.1e} of all that was paid, where the largest lasting term has {largest:.0%}"
            yield Finding((term.name,), evidence.severity, own, said, MENDS)
