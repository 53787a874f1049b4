"""Pay per second that an early success would end, worth more than the success."""

from collections.abc import Iterator

import numpy as np

from companion.rewards.bounds import pay, quantity, seconds_seen
from companion.rewards.lint._case import Case, Finding, Severity, names, outcomes
from companion.rewards.recipe import TermSpec

MENDS = "pay more for success, less per second, or make it a potential, which pays for nothing twice"


def check(case: Case) -> Iterator[Finding]:
    """Compare what a whole episode without success could earn with what success pays."""
    earning = [term for term in case.lasting if _most_per_s(case, term) > 0]
    success = sum(pay(term).high for term in outcomes(case, "more"))
    if not earning or not success:
        return
    rate = sum(_most_per_s(case, term) for term in earning)
    seen, whole = rate * seconds_seen(case.task, case.discount), rate * case.task.max_episode_s
    if whole > success:
        said = (
            f"up to {rate:.3g} per second without success, {whole:.3g} in an episode ({seen:.3g} as discounted), "
            f"and success pays {success:.3g}"
        )
        blamed = names(sorted(earning, key=lambda term: -_most_per_s(case, term)))
        yield Finding(blamed, _severity(earning, seen > success), whole - success, said, MENDS)


def _most_per_s(case: Case, term: TermSpec) -> float:
    """What the term can pay per second; 0 where no range is known, as for a speed, which can't go on for ever."""
    if term.kind not in ("rate", "event") or not np.isfinite(pay(term).high):
        return 0.0
    return pay(term).high / (1.0 if term.kind == "rate" else case.task.control_period_s)


def _severity(terms: list[TermSpec], as_discounted: bool) -> Severity:
    """Pay that comes by itself is certain; other pay is a bound that behaviour may not reach."""
    certain = all(quantity(term).constant for term in terms)
    if as_discounted:
        return "error" if certain else "warning"
    return "warning" if certain else "note"
