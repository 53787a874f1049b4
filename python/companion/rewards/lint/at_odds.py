"""A term that pays more in failures than in successes."""

from collections.abc import Iterator
from dataclasses import replace

from companion.rewards.lint._case import Case, Finding
from companion.rewards.rescoring import success_outranks

AT_ODDS = 0.3
"""In seven of ten pairs of a success and a failure, the failure got more of it; half would be chance."""
MENDS = "pay it for progress instead of for presence (a potential), lower its weight, or take it out"


def check(case: Case) -> Iterator[Finding]:
    """Compare successes and failures by what each term paid that pays at all.

    What only charges is left out: a failure that ends early was charged for less time. So are potentials, which change
    no order of behaviours.
    """
    evidence = case.evidence
    if evidence is None or not evidence.has_both:
        return
    paid = evidence.judgement.term_returns
    for term in case.weighed:
        if term.kind == "potential":
            continue
        own = paid[:, case.column(term)]
        found = success_outranks(replace(evidence.judgement, term_returns=own[:, None]), evidence.record)
        if own.sum() > 0 and found < AT_ODDS:
            said = f"pays more in failures than in successes: a success gets more in only {found:.0%} of pairs of both"
            yield Finding((term.name,), "warning", found, said, MENDS)
