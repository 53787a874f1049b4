"""An event that is scaled by time, or a lasting measurement that is not."""

from collections.abc import Iterator

from companion.rewards.bounds import quantity
from companion.rewards.lint._case import Case, Finding
from companion.rewards.recipe import TermSpec
from companion.tasks import Task


def check(case: Case) -> Iterator[Finding]:
    """Compare each term's kind with whether its function tells of an event."""
    for term in case.weighed:
        if quantity(term).momentary:
            yield from _of_an_event(term, case.task)
        elif term.kind == "event":
            yield _of_something_lasting(term, case.task)
        elif term.kind == "terminal" and quantity(term).constant:
            said = "is paid at every true end, be it a success or a failure"
            yield Finding((term.name,), "warning", term.weight, said, "take the function of the end that is meant")


def _of_an_event(term: TermSpec, task: Task) -> Iterator[Finding]:
    period, name = task.control_period_s, (term.name,)
    if term.kind == "rate":
        paid = term.weight * period
        said = f"is an event, but as a rate it pays {paid:g} instead of {term.weight:g} (x {period:g} s)"
        yield Finding(name, "error", paid, said, "kind: event, or terminal if it ends the episode")
    if term.kind == "potential":
        said = "is an event, and a potential of it takes back on the next step what it paid"
        yield Finding(name, "error", term.weight, said, "kind: event, or terminal if it ends the episode")


def _of_something_lasting(term: TermSpec, task: Task) -> Finding:
    rate = 1.0 / task.control_period_s
    said = f"goes on, but as an event it is paid on every decision: {rate:g} times per second, more if decided faster"
    return Finding((term.name,), "warning", rate, said, f"kind: rate, with {rate:g} times the weight")
