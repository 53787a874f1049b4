"""The engine that turns signals into a reward: Σ weight x term, for all copies at once.

Every term is measured at every step, also at weight 0. What is returned adds up exactly: `weighted` is weight x `raw`
(x the control period for a rate), and `total` is the float64 sum of `weighted`, rounded to float32. What constraints
cost is measured beside it and is no part of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.menu import no_such
from companion.rewards.recipe import Recipe, TermSpec
from companion.rewards.terms import functions
from companion.signals import Signals
from companion.tasks import Task


@dataclass(frozen=True)
class Rewards:
    """The reward of one step and what it is made of; one row per copy, one column per term."""

    total: NDArray[np.float32]
    raw: NDArray[np.float32]
    """What the terms measured: a rate per second, a terminal term only at a true end, a potential its change."""
    weighted: NDArray[np.float32]
    """What each term adds to `total`."""
    cost: NDArray[np.float32]
    """What each constraint measured, one column per constraint."""


class _Term:
    """One term at work: its function, its settings now, and the potential of the last step if it is one."""

    def __init__(self, spec: TermSpec, copies: int, discount: float) -> None:
        self.name = spec.name
        self.kind = spec.kind
        self.settings = dict(spec.settings)
        self.potential = np.full(copies, np.nan)
        self._function = functions()[spec.function_name]
        self._shape = (copies,)
        self._discount = discount

    def set(self, setting: str, value: float, sizes: Mapping[str, int]) -> None:
        """Change a setting, if the function takes the value."""
        settings = {**self.settings, setting: value}
        self._function.check(sizes, settings)
        self.settings = settings

    def measure(self, signals: Signals) -> NDArray[Any]:
        """The function's value, `[copies]`."""
        value = self._function.function(*[signals[name] for name in self._function.signals], **self.settings)
        if value.shape != self._shape:
            raise ValueError(f"reward term '{self.name}' has shape {value.shape}, expected {self._shape}")
        return value

    def raw(self, signals: Signals, terminated: NDArray[np.bool_]) -> NDArray[Any]:
        """What the term counts on this step, before its weight."""
        value = self.measure(signals)
        if self.kind == "terminal":
            return np.where(terminated, value, 0.0)
        if self.kind == "potential":
            return self._shaping(value, terminated)
        return value

    def _shaping(self, potential: NDArray[Any], terminated: NDArray[np.bool_]) -> NDArray[Any]:
        """F = discount Φ(s') - Φ(s), with Φ = 0 after a true end: leaves the best policy as it is (Ng et al. 1999)."""
        gained = self._discount * np.where(terminated, 0.0, potential) - self.potential
        self.potential = np.asarray(potential, np.float64)
        return gained


