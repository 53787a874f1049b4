"""Constraints around any world that tells what they cost: the learner is paid less for breaking a limit."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.rewards.lagrangian import Lagrangian
from companion.worlds._step import Step


class ConstrainedWorld:
    """A world whose step's reward has the price of its costs taken off; else as the world itself.

    Returns and terms of the episodes that ended stay those of the recipe alone.
    """

    def __init__(self, world: Any, lagrangian: Lagrangian) -> None:
        self._world = world
        self.lagrangian = lagrangian

    def __getattr__(self, name: str) -> Any:
        """Sizes, masks and all else that is the world's own."""
        return getattr(self._world, name)

    def step(self, action: NDArray[np.float32]) -> Step:
        """Take one decision in every copy; its reward is what to learn from.

        Raises:
            ValueError: if the world does not tell what was measured.
        """
        step: Step = self._world.step(action)
        if step.costs is None:
            raise ValueError("this world does not tell what constraints cost in a decision; learn in the embedded one")
        ended = int(((step.terminated | step.truncated) & step.active).sum())
        reward = self.lagrangian.learned(step.reward, step.costs, step.active, ended)
        return replace(step, reward=np.where(step.active, reward, np.float32(0)))

    def get_state(self) -> dict[str, Any] | None:
        """The world's and the multipliers'."""
        state = self._world.get_state()
        return None if state is None else {"world": state, "lagrangian": self.lagrangian.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> NDArray[np.float32]:
        """Go on from a saved state; the observation to act on."""
        self.lagrangian.set_state(state["lagrangian"])
        return self._world.set_state(state["world"])
