"""The shape of a recipe file, and how its faults are told: with the file, the line and the choices."""

from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from companion.yaml_file import Place, YamlFile

Kind: TypeAlias = Literal["rate", "event", "terminal", "potential"]
CONSTRAINT = "constraint"


class RecipeError(ValueError):
    """A recipe that can't be used; the message names the file, the line, the thing and the choices."""


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


def _value(value: Any) -> Any:
    """A number, or a range of two that rises."""
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(one, bool) or not isinstance(one, int | float) or not np.isfinite(one) for one in numbers):
        raise ValueError("should be a finite number, or a range [low, high]")
    if isinstance(value, list) and (len(value) != 2 or value[0] > value[1]):
        raise ValueError("should be a range [low, high]")
    return [_fits_float32(float(one)) for one in value] if isinstance(value, list) else _fits_float32(float(value))


TrainingSetting = Annotated[Any, AfterValidator(_plain)]
StageValue = Annotated[Any, AfterValidator(_value)]
Number = Annotated[FiniteFloat, AfterValidator(_fits_float32)]
NotNegative = Annotated[FiniteFloat, Field(ge=0), AfterValidator(_fits_float32)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Line = Annotated[str, AfterValidator(_one_line)]


class TermEntry(BaseModel):
    """One entry under `terms`; what it has beyond these keys are settings of its function."""

    model_config = ConfigDict(strict=True, extra="allow")
    # pydantic's documented way to give the extra keys a type
    __pydantic_extra__: dict[str, Number] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    function: Line | None = None
    kind: Literal["rate", "event", "terminal", "potential", "constraint"]
    weight: Number | None = None
    """Of every kind but a constraint."""
    limit: NotNegative | None = None
    """Of a constraint only."""
    rationale: Line


class StagesEntry(BaseModel):
    """One entry under `curriculum`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    by: Literal["success", "steps"]
    stages: Annotated[list[StageValue], Field(min_length=2)]
    at: list[Count] | None = None
    up: Share | None = None
    down: Share | None = None
    episodes: Count | None = None


class Shape(BaseModel):
    """The top level of a recipe file."""

    model_config = ConfigDict(strict=True, extra="forbid")

    task: Line
    description: Line
    terms: Annotated[dict[str, TermEntry], Field(min_length=1)]
    curriculum: Annotated[dict[str, StagesEntry], Field(min_length=1)] | None = None
    training: dict[str, dict[str, TrainingSetting]] = {}


def check_shape(file: YamlFile) -> Shape:
    """The file's data.

    Raises:
        RecipeError: on the first fault in the file's order.
    """
    if not isinstance(file.data, dict):
        raise RecipeError(f"{file.at(())}: a recipe is a mapping with the keys {', '.join(Shape.model_fields)}")
    try:
        return Shape.model_validate(file.data)
    except ValidationError as error:
        raise RecipeError(_tell(file, error)) from None


def unknown(kind: str, name: str, allowed: list[str]) -> str:
    """That there is nothing of that name, with the nearest name and all there are."""
    close = get_close_matches(name, allowed, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"unknown {kind} '{name}'{hint} (choose from {', '.join(allowed) or 'none'})"


def _tell(file: YamlFile, error: ValidationError) -> str:
    """The first fault in the file's order, in one line."""
    faults = error.errors(include_url=False)
    first = min(faults, key=lambda fault: file.line_of(_place(fault["loc"])))
    place = _place(first["loc"])
    what, where = ".".join(map(str, place)), file.at(place)
    if first["type"] == "missing":
        return f"{where}: '{what}' is missing"
    if first["type"] == "extra_forbidden":
        known = StagesEntry if place[0] == "curriculum" and len(place) > 1 else Shape
        return f"{where}: {unknown('key', str(first['loc'][len(place) - 1]), list(known.model_fields))}"
    said = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{where}: '{what}' {_shorten(said)}, not {_shorten(repr(first['input']))}"


def _place(loc: Place) -> Place:
    """Where pydantic found a fault, without the branch of a union, which it appends."""
    depth = {"terms": 3, "training": 3, "curriculum": 4}
    return loc[: depth.get(str(loc[0]), 1)]


def _shorten(text: str, most: int = 100) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
