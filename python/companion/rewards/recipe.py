"""Recipes: one YAML file says which terms make up a task's reward, how much each weighs, and why.

It may also limit what a policy may do, whatever it is paid (`kind: constraint`), and say how its task grows harder
while it learns (`curriculum`). Everything a file can get wrong is found here, before the first step, and told with the
file, the line and the choices.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from companion.rewards._recipe_curriculum import read_stages
from companion.rewards._recipe_shape import CONSTRAINT, Kind, RecipeError, TermEntry, check_shape, unknown
from companion.rewards.curriculum import Stages
from companion.rewards.terms import Quantity, TermFunction, functions
from companion.tasks import Task
from companion.yaml_file import Place, YamlError, YamlFile, parse, read

__all__ = [
    "SUFFIXES",
    "ConstraintSpec",
    "Kind",
    "Recipe",
    "RecipeError",
    "TermSpec",
    "load_recipe",
    "recipe_folder",
    "recipe_from_text",
    "recipes_of",
]

SUFFIXES = (".yaml", ".yml")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class TermSpec:
    """One term of a recipe."""

    name: str
    function_name: str
    """The function under `companion.rewards.terms`."""
    kind: Kind
    """rate: per second; event: per step with it; terminal: at a true end only; potential: discount*Φ(s') - Φ(s)."""
    weight: float
    settings: Mapping[str, float]
    """Every setting of the function, defaults included."""
    rationale: str
    """Why it is there, one line."""


@dataclass(frozen=True)
class ConstraintSpec:
    """What a policy may cost at most, on average; no part of the reward."""

    name: str
    function_name: str
    """The function under `companion.rewards.terms`; its value is the cost, never negative."""
    limit: float
    """Of the mean over time, in the function's unit; of a momentary function, of the sum over an episode."""
    settings: Mapping[str, float]
    """Every setting of the function, defaults included."""
    rationale: str

    @property
    def quantity(self) -> Quantity:
        """What kind of quantity the cost is."""
        return functions()[self.function_name].quantity

    @property
    def is_counted(self) -> bool:
        """Whether it happens on single steps, such as a touch, and is counted per episode."""
        return self.quantity.momentary

    @property
    def unit(self) -> str:
        """Of cost and limit."""
        return "per episode" if self.is_counted else self.quantity.unit

    @property
    def unit_in_words(self) -> str:
        """What stands behind its figures for a person, with the space before it; nothing for a plain number."""
        return "" if self.unit == "1" else f" {self.unit}"

    @property
    def measured(self) -> TermSpec:
        """As a term that is only watched."""
        kind: Kind = "event" if self.is_counted else "rate"
        return TermSpec(self.name, self.function_name, kind, 0.0, self.settings, self.rationale)


@dataclass(frozen=True)
class Recipe:
    """A reward, as data."""

    name: str
    task: str
    description: str
    terms: tuple[TermSpec, ...]
    training: Mapping[str, Mapping[str, Any]]
    """By trainer: the settings that this recipe was trained with; may be empty."""
    hash: str
    """SHA-256 of what is learned, in hex: same hash, same reward, constraints and curriculum."""
    text: str
    """The file as it was written."""
    constraints: tuple[ConstraintSpec, ...] = ()
    """What no reward may buy."""
    curriculum: tuple[Stages, ...] = ()
    """What changes while a policy learns; it is judged on the whole task."""


def load_recipe(task: Task, name_or_path: str) -> Recipe:
    """The recipe of that name under `reward_configs/<task>/`, or in the file of that path.

    Raises:
        RecipeError: if there is none, or the file is not a recipe for this task.
    """
    try:
        return _recipe(task, read(_find(task.name, name_or_path)))
    except YamlError as error:
        raise RecipeError(str(error)) from None


def recipe_from_text(task: Task, name: str, text: str) -> Recipe:
    """The recipe in a text that was a recipe file called `name`, as a run directory or a policy card keeps it.

    Raises:
        RecipeError: if it is not a recipe for this task.
    """
    try:
        return _recipe(task, parse(text, Path(f"{name}.yaml")))
    except YamlError as error:
        raise RecipeError(str(error)) from None


def recipes_of(task_name: str) -> list[str]:
    """The names of the recipes under `reward_configs/<task>/`, sorted."""
    return sorted(path.stem for path in recipe_folder(task_name).glob("*.yaml"))


def recipe_folder(task_name: str) -> Path:
    """`reward_configs/<task>` of the current directory, else of the repository."""
    here = Path("reward_configs", task_name)
    repository = Path(__file__).resolve().parents[3]
    return here if here.is_dir() else repository / here


def _find(task_name: str, name_or_path: str) -> Path:
    if name_or_path.endswith(SUFFIXES) or os.sep in name_or_path:
        return Path(name_or_path)
    if name_or_path not in recipes_of(task_name):
        known = ", ".join(recipes_of(task_name)) or "(there are none)"
        raise RecipeError(
            f"no recipe '{name_or_path}' for task '{task_name}'; choose from {known}, or name a YAML file"
        )
    return recipe_folder(task_name) / f"{name_or_path}.yaml"


def _recipe(task: Task, file: YamlFile) -> Recipe:
    shape = check_shape(file)
    if shape.task != task.name:
        raise RecipeError(f"{file.at(('task',))}: a recipe for task '{shape.task}', not for '{task.name}'")
    found = [_term(file, task, name, entry) for name, entry in shape.terms.items()]
    terms = tuple(one for one in found if isinstance(one, TermSpec))
    constraints = tuple(one for one in found if isinstance(one, ConstraintSpec))
    if not terms:
        raise RecipeError(f"{file.at(('terms',))}: constraints only limit; give a term that is rewarded, too")
    stages = read_stages(file, task, [*terms, *constraints], shape.curriculum or {})
    return Recipe(
        name=file.path.stem,
        task=task.name,
        description=shape.description,
        terms=terms,
        training=shape.training,
        hash=_hash(task.name, terms, constraints, stages),
        text=file.text,
        constraints=constraints,
        curriculum=stages,
    )


# --- what the terms mean for a task ---


def _term(file: YamlFile, task: Task, name: str, entry: TermEntry) -> TermSpec | ConstraintSpec:
    place: Place = ("terms", name)
    if not _NAME.fullmatch(name):
        raise RecipeError(f"{file.at(place)}: term name '{name}' must be lower-case letters, digits and _")
    number = _weight_or_limit(file, place, entry)
    function = _function(file, place, entry.function or name)
    _check_signals(file, place, task, function)
    settings = _settings(file, place, function, entry)
    try:
        function.check({signal.name: signal.size for signal in task.signals}, settings)
    except ValueError as error:
        raise RecipeError(f"{file.at(place)}: '{name}' does not work with these settings: {error}") from None
    if entry.kind == CONSTRAINT:
        _check_cost(file, place, function)
        return ConstraintSpec(name, function.name, number, settings, entry.rationale)
    return TermSpec(name, function.name, entry.kind, number, settings, entry.rationale)


def _weight_or_limit(file: YamlFile, place: Place, entry: TermEntry) -> float:
    """A constraint's limit, or else the weight."""
    own, other = ("limit", "weight") if entry.kind == CONSTRAINT else ("weight", "limit")
    what = ".".join(map(str, place))
    if getattr(entry, other) is not None:
        why = "no weight can buy it" if entry.kind == CONSTRAINT else "only a constraint has one"
        raise RecipeError(f"{file.at((*place, other))}: '{what}' is of kind {entry.kind} and takes no {other}: {why}")
    if getattr(entry, own) is None:
        raise RecipeError(f"{file.at(place)}: '{what}.{own}' is missing")
    return float(getattr(entry, own))


def _check_cost(file: YamlFile, place: Place, function: TermFunction) -> None:
    """Refuse what can't be a cost."""
    measured, where = function.quantity, file.at((*place, "function"))
    if measured.low < 0:
        raise RecipeError(f"{where}: '{place[1]}': a cost is never negative, and '{function.name}' is {measured}")
    if measured.better == "more":
        raise RecipeError(f"{where}: '{place[1]}': a constraint limits the unwanted, and '{function.name}' is wanted")


def _function(file: YamlFile, place: Place, name: str) -> TermFunction:
    if name not in functions():
        where = file.at((*place, "function"))
        raise RecipeError(f"{where}: {unknown('term function', name, list(functions()))}")
    return functions()[name]


def _check_signals(file: YamlFile, place: Place, task: Task, function: TermFunction) -> None:
    known = [signal.name for signal in task.signals]
    missing = [name for name in function.signals if name not in known]
    if missing:
        raise RecipeError(
            f"{file.at(place)}: term function '{function.name}' looks at {', '.join(missing)}, "
            f"which task '{task.name}' does not measure (it measures {', '.join(known)})"
        )


def _settings(file: YamlFile, place: Place, function: TermFunction, entry: TermEntry) -> dict[str, float]:
    given = entry.model_extra or {}
    number = "limit" if entry.kind == CONSTRAINT else "weight"
    for setting in given:
        if setting not in function.settings:
            allowed = [number, "kind", "function", "rationale", *function.settings]
            what = unknown(f"setting of '{function.name}'", setting, allowed)
            raise RecipeError(f"{file.at((*place, setting))}: {what}")
    return {name: float(given.get(name, default)) for name, default in function.settings.items()}


def _hash(
    task_name: str, terms: tuple[TermSpec, ...], constraints: tuple[ConstraintSpec, ...], stages: tuple[Stages, ...]
) -> str:
    """Over the values alone: comments, order, rationale and training settings change nothing that is learned."""
    canonical: dict[str, Any] = {"task": task_name, "terms": _counted(terms)}
    if constraints:
        canonical["constraints"] = _counted(constraints)
    if stages:
        canonical["curriculum"] = sorted((asdict(one) for one in stages), key=lambda one: one["parameter"])
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()


def _counted(specs: tuple[TermSpec, ...] | tuple[ConstraintSpec, ...]) -> list[dict[str, Any]]:
    entries = [{key: value for key, value in asdict(one).items() if key != "rationale"} for one in specs]
    return sorted(entries, key=lambda one: one["name"])
