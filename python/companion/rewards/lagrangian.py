"""Lagrange multipliers of a recipe's constraints: what a policy learns from while its limits are to hold.

The learner gets (r - Σ λ c) / (1 + Σ m), where r is the reward and c what each constraint measures; λ, the multiplier,
is a price in points per unit of cost, and m the part that it takes as a share of the reward (reward-constrained policy
optimisation, Tessler et al. 2018, with the normalisation of Stooke et al. 2020). λ rises while the mean cost is above
its limit and falls while it is below (proportional and integral control, ibid.), so no weight can buy a violation.

Two things differ from these papers, so that one set of gains does for every recipe: λ counts in units of the reward's
own mean size, and thus follows it where all weights are doubled; and what is controlled is its logarithm, as a cost and
its limit may be orders of magnitude apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.rewards.recipe import ConstraintSpec

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Gains:
    """How the multipliers move. The defaults suit PPO with rollouts of some tens of decisions."""

    period: int = 32
    """Decisions of every copy between two moves."""
    memory: float = 0.8
    """Share of the sums behind the mean cost and the reward's size that is kept from period to period."""
    integral: float = 0.1
    """The logarithm of λ moves by this per period, times the excess."""
    proportional: float = 0.5
    """λ is this much larger, as a logarithm, at an excess of 1; it damps swings."""
    first: float = 0.1
    """m, the price of the first cost (that is measured, or of the limit where that is more), with which λ begins."""
    least: float = 0.01
    """λ is counted from here, so that it falls to 0 and rises again in time."""
    most: float = 1000.0
    """m of the first cost, beyond which λ does not rise."""


@dataclass(frozen=True)
class Standing:
    """Where a constraint stands."""

    name: str
    unit: str
    cost: float
    """Lately, on average; NaN where none is known yet."""
    limit: float
    multiplier: float
    """λ: points per second and unit, or per event of a counted one."""


@dataclass
class _Sums:
    """Over some decisions of all copies."""

    decisions: float
    episodes: float
    """That ended."""
    reward_size: float
    """Σ |r|."""
    cost: Floats
    """Σ c `[constraints]`."""

    def add(self, other: "_Sums", kept: float = 1.0) -> None:
        """Take in more, after letting go of a share of what was."""
        for one in fields(self):
            setattr(self, one.name, kept * getattr(self, one.name) + getattr(other, one.name))


class Lagrangian:
    """The multipliers of a world that is learned in.

    Args:
        constraints: at least one.
        control_period_s: between two decisions.
        gains: how they move.
    """

    def __init__(
        self, constraints: Sequence[ConstraintSpec], control_period_s: float, gains: Gains | None = None
    ) -> None:
        self.constraints = tuple(constraints)
        self._period_s = control_period_s
        self._gains = gains or Gains()
        self._limit = np.array([one.limit for one in constraints])
        self._is_counted = np.array([one.is_counted for one in constraints])
        self._since, self._lately = self._nothing(), self._nothing()
        self._steps = 0
        self._first = np.full(len(constraints), np.nan)
        self._logarithm = np.full(len(constraints), np.log(self._gains.first))
        self._excess = np.zeros(len(constraints))

    def learned(
        self, reward: NDArray[np.float32], costs: NDArray[np.float32], active: NDArray[np.bool_], ended: int
    ) -> NDArray[np.float32]:
        """What to learn from a decision, and take it in.

        Args:
            reward: of the recipe `[copies]`.
            costs: what the constraints measured `[copies, constraints]`.
            active: rows that hold a transition `[copies]`.
            ended: episodes that came to an end.
        """
        found = (reward - costs @ self._price()) / (1.0 + self._share().sum())
        self._note(reward[active], costs[active], ended)
        return found.astype(np.float32)

    @property
    def cost(self) -> Floats:
        """Lately, of each `[constraints]`: per decision, or per episode where it is counted; NaN before it is known."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._lately.cost / np.where(self._is_counted, self._lately.episodes, self._lately.decisions)

    @property
    def standings(self) -> list[Standing]:
        """Of each constraint."""
        price = np.where(self._is_counted, 1.0, 1.0 / self._period_s) * self._price()
        rows = zip(self.constraints, self.cost.tolist(), price.tolist(), strict=True)
        return [Standing(one.name, one.unit, cost, one.limit, paid) for one, cost, paid in rows]

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on exactly from here."""
        return {
            "names": [one.name for one in self.constraints],
            "since": dict(vars(self._since)),
            "lately": dict(vars(self._lately)),
            "steps": self._steps,
            "first": self._first.copy(),
            "logarithm": self._logarithm.copy(),
            "excess": self._excess.copy(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` gave.

        Raises:
            ValueError: if it is of other constraints.
        """
        names = [one.name for one in self.constraints]
        if list(state["names"]) != names:
            raise ValueError(f"saved multipliers of {', '.join(state['names'])} are not of {', '.join(names)}")
        self._since, self._lately = _Sums(**state["since"]), _Sums(**state["lately"])
        self._steps = int(state["steps"])
        self._first, self._logarithm = np.array(state["first"]), np.array(state["logarithm"])
        self._excess = np.array(state["excess"])

    def _nothing(self) -> _Sums:
        return _Sums(0.0, 0.0, 0.0, np.zeros(len(self.constraints)))

    def _note(self, reward: NDArray[np.float32], costs: NDArray[np.float32], ended: int) -> None:
        cost = costs.sum(axis=0, dtype=np.float64)
        self._since.add(_Sums(len(reward), ended, float(np.abs(reward).sum(dtype=np.float64)), cost))
        self._steps += 1
        if self._steps % self._gains.period == 0:
            self._lately.add(self._since, self._gains.memory)
            self._since = self._nothing()
            self._move()

    def _move(self) -> None:
        """One step of the control."""
        cost, gains = self.cost, self._gains
        known = np.isfinite(cost)
        is_new = known & np.isnan(self._first) & (cost > 0)
        self._first[is_new] = np.maximum(cost, self._limit)[is_new]
        self._excess = np.where(known, _excess(cost, self._limit), 0.0)
        moved = self._logarithm + gains.integral * self._excess
        self._logarithm = np.clip(moved, np.log(gains.least), np.log(gains.most))

    def _relative(self) -> Floats:
        """The m of the first cost; 0 of a constraint that never cost anything."""
        raised = np.exp(self._logarithm + self._gains.proportional * self._excess)
        return np.where(np.isnan(self._first), 0.0, np.maximum(raised - self._gains.least, 0.0))

    def _share(self) -> Floats:
        """The m of each, what the constraints take of the reward at their cost of lately `[constraints]`."""
        return self._relative() * np.nan_to_num(self.cost / np.where(np.isnan(self._first), 1.0, self._first))

    def _price(self) -> Floats:
        """λ in points per unit of what is measured in one decision `[constraints]`."""
        lately = self._lately
        size = lately.reward_size / max(lately.decisions, 1.0) or 1.0
        per_episode = lately.decisions / max(lately.episodes, 1.0)
        scale = np.where(self._is_counted, size * per_episode, size)
        return self._relative() * scale / np.where(np.isnan(self._first), 1.0, self._first)


def _excess(cost: Floats, limit: Floats) -> Floats:
    """How far the cost is above its limit, as a share of the larger of both: from -1 to 1, and 0 if both are 0."""
    larger = np.maximum(cost, limit)
    return np.where(larger > 0, (cost - limit) / np.where(larger > 0, larger, 1.0), 0.0)
