"""A setting in centimetres, degrees or milliseconds where metres, radians or seconds are meant."""

from collections.abc import Iterator

import numpy as np

from companion.rewards.lint._case import Case, Evidence, Finding
from companion.rewards.recipe import TermSpec
from companion.rewards.terms import functions
from companion.tasks import Task

SUFFIXES = {"_m": "m", "_s": "s", "_rad": "rad", "_mps": "m/s", "_radps": "rad/s"}
PLAUSIBLE = {
    "m": (1e-3, 10.0),
    "s": (1e-3, np.inf),
    "rad": (1e-3, 2 * np.pi),
    "m/s": (1e-3, 5.0),
    "rad/s": (1e-3, 30.0),
}
"""Sizes of what robots among people do indoors: from what can be measured up to a large room or a fast joint."""
FROM_DEFAULT = 30.0
"""Settings are tuned by small factors; a degree is off by 57, a centimetre by 100."""
BEYOND_MEASURED = 10.0
"""A bound this many times beyond all that was measured bounds nothing."""


def check(case: Case) -> Iterator[Finding]:
    """Look at each setting whose name ends in a unit; the first reason for doubt is told."""
    for term in case.recipe.terms:
        for setting, value in term.settings.items():
            unit = next((unit for suffix, unit in SUFFIXES.items() if setting.endswith(suffix)), None)
            if unit and value != 0.0:
                yield from _doubts(case, term, setting, unit)


def _doubts(case: Case, term: TermSpec, setting: str, unit: str) -> Iterator[Finding]:
    value = term.settings[setting]
    reasons = [
        _implausible(case.task, value, unit),
        _far_from_default(functions()[term.function_name].settings[setting], value, unit),
        _beyond_measured(case, term, value, unit),
    ]
    reason = next((one for one in reasons if one), None)
    if reason:
        said = f"{setting}: {value:g} is in {unit}, and {reason}"
        # A robot that only stands, or only rams, does not show what is measured.
        severity = case.evidence.severity if case.evidence is not None and reason == reasons[-1] else "warning"
        yield Finding((term.name,), severity, value, said, f"give {setting} in {unit}")


def _implausible(task: Task, value: float, unit: str) -> str | None:
    low, high = PLAUSIBLE[unit]
    high = task.max_episode_s if unit == "s" else high
    if low <= abs(value) <= high:
        return None
    return f"{low:g} to {high:.3g} {unit} would be likely"


def _far_from_default(default: float, value: float, unit: str) -> str | None:
    if default == 0.0 or 1.0 / FROM_DEFAULT < value / default < FROM_DEFAULT:
        return None
    return f"the default is {default:g} {unit}"


def _beyond_measured(case: Case, term: TermSpec, value: float, unit: str) -> str | None:
    if case.evidence is None:
        return None
    largest = _largest(case.task, case.evidence, term, unit)
    if largest is None or abs(value) < BEYOND_MEASURED * largest:
        return None
    return f"what it is compared with was never above {largest:.3g} {unit}"


def _largest(task: Task, evidence: Evidence, term: TermSpec, unit: str) -> float | None:
    """The largest size that was recorded of the signals of this unit that the term looks at."""
    units = {signal.name: signal.unit for signal in task.signals}
    used = [name for name in functions()[term.function_name].signals if units[name] == unit]
    largest = [float(np.abs(evidence.record.signals[name]).max()) for name in used]
    return max(largest, default=None)
