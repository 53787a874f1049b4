"""What a term of a recipe can pay at most and at least, from its weight and the range of what it measures."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from companion.rewards.recipe import ConstraintSpec, TermSpec
from companion.rewards.terms import Quantity, functions
from companion.tasks import Task

Per = Literal["second", "event", "decision", "end", "episode"]
IN_WORDS = {"second": "per second", "event": "per event", "decision": "per decision", "end": "at a true end"}


@dataclass(frozen=True)
class Pay:
    """Points that a term pays each time that it counts; infinite where the range is not known."""

    low: float
    high: float
    per: Per

    @property
    def size(self) -> float:
        """The larger of both without its sign."""
        return max(abs(self.low), abs(self.high))


def quantity(term: TermSpec) -> Quantity:
    """What kind of quantity the term's function measures."""
    return functions()[term.function_name].quantity


def pay(term: TermSpec) -> Pay:
    """What the term can pay: a potential for the whole way from its lowest to its highest value, undiscounted."""
    measured = quantity(term)
    if term.kind == "potential":
        most = _times(term.weight, measured.high - measured.low)
        return Pay(-abs(most), abs(most), "episode")
    ends = [_times(term.weight, end) for end in (measured.low, measured.high)]
    return Pay(min(ends), max(ends), _per(term, measured))


def pay_in_words(term: TermSpec) -> str:
    """What the term pays: up to a figure, between two, or by the unit where the range is not known."""
    if term.weight == 0.0:
        return "nothing, watched only"
    paid, unit = pay(term), quantity(term).unit
    if paid.per == "episode":
        return f"{term.weight:+g} for the whole way" if isfinite(paid.high) else f"{term.weight:+g} per {unit} gained"
    if not isfinite(paid.size):
        return f"{term.weight:+g} per {unit} {IN_WORDS[paid.per]}"
    ends = sorted({paid.low, paid.high} - {0.0})
    return f"{' to '.join(f'{end:+.4g}' for end in ends)} {IN_WORDS[paid.per]}"


def limit_in_words(constraint: ConstraintSpec) -> str:
    """What it may cost at most: on average over time, or per episode."""
    figure = f"at most {constraint.limit:g}{constraint.unit_in_words}"
    return figure if constraint.is_counted else f"{figure} on average"


def most_per_episode(term: TermSpec, task: Task) -> float:
    """The size of what the term can add up to in one episode, undiscounted."""
    return _times(pay(term).size, counts_per_episode(term, task))


def counts_per_episode(term: TermSpec, task: Task) -> float:
    """How often `pay` can be paid in an episode, or for how many seconds."""
    longest = {"second": task.max_episode_s, "decision": float(task.max_episode_steps)}
    return longest.get(pay(term).per, 1.0)


def seconds_seen(task: Task, discount: float) -> float:
    """How many seconds of an episode count, if it lasts to its limit and later ones are discounted."""
    decisions = task.max_episode_steps
    counted = decisions if discount >= 1.0 else (1.0 - discount**decisions) / (1.0 - discount)
    return counted * task.control_period_s


def _per(term: TermSpec, measured: Quantity) -> Per:
    if term.kind == "rate":
        return "second"
    if term.kind == "terminal":
        return "end"
    return "event" if measured.momentary else "decision"


def _times(weight: float, value: float) -> float:
    """The product, 0 if one of both is 0, even if the other is infinite."""
    return 0.0 if weight == 0.0 or value == 0.0 else weight * value
