"""A limit that nothing can break, or that a reward term charges for as well."""

from collections.abc import Iterator

from companion.rewards.lint._case import Case, Finding
from companion.rewards.recipe import ConstraintSpec


def check(case: Case) -> Iterator[Finding]:
    """Compare each limit with the range of its function, and its function with those of the terms."""
    for constraint in case.recipe.constraints:
        high = _highest(case, constraint)
        if constraint.limit >= high:
            said = f"its limit of {constraint.limit:g} is never broken: the cost is {high:g} at most"
            yield Finding((constraint.name,), "warning", constraint.limit / high, said, "a limit below that")
        for term in case.weighed:
            if term.function_name == constraint.function_name and dict(term.settings) == dict(constraint.settings):
                said = f"'{term.name}' weighs what '{constraint.name}' limits, by {term.weight:g}"
                mends = f"weight 0 for '{term.name}', unless less than the limit is wanted, too"
                yield Finding((term.name, constraint.name), "note", term.weight, said, mends)


def _highest(case: Case, constraint: ConstraintSpec) -> float:
    """The cost cannot be more: of what is counted, if it happens on every decision."""
    return constraint.quantity.high * (case.task.max_episode_steps if constraint.is_counted else 1)