class RewardEngine:
    """Computes one recipe's reward for the copies of one world; remembers the potential of each copy's last step.

    `discount` must be the learner's own, else the potentials change what is learned.

    Raises:
        ValueError: if the recipe is for another task, or `copies` or `discount` make no sense.
    """

    def __init__(self, recipe: Recipe, task: Task, copies: int, discount: float) -> None:
        if recipe.task != task.name:
            raise ValueError(f"recipe '{recipe.name}' is for task '{recipe.task}', not for '{task.name}'")
        if copies < 1 or not 0.0 < discount <= 1.0:
            raise ValueError(f"copies={copies} must be at least 1, and discount={discount:g} in (0, 1]")
        self.names = tuple(term.name for term in recipe.terms)
        self.constraint_names = tuple(constraint.name for constraint in recipe.constraints)
        self._terms = [_Term(spec, copies, discount) for spec in recipe.terms]
        self._constraints = [_Term(spec.measured, copies, discount) for spec in recipe.constraints]
        self._copies = copies
        self._sizes = {signal.name: signal.size for signal in task.signals}
        self._weights = np.array([spec.weight for spec in recipe.terms])
        self._per_step = np.array([task.control_period_s if spec.kind == "rate" else 1.0 for spec in recipe.terms])

    def start(self, signals: Signals, mask: NDArray[np.bool_]) -> None:
        """Take the signals as an episode's first in the copies where `mask` is true."""
        for term in self._terms:
            if term.kind == "potential":
                value = term.measure(signals)
                self._check_finite(term.name, value, mask)
                term.potential = np.where(mask, value, term.potential)

    def step(self, signals: Signals, terminated: NDArray[np.bool_]) -> Rewards:
        """The reward of a decision, from the true signals after it, before any copy is reset.

        Raises:
            ValueError: if a term is not finite; names the term and the copy.
        """
        raw = self._measured(self._terms, signals, terminated)
        weighted = (raw * (self._weights * self._per_step)).astype(np.float32)
        total = weighted.sum(axis=1, dtype=np.float64).astype(np.float32)
        return Rewards(total, raw, weighted, self._measured(self._constraints, signals, terminated))

    def parameter_names(self) -> list[str]:
        """What `set_parameter` takes: `reward/<term>/weight`, which constraints lack, and `reward/<term>/<setting>`."""
        of_terms = [f"reward/{term.name}/{key}" for term in self._terms for key in ("weight", *term.settings)]
        return [*of_terms, *(f"reward/{one.name}/{key}" for one in self._constraints for key in one.settings)]

    def set_parameter(self, name: str, value: float) -> None:
        """Change a weight or a setting from the next step on.

        A potential keeps the value that it had under the old setting for the step before (Devlin, Kudenko 2012).

        Raises:
            ValueError: on an unknown name, listing the choices, or a value that is not finite or that the term refuses.
        """
        if name not in self.parameter_names():
            raise ValueError(no_such("reward parameter", name, self.parameter_names()))
        if not np.isfinite(value):
            raise ValueError(f"{name}={value} is not a finite number")
        _, term, key = name.split("/")
        if key == "weight":
            self._weights[self.names.index(term)] = value
        else:
            by_name = {one.name: one for one in (*self._terms, *self._constraints)}
            by_name[term].set(key, float(value), self._sizes)

    def get_state(self) -> dict[str, Any]:
        """All that `set_state` needs to go on exactly from here."""
        return {
            "weights": self._weights.copy(),
            "settings": {term.name: dict(term.settings) for term in self._terms},
            "constraints": {one.name: dict(one.settings) for one in self._constraints},
            "potentials": {term.name: term.potential.copy() for term in self._terms if term.kind == "potential"},
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` gave.

        Raises:
            ValueError: if it comes from an engine with other terms or another number of copies.
        """
        if tuple(state["settings"]) != self.names:
            raise ValueError(f"saved reward terms {', '.join(state['settings'])} are not {', '.join(self.names)}")
        constrained = state.get("constraints", {})  # states of before there were constraints lack it
        if tuple(constrained) != self.constraint_names:
            there = ", ".join(self.constraint_names) or "none"
            raise ValueError(f"saved constraints {', '.join(constrained) or 'none'} are not {there}")
        self._weights = np.array(state["weights"], np.float64)
        for one in self._constraints:
            one.settings = dict(constrained[one.name])
        for term in self._terms:
            term.settings = dict(state["settings"][term.name])
            if term.kind == "potential":
                term.potential = self._checked_potential(term.name, state["potentials"][term.name])

    def _checked_potential(self, name: str, saved: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(saved) != self._copies:
            raise ValueError(f"saved potential '{name}' is of {len(saved)} copies, not {self._copies}")
        return np.array(saved, np.float64)

    def _measured(self, terms: list[_Term], signals: Signals, terminated: NDArray[np.bool_]) -> NDArray[np.float32]:
        """What these count on a step `[copies, terms]`."""
        raw = np.empty((self._copies, len(terms)), np.float32)
        for column, term in enumerate(terms):
            raw[:, column] = term.raw(signals, terminated)
        if not np.isfinite(raw).all():
            _tell_bad_term(terms, raw)
        return raw

    def _check_finite(self, name: str, value: NDArray[Any], mask: NDArray[np.bool_]) -> None:
        bad = np.flatnonzero(mask & ~np.isfinite(value))
        if bad.size:
            raise ValueError(f"reward term '{name}' is {value[bad[0]]} in copy {bad[0]} at the start of an episode")


def _tell_bad_term(terms: list[_Term], raw: NDArray[np.float32]) -> None:
    copy, column = np.argwhere(~np.isfinite(raw))[0]
    raise ValueError(
        f"reward term '{terms[column].name}' is {raw[copy, column]} in copy {copy}"
        " (is a signal not finite, or was an episode not started?)"
    )
