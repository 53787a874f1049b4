"""Recipes: one YAML file says which terms make up a task's reward, how much each weighs, and why.

Everything a file can get wrong is found here, before the first step, and told with the file, the line and the choices.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from companion.rewards.terms import TermFunction, functions
from companion.tasks import Task
from companion.yaml_file import Place, YamlError, YamlFile, parse, read

Kind = Literal["rate", "event", "terminal", "potential"]
SUFFIXES = (".yaml", ".yml")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class RecipeError(ValueError):
    """A recipe that can't be used; the message names the file, the line, the thing and the choices."""


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
class Recipe:
    """A reward, as data."""

    name: str
    task: str
    description: str
    terms: tuple[TermSpec, ...]
    training: Mapping[str, Mapping[str, Any]]
    """By trainer: the settings that this recipe was trained with; may be empty."""
    hash: str
    """SHA-256 of what the reward is computed from, in hex: same hash, same reward."""
    text: str
    """The file as it was written."""


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
    shape = _check_shape(file)
    if shape.task != task.name:
        raise RecipeError(f"{file.at(('task',))}: a recipe for task '{shape.task}', not for '{task.name}'")
    terms = tuple(_term(file, task, name, entry) for name, entry in shape.terms.items())
    return Recipe(
        file.path.stem, task.name, shape.description, terms, shape.training, _hash(task.name, terms), file.text
    )


# --- the shape of the file ---


def _fits_float32(value: float) -> float:
    if abs(value) > float(np.finfo(np.float32).max):
        raise ValueError("too large for a 32-bit float, in which it travels to the player")
    return value


def _one_line(value: str) -> str:
    if not value.strip() or "\n" in value.strip():
        raise ValueError("must be one line of text")
    return value.strip()


def _plain(value: Any) -> Any:
    """A trainer checks its own settings; here only that no number is lost and nothing is nested."""
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, dict | list) or (isinstance(entry, float) and not np.isfinite(entry)):
            raise ValueError("should be finite numbers, words, true or false")
    return value


TrainingSetting = Annotated[Any, AfterValidator(_plain)]
Number = Annotated[FiniteFloat, AfterValidator(_fits_float32)]
Line = Annotated[str, AfterValidator(_one_line)]


class _Term(BaseModel):
    """One entry under `terms`; what it has beyond these keys are settings of its function."""

    model_config = ConfigDict(strict=True, extra="allow")
    # pydantic's documented way to give the extra keys a type
    __pydantic_extra__: dict[str, Number] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    function: Line | None = None
    kind: Kind
    weight: Number
    rationale: Line


class _Shape(BaseModel):
    """The top level of a recipe file."""

    model_config = ConfigDict(strict=True, extra="forbid")

    task: Line
    description: Line
    terms: Annotated[dict[str, _Term], Field(min_length=1)]
    training: dict[str, dict[str, TrainingSetting]] = {}


def _check_shape(file: YamlFile) -> _Shape:
    if not isinstance(file.data, dict):
        raise RecipeError(f"{file.at(())}: a recipe is a mapping with the keys {', '.join(_Shape.model_fields)}")
    try:
        return _Shape.model_validate(file.data)
    except ValidationError as error:
        raise RecipeError(_tell(file, error)) from None


def _tell(file: YamlFile, error: ValidationError) -> str:
    """The first fault in the file's order, in one line."""
    faults = error.errors(include_url=False)
    first = min(faults, key=lambda fault: file.line_of(_place(fault["loc"])))
    place = _place(first["loc"])
    what, where = ".".join(map(str, place)), file.at(place)
    if first["type"] == "missing":
        return f"{where}: '{what}' is missing"
    if first["type"] == "extra_forbidden":
        return f"{where}: {_unknown('key', str(place[-1]), list(_Shape.model_fields))}"
    said = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{where}: '{what}' {_shorten(said)}, not {_shorten(repr(first['input']))}"


def _place(loc: Place) -> Place:
    """Where pydantic found a fault, without the branch of a union, which it appends."""
    return loc[:3] if loc[0] == "terms" else loc[:3] if loc[0] == "training" else loc[:1]


def _shorten(text: str, most: int = 100) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _unknown(kind: str, name: str, allowed: list[str]) -> str:
    close = get_close_matches(name, allowed, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"unknown {kind} '{name}'{hint} (choose from {', '.join(allowed) or 'none'})"


# --- what the terms mean for a task ---


def _term(file: YamlFile, task: Task, name: str, entry: _Term) -> TermSpec:
    place: Place = ("terms", name)
    if not _NAME.fullmatch(name):
        raise RecipeError(f"{file.at(place)}: term name '{name}' must be lower-case letters, digits and _")
    function = _function(file, place, entry.function or name)
    _check_signals(file, place, task, function)
    settings = _settings(file, place, function, entry.model_extra or {})
    try:
        function.check({signal.name: signal.size for signal in task.signals}, settings)
    except ValueError as error:
        raise RecipeError(f"{file.at(place)}: '{name}' does not work with these settings: {error}") from None
    return TermSpec(name, function.name, entry.kind, float(entry.weight), settings, entry.rationale)


def _function(file: YamlFile, place: Place, name: str) -> TermFunction:
    if name not in functions():
        where = file.at((*place, "function"))
        raise RecipeError(f"{where}: {_unknown('term function', name, list(functions()))}")
    return functions()[name]


def _check_signals(file: YamlFile, place: Place, task: Task, function: TermFunction) -> None:
    known = [signal.name for signal in task.signals]
    missing = [name for name in function.signals if name not in known]
    if missing:
        raise RecipeError(
            f"{file.at(place)}: term function '{function.name}' looks at {', '.join(missing)}, "
            f"which task '{task.name}' does not measure (it measures {', '.join(known)})"
        )


def _settings(file: YamlFile, place: Place, function: TermFunction, given: Mapping[str, float]) -> dict[str, float]:
    for setting in given:
        if setting not in function.settings:
            what = _unknown(
                f"setting of '{function.name}'",
                setting,
                ["weight", "kind", "function", "rationale", *function.settings],
            )
            raise RecipeError(f"{file.at((*place, setting))}: {what}")
    return {name: float(given.get(name, default)) for name, default in function.settings.items()}


def _hash(task_name: str, terms: tuple[TermSpec, ...]) -> str:
    """Over the values alone: comments, order, rationale and training settings do not change a reward."""
    counted = [{key: value for key, value in asdict(term).items() if key != "rationale"} for term in terms]
    canonical = {"task": task_name, "terms": sorted(counted, key=lambda term: term["name"])}
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()
