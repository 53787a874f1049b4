"""Where a tuner may look: weights and settings of a recipe's terms, and settings of the trainer.

weights:
  approach: [0.5, 50, log]            the ends, evenly on a logarithmic scale; without `log` on a plain one
settings:
  stay_near:
    margin_m: [0.02, 0.2]
training:
  learning_rate: [1e-4, 3e-3, log]
  schedule: [constant, linear]        words are a choice
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from companion.rewards import Recipe
from companion.yaml_file import YamlFile, read

PARTS = ("weights", "settings", "training")
FACTOR = 10.0
"""Without a file, each weight is looked for between itself divided and multiplied by this."""

Place = tuple[str, ...]
"""`("weights", TERM)`, `("settings", TERM, SETTING)` or `("training", SETTING)`."""


@dataclass(frozen=True)
class Range:
    """Numbers between two ends of one sign; `low` is nearer to 0 on a logarithmic scale."""

    low: float
    high: float
    is_log: bool = False
    is_whole: bool = False

    def ask(self, trial: Any, name: str) -> float | int:
        """What an Optuna trial takes."""
        sign = -1 if self.is_log and self.low < 0 else 1
        low, high = sorted((sign * self.low, sign * self.high))
        if self.is_whole:
            return sign * trial.suggest_int(name, round(low), round(high), log=self.is_log)
        return sign * trial.suggest_float(name, low, high, log=self.is_log)

    def given(self, value: Any) -> Any:
        """A value as a trial takes it, None if it is outside."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return None
        return -value if self.is_log and self.low < 0 else value


@dataclass(frozen=True)
class Choice:
    """One of some words, numbers or truths."""

    choices: tuple[Any, ...]

    def ask(self, trial: Any, name: str) -> Any:
        """What an Optuna trial takes."""
        return trial.suggest_categorical(name, list(self.choices))

    def given(self, value: Any) -> Any:
        """A value as a trial takes it, None if it is no choice."""
        return value if value in self.choices else None


Space = Mapping[Place, Range | Choice]


def around(recipe: Recipe) -> Space:
    """Every weight that is not 0, within a factor of 10 and of its sign.

    Raises:
        ValueError: if all are 0.
    """
    weighed = {term.name: term.weight for term in recipe.terms if term.weight != 0}
    if not weighed:
        raise ValueError(f"recipe '{recipe.name}' has no weight but 0; say in a --space file where to look")
    ends = {name: sorted((weight / FACTOR, weight * FACTOR)) for name, weight in weighed.items()}
    return {("weights", name): Range(low, high, is_log=True) for name, (low, high) in ends.items()}


def read_space(path: Path, recipe: Recipe, config: Any) -> Space:
    """The space in a file, for this recipe and a trainer's settings.

    Raises:
        ValueError: on whatever is no space or has no place in the recipe; names the file and the line.
    """
    file = read(path)
    if not isinstance(file.data, dict) or not file.data:
        raise ValueError(f"{file.at(())}: a space is a mapping with some of the keys {', '.join(PARTS)}")
    places = _known(recipe, config)
    return {place: _dimension(file, place, value, places) for place, value in _leaves(file).items()}


def _leaves(file: YamlFile) -> dict[Place, Any]:
    found: dict[Place, Any] = {}
    for part, entries in file.data.items():
        if part not in PARTS:
            raise ValueError(f"{file.at((part,))}: no part '{part}'; choose from {', '.join(PARTS)}")
        if not isinstance(entries, dict):
            raise ValueError(f"{file.at((part,))}: '{part}' is a mapping, as `name: [0.1, 10, log]`")
        for name, value in entries.items():
            nested = value if part == "settings" and isinstance(value, dict) else {None: value}
            found |= {(part, name, *([] if key is None else [key])): leaf for key, leaf in nested.items()}
    return found


def _known(recipe: Recipe, config: Any) -> dict[Place, Any]:
    """What there is to tune, and what it is now."""
    weights = {("weights", term.name): term.weight for term in recipe.terms}
    settings = {("settings", term.name, key): value for term in recipe.terms for key, value in term.settings.items()}
    training = {("training", name): value for name, value in vars(config).items() if name not in ("seed", "steps")}
    return {**weights, **settings, **training}


def _dimension(file: YamlFile, place: Place, value: Any, known: Mapping[Place, Any]) -> Range | Choice:
    told = ".".join(place)
    if place not in known:
        there = [".".join(other) for other in known if other[0] == place[0]]
        raise ValueError(f"{file.at(place)}: there is no {told}; choose from {', '.join(there)}")
    if not isinstance(value, list) or len(value) < 2:
        raise ValueError(f"{file.at(place)}: {told} is [LOW, HIGH], [LOW, HIGH, log] or a list of choices")
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in value[:2]):
        return Choice(tuple(value))
    if len(value) > 2 and value[2:] != ["log"]:
        return Choice(tuple(value))
    return _range(file, place, value, is_whole=isinstance(known[place], int))


def _range(file: YamlFile, place: Place, value: Sequence[Any], *, is_whole: bool) -> Range:
    low, high, is_log = float(value[0]), float(value[1]), len(value) > 2
    told = ".".join(place)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{file.at(place)}: {told} goes from {low:g} to {high:g}; the first end must be the lower")
    if is_log and low * high <= 0:
        raise ValueError(f"{file.at(place)}: {told} is logarithmic and can't reach or pass 0")
    if is_whole and is_log and low < 0:
        raise ValueError(f"{file.at(place)}: {told} is a whole number and logarithmic, so it can't be negative")
    return Range(low, high, is_log, is_whole)


def name_of(place: Place) -> str:
    """What the study calls it."""
    return "/".join(place)


def drawn(space: Space, trial: Any) -> dict[Place, Any]:
    """What a trial tries."""
    return {place: dimension.ask(trial, name_of(place)) for place, dimension in space.items()}


def start(space: Space, recipe: Recipe, config: Any) -> dict[str, Any]:
    """The recipe's own values, as far as they lie in the space: worth trying first."""
    known = _known(recipe, config)
    given = {name_of(place): dimension.given(known[place]) for place, dimension in space.items()}
    return {name: value for name, value in given.items() if value is not None}


def terms_of(values: Mapping[Place, Any]) -> dict[str, dict[str, float]]:
    """What is changed in the terms, by term."""
    found: dict[str, dict[str, float]] = {}
    for place, value in values.items():
        if place[0] != "training":
            found.setdefault(place[1], {})["weight" if place[0] == "weights" else place[2]] = value
    return found


def training_of(values: Mapping[Place, Any]) -> dict[str, Any]:
    """What is changed in the trainer's settings."""
    return {place[1]: value for place, value in values.items() if place[0] == "training"}
