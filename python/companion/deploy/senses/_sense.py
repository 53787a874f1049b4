"""What the runtime asks of the senses of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from companion.deploy.freshness import View
    from companion.policy_card import PolicyCard
    from companion.signals import Signal


class Sense(Protocol):
    """One task's senses; they remember what the task's scene remembers between decisions."""

    def __init__(self, card: PolicyCard) -> None: ...

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What `feel` gives, under the task's own names: all that it observes, and what else can be told of it."""
        ...

    def restart(self, view: View) -> None:
        """Forget what has been: the policy begins anew, with the robot at rest."""
        ...

    def feel(self, view: View) -> dict[str, NDArray[np.float64]]:
        """The signals of now, `[1, size]` each."""
        ...

    def command(self, action: NDArray[np.float64], view: View) -> NDArray[np.float64]:
        """What the action `[n]` in [-1, 1] stands for, in the robot's units; it counts as taken."""
        ...

    def sent(self, command: NDArray[np.float64]) -> None:
        """What was sent to the robot in its place."""
        ...


class ActionMemory:
    """The last two actions, as the simulator keeps them."""

    def __init__(self, card: PolicyCard) -> None:
        low, high = np.array([(entry.low, entry.high) for entry in card.action]).T
        self._rest = np.clip(-(high + low) / (high - low), -1.0, 1.0)
        self.restart()

    def restart(self) -> None:
        """An episode begins: what was asked of the robot before is nothing."""
        self._now = self._before = self._rest

    def take(self, action: NDArray[np.float64]) -> None:
        """This is the policy's new action."""
        self._now, self._before = np.array(action, np.float64), self._now

    def signals(self) -> dict[str, NDArray[np.float64]]:
        """`previous_action` and `action_change`, `[1, n]`."""
        return {"previous_action": self._now[None], "action_change": (self._now - self._before)[None]}
