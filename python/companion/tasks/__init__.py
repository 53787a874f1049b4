"""What the robots have to do, one file each; `load(name)` gives a task by its file name."""

import sys

from companion.menu import choices, pick
from companion.tasks._task import ActionEntry, Controller, Metric, Motion, Perturbation, Probe, Rank, Task, Way

__all__ = [
    "ActionEntry",
    "Controller",
    "Metric",
    "Motion",
    "Perturbation",
    "Probe",
    "Rank",
    "Task",
    "Way",
    "load",
    "names",
]


def names() -> list[str]:
    """The names of all tasks."""
    return choices(sys.modules[__name__])


def load(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: if there is none; lists the choices.
    """
    return pick(sys.modules[__name__], name, "task").TASK
