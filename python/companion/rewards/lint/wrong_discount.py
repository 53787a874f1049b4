"""Potentials that are paid with different discounts, or a discount that never sees an episode's end."""

from collections.abc import Iterator

import numpy as np

from companion.rewards.lint._case import Case, Finding, names, outcomes
from companion.rewards.recipe import TermSpec

HORIZONS = 5.0
"""An episode of more than so many horizons 1 / (1 - discount) ends unseen: seen from its start, its end counts for
e^-5, under 1 %."""
SAME = 1e-9


def check(case: Case) -> Iterator[Finding]:
    """Compare discounts with one another, with the ledger's, and with how long episodes take."""
    potentials = [term for term in case.weighed if term.kind == "potential"]
    if potentials:
        yield from _disagreement(case, potentials)
    for trainer, discount in case.discounts.items():
        yield from _short_sight(case, trainer, discount, potentials)


def _disagreement(case: Case, potentials: list[TermSpec]) -> Iterator[Finding]:
    by_trainer, mends = case.discounts, "give the same discount everywhere"
    if max(by_trainer.values()) - min(by_trainer.values()) > SAME:
        listed = ", ".join(f"{trainer} {discount:g}" for trainer, discount in by_trainer.items())
        said = f"a potential pays by the learner's discount, and these differ: {listed}"
        yield Finding(names(potentials), "warning", min(by_trainer.values()), said, mends)
    if case.evidence and all(abs(discount - case.evidence.discount) > SAME for discount in by_trainer.values()):
        recorded = case.evidence.discount
        said = (
            f"the ledger's potentials were paid with discount {recorded:g}, with which no trainer of the recipe learns"
        )
        yield Finding(names(potentials), "warning", recorded, said, mends)


def _short_sight(case: Case, trainer: str, discount: float, potentials: list[TermSpec]) -> Iterator[Finding]:
    needed, why = _needed_decisions(case)
    horizon = np.inf if discount >= 1.0 else 1.0 / (1.0 - discount)
    if horizon * HORIZONS * (1 + SAME) < needed:
        blamed = names(potentials or outcomes(case, "more"))
        sight = horizon * case.task.control_period_s
        said = f"{trainer}'s discount {discount:g} sees {sight:.2g} s ahead, and {why} {needed} decisions"
        yield Finding(blamed, "warning", discount, said, f"a discount of at least {1 - HORIZONS / needed:.3g}")


def _needed_decisions(case: Case) -> tuple[int, str]:
    """As many as nine of ten successful episodes took, or as an episode may take where that is not known."""
    evidence = case.evidence
    if evidence is None or not evidence.successes:
        return case.task.max_episode_steps, "an episode may take"
    taken = evidence.record.decisions[evidence.record.succeeded]
    return int(np.quantile(taken, 0.9)), "nine of ten successes take up to"
