"""What a trainer asks of a world. Worlds satisfy it by shape and never import it."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Advise: TypeAlias = Callable[[], NDArray[np.float32]]
"""What a teacher would do now in every copy: continuous actions `[num_envs, action_size]` in [-1, 1]. A world that has
a teacher has it as a method `advise`; the others have none. The teacher may know more than the observation tells."""


class Episodes(Protocol):
    """The episodes that ended in one step; every array has one entry per ended episode."""

    @property
    def length(self) -> NDArray[np.int64]: ...
    @property
    def total_reward(self) -> NDArray[np.float32]: ...
    @property
    def success(self) -> NDArray[np.bool_] | NDArray[np.float32]:
        """NaN where the world can't tell."""
        ...

    @property
    def terms(self) -> Mapping[str, NDArray[np.float32]]: ...
    @property
    def raw_terms(self) -> Mapping[str, NDArray[np.float32]]: ...
    @property
    def metrics(self) -> Mapping[str, NDArray[np.float32]]: ...


class Step(Protocol):
    """One decision of every copy; arrays `[num_envs, …]`."""

    @property
    def observation(self) -> NDArray[np.float32]:
        """What to act on next; of a new episode where the old one ended."""
        ...

    @property
    def reward(self) -> NDArray[np.float32]: ...
    @property
    def terminated(self) -> NDArray[np.bool_]:
        """The episode came to a true end: no value beyond it."""
        ...

    @property
    def truncated(self) -> NDArray[np.bool_]:
        """The episode was cut off: the value of `final_observation` goes on."""
        ...

    @property
    def final_observation(self) -> NDArray[np.float32]:
        """The last observation of the old episode where one ended, else `observation`."""
        ...

    @property
    def active(self) -> NDArray[np.bool_]:
        """False where a row holds no transition to learn from."""
        ...

    @property
    def taken(self) -> NDArray[np.float32] | None:
        """The actions that led to the transitions, where some were given in an earlier step; None: all in this one.

        Only in worlds whose agents decide at different times. While an agent is at its last action, its row isn't
        active and keeps its observation, and what is given for it has no effect.
        """
        ...

    @property
    def episodes(self) -> Episodes: ...


def action_taken(given: NDArray[np.float32], step: Step) -> NDArray[np.float32]:
    """The action to learn from in each row, where `given` was given in this step."""
    return given if step.taken is None else step.taken


class VecEnv(Protocol):
    """Many copies of one task that are stepped together and reset themselves when an episode ends."""

    @property
    def num_envs(self) -> int: ...
    @property
    def observation_size(self) -> int: ...
    @property
    def action_size(self) -> int:
        """Columns of an action: continuous entries, each in [-1, 1], then one per branch with the number chosen."""
        ...

    @property
    def discrete_branches(self) -> tuple[int, ...]:
        """How many choices each discrete branch of the action has; () where the action is continuous only."""
        ...

    @property
    def action_mask(self) -> NDArray[np.bool_] | None:
        """Which choices are open now, `[num_envs, sum(discrete_branches)]`, True is open; None where all always are.

        It belongs to the observation that `reset`, `step` or `set_state` gave last.
        """
        ...

    def reset(self, seed: int) -> NDArray[np.float32]:
        """Start every copy anew; the first observation `[num_envs, observation_size]`."""
        ...

    def step(self, action: NDArray[np.float32]) -> Step:
        """Take one decision in every copy; `action` is `[num_envs, action_size]`."""
        ...

    def get_state(self) -> Mapping[str, Any] | None:
        """All that `set_state` needs to go on exactly (arrays and plain values), or None if it can't be told."""
        ...

    def set_state(self, state: Mapping[str, Any]) -> NDArray[np.float32]:
        """Go on from a saved state; the observation to act on."""
        ...

    def close(self) -> None: ...
