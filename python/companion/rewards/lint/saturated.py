"""A term that stays at the far end of its range: it can't tell better from worse there."""

from collections.abc import Iterator

import numpy as np

from companion.rewards.bounds import quantity
from companion.rewards.lint._case import Case, Finding
from companion.rewards.recipe import TermSpec

AT_THE_END = 0.01
"""This near to an end, in parts of the range, it is there."""
TOO_OFTEN = 0.9
"""Of all decisions; then the few others decide alone."""
MENDS = "widen its settings, so that what is usual lies within its range"


def check(case: Case) -> Iterator[Finding]:
    """Count decisions on which a bounded term is at an end that is not 0; at 0 it merely rests."""
    if case.evidence is None:
        return
    for term in case.lasting:
        if not quantity(term).bounded or quantity(term).constant:
            continue
        values = case.evidence.values[case.evidence.decided, case.column(term)]
        share, end = max(_shares_at_ends(term, values), default=(0.0, 0.0))
        if share > TOO_OFTEN:
            said = f"at {end:g}, an end of its range, on {share:.0%} of all decisions"
            yield Finding((term.name,), case.evidence.severity, share, said, MENDS)


def _shares_at_ends(term: TermSpec, values: np.ndarray) -> list[tuple[float, float]]:
    measured = quantity(term)
    near = AT_THE_END * (measured.high - measured.low)
    ends = [end for end in (measured.low, measured.high) if end != 0]
    return [(float((np.abs(values - end) <= near).mean()), end) for end in ends]
