"""A recipe that pays nothing for success, or charges nothing for failure."""

from collections.abc import Iterator

from companion.rewards.lint._case import Case, Finding, outcomes
from companion.rewards.terms import functions


def check(case: Case) -> Iterator[Finding]:
    """Look for terms that tell of success and of failure."""
    if not outcomes(case, "more"):
        said = "nothing is paid for success, so that nothing but the shaping is learned"
        yield Finding((), "warning", 0.0, said, "a term 'reached', kind event, that outweighs the shaping")
    failures = failure_functions(case)
    if failures and not outcomes(case, "less") and not limits_failure(case):
        said = "nothing is charged for a failure that the task can end with"
        yield Finding((), "note", 0.0, said, f"a term '{failures[0]}', kind terminal, with a negative weight")


def limits_failure(case: Case) -> bool:
    """Whether a constraint limits how often episodes fail."""
    return any(one.is_counted and one.quantity.better == "less" for one in case.recipe.constraints)


def failure_functions(case: Case) -> list[str]:
    """The functions that tell of a failure and that this task has the signals for."""
    measured = {signal.name for signal in case.task.signals}
    return [
        name
        for name, function in functions().items()
        if function.quantity.momentary and function.quantity.better == "less" and measured.issuperset(function.signals)
    ]
