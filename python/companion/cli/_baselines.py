"""The yardstick of a task: its classical controller, given what a policy sees and nothing else."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion import tasks
from companion.rewards import Recipe
from companion.rewards.lint import DEFAULT_DISCOUNT
from companion.tasks import Controller, Task

BASELINE = "baseline"


class BaselinePolicy:
    """A classical controller as a policy: each of its signals is cut out of the observation.

    A controller that remembers has a method `restart(rows)`, as a policy has; one without it remembers nothing.

    Raises:
        ValueError: if the task has none.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._controller = made(task)

    def act(self, observation: NDArray[np.float32], mask: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """The action `[rows, m]` for an observation `[rows, n]`; there is no mask in a robot's task."""
        action = self._controller(self._task.layout.unpack(observation.astype(np.float64)))
        return np.asarray(action, np.float32)

    def restart(self, rows: NDArray[np.bool_] | None = None) -> None:
        """Forget what these rows have seen; all of them without an argument."""
        if rows is None:
            self._controller = made(self._task)
        elif hasattr(self._controller, "restart"):
            self._controller.restart(rows)  # pyright: ignore[reportFunctionMemberAccess] (those that remember have it)

    def take_back(self, rows: NDArray[np.bool_]) -> None:
        """Rows of the embedded world decide at every step, so that there is nothing to take back."""


def made(task: Task) -> Controller:
    """A new controller of the task.

    Raises:
        ValueError: if it has none; lists the tasks that do.
    """
    if task.baseline is None:
        others = ", ".join(name for name in tasks.names() if tasks.load(name).baseline is not None)
        raise ValueError(f"task '{task.name}' has no baseline, a classical controller; choose from {others or 'none'}")
    return task.baseline()


def observing(task: Task) -> Controller:
    """The same for who has all signals: it gets those of the observation, rounded as in the observation."""
    policy = BaselinePolicy(task)
    return lambda signals: policy.act(task.layout.pack(signals)).astype(np.float64)


def discount_of(recipe: Recipe) -> float:
    """What learners of this recipe use, for potential terms where nobody learned."""
    settings: Any = recipe.training.get("ppo", {})
    return float(settings.get("discount", DEFAULT_DISCOUNT))
