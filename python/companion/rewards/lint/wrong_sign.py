"""A term that pays for what nobody wants, or charges for what everybody wants."""

from collections.abc import Iterator

from companion.rewards.bounds import quantity
from companion.rewards.lint._case import Case, Finding

MENDS = "turn the weight's sign round"


def check(case: Case) -> Iterator[Finding]:
    """Compare each weight's sign with what the function says of its meaning."""
    for term in case.weighed:
        better = quantity(term).better
        if better and (term.weight > 0) != (better == "more"):
            does = "pays for" if term.weight > 0 else "charges for"
            said = f"weight {term.weight:g} {does} '{term.function_name}', of which {better} is better"
            yield Finding((term.name,), "error", term.weight, said, MENDS)
