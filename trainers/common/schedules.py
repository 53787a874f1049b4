"""Settings that change from the first step to the last."""

from typing import Literal

Schedule = Literal["constant", "linear"]


def linearly(start: float, end: float, progress: float) -> float:
    """From start to end as progress goes from 0 to 1."""
    return end + (start - end) * max(1.0 - progress, 0.0)


def scheduled_rate(rate: float, schedule: Schedule, steps: int, all_steps: int) -> float:
    """The learning rate after so many steps: kept, or brought to 0 at the last one."""
    return rate if schedule == "constant" else rate * max(1 - steps / all_steps, 1e-6)
