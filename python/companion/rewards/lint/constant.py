"""A term that is nearly the same on every decision: nothing can be learned from it."""

from collections.abc import Iterator

import numpy as np

from companion.rewards.bounds import quantity
from companion.rewards.lint._case import Case, Finding

SPREAD = 0.01
"""A standard deviation of less than this share of the mean is nearly constant."""
MENDS = "bring its settings to the size of what is measured; a price per second should say so: time_passing"


def check(case: Case) -> Iterator[Finding]:
    """Compare the spread of each lasting term's measurement with its mean."""
    evidence = case.evidence
    if evidence is None:
        return
    for term in case.lasting:
        values = evidence.values[evidence.decided, case.column(term)].astype(np.float64)
        mean, spread = float(np.abs(values.mean())), float(values.std())
        if mean > 0 and spread < SPREAD * mean and not quantity(term).constant and evidence.shows(term):
            said = f"nearly constant: {values.mean():.4g} with a standard deviation of {spread:.2g}"
            yield Finding((term.name,), "warning", spread / mean, said, MENDS)
