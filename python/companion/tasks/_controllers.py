"""What the scripted probes of several tasks are made of.

A task is sent to other processes, probes included, and a lambda can't be: probes make their controllers by `partial`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.tasks._task import Controller


def same(controller: Controller) -> Controller:
    """The controller itself, for probes whose controllers remember nothing: `partial(same, controller)` makes it."""
    return controller


def always(*action: float) -> Controller:
    """The same action in all copies at every decision."""
    return lambda signals: np.tile(action, (len(next(iter(signals.values()))), 1))


def shaken(controller: Controller, *amplitude: float) -> Controller:
    """A controller's actions with this much added and taken away in turn."""
    signs = Alternation()
    return lambda signals: np.clip(controller(signals) + signs.next() * np.array(amplitude), -1.0, 1.0)


def shaking(*amplitude: float) -> Controller:
    """Nothing but the shaking, about the action 0."""
    return shaken(always(*(0.0 for _ in amplitude)), *amplitude)


def late(controller: Controller, steps: int, *rest: float) -> Controller:
    """The controller, after so many decisions of nothing but the action `rest`."""
    rests, taken = always(*rest), 0

    def act(signals: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        nonlocal taken
        taken += 1
        return rests(signals) if taken <= steps else controller(signals)

    return act


class Alternation:
    """+1, -1, +1, …"""

    def __init__(self) -> None:
        self._sign = -1.0

    def next(self) -> float:
        """The next of them."""
        self._sign = -self._sign
        return self._sign


def wrapped(angle: NDArray[Any]) -> NDArray[np.float64]:
    """The same angles within -π and π, rad."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
