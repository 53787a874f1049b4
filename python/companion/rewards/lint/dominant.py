"""A term beside which, in recorded episodes, no other that goes on matters."""

from collections.abc import Iterator

import numpy as np

from companion.rewards.lint._case import Case, Finding

DOMINATES = 0.9
"""With a larger part of all that lasting terms pay, it alone decides how an episode is spent."""
MENDS = "lower its weight until the others are felt, or take them out"


def check(case: Case) -> Iterator[Finding]:
    """Compare what the lasting terms paid; successes and failures should be large, and stand apart."""
    if case.evidence is None or len(case.lasting) < 2:
        return
    paid = case.evidence.judgement.shares[[case.column(term) for term in case.lasting]]
    if paid.max() > DOMINATES * paid.sum():
        term, part = case.lasting[int(np.argmax(paid))], float(paid.max() / paid.sum())
        said = f"{part:.0%} of all that the lasting terms pay"
        yield Finding((term.name,), case.evidence.severity, part, said, MENDS)
