"""What an action is made of."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from trainers.common.vec_env import VecEnv

ActionKind = Literal["continuous", "discrete", "hybrid"]


@dataclass(frozen=True)
class ActionSpace:
    """Continuous entries in [-1, 1] first, then one column per discrete branch, which holds the number chosen."""

    continuous: int
    branches: tuple[int, ...] = ()
    """Choices of each branch."""

    @classmethod
    def of(cls, world: VecEnv) -> "ActionSpace":
        """What a world takes."""
        branches = tuple(world.discrete_branches)
        return cls(world.action_size - len(branches), branches)

    @property
    def kind(self) -> ActionKind:
        """Hybrid is both in one action."""
        if not self.branches:
            return "continuous"
        return "hybrid" if self.continuous else "discrete"

    @property
    def size(self) -> int:
        """Columns of an action."""
        return self.continuous + len(self.branches)

    @property
    def choices(self) -> int:
        """Choices of all branches together."""
        return sum(self.branches)

    @property
    def outputs(self) -> int:
        """Numbers a stochastic policy's network gives: a mean per entry, then a logit per choice."""
        return self.continuous + self.choices

    def require(self, kinds: Collection[ActionKind], trainer: str) -> None:
        """Refuse an action that a trainer can't learn.

        Raises:
            ValueError: naming the action, the trainer and what it can do.
        """
        if self.kind not in kinds:
            raise ValueError(
                f"trainer {trainer} can't act here: the action is {self}; it learns {' and '.join(sorted(kinds))} ones"
            )

    def require_continuous(self, setting: str, value: float) -> None:
        """Refuse a `setting`, other than 0, that works on continuous entries where there are none.

        Raises:
            ValueError: naming the setting and the action.
        """
        if value and not self.continuous:
            raise ValueError(f"{setting}: works on continuous actions, and here the action is {self}; leave it at 0")

    def __str__(self) -> str:
        parts = [f"{self.continuous} continuous"] if self.continuous else []
        parts += [f"branches of {', '.join(map(str, self.branches))} choices"] if self.branches else []
        return f"{self.kind} ({', '.join(parts)})"
