"""A potential that is below 0: a true end, where it counts as 0, then pays."""

from collections.abc import Iterator

import numpy as np

from companion.rewards.bounds import quantity
from companion.rewards.lint._case import Case, Finding

MENDS = "take a function that is never negative, such as closeness, with a positive weight"


def check(case: Case) -> Iterator[Finding]:
    """Look for potentials whose weighted value can be below 0."""
    for term in case.weighed:
        if term.kind != "potential":
            continue
        measured = quantity(term)
        low = min(0.0 if end == 0 else term.weight * end for end in (measured.low, measured.high))
        if low < 0:
            depth = f"goes down to {low:g}" if np.isfinite(low) else "has no lower end"
            said = f"the potential {depth}: below 0, both an end, where it counts as 0, and waiting pay"
            yield Finding((term.name,), "warning", low, said, MENDS)
