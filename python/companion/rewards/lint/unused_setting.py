"""A setting that changes nothing, at its present value and beside the others."""

from collections.abc import Iterator, Mapping

import numpy as np

from companion.rewards.lint._case import Case, Finding
from companion.rewards.recipe import TermSpec
from companion.rewards.terms import functions
from companion.tasks import Task

TRIED = 2_000
SIZES = (-3.0, 1.5)
"""Signals are tried from 1 mm to 30 m, and alike in other units, as powers of ten."""
NUDGE = 0.1
"""A setting is moved by this share of itself, or by this much where it is 0."""


def check(case: Case) -> Iterator[Finding]:
    """Move each setting a little and see whether any value changes, over signals of all sizes."""
    for term in (*case.recipe.terms, *(one.measured for one in case.recipe.constraints)):
        for setting in term.settings:
            if not _matters(case.task, term, setting):
                said = f"{setting}: {term.settings[setting]:g} could be another without changing anything"
                mends = "check its size, and the other settings of the term"
                yield Finding((term.name,), "warning", term.settings[setting], said, mends)


def _matters(task: Task, term: TermSpec, setting: str) -> bool:
    value = term.settings[setting]
    moved = [value * (1 + NUDGE), value * (1 - NUDGE)] if value else [NUDGE, -NUDGE]
    before = _values(task, term, term.settings)
    return any(_values(task, term, {**term.settings, setting: other}) != before for other in moved)


def _values(task: Task, term: TermSpec, settings: Mapping[str, float]) -> bytes:
    """What the function gives for the same signals each time; nothing where it refuses the settings."""
    function = functions()[term.function_name]
    random = np.random.default_rng(0)
    sizes = {signal.name: signal.size for signal in task.signals}
    try:
        return function.function(
            *[_of_all_sizes(random, sizes[name]) for name in function.signals], **settings
        ).tobytes()
    except ValueError:
        return b""


def _of_all_sizes(random: np.random.Generator, size: int) -> np.ndarray:
    shape = (TRIED, size)
    return random.choice((-1.0, 1.0), shape) * 10.0 ** random.uniform(*SIZES, shape)
