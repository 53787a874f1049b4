"""The reward terms, functions of named signals, in files by theme.

A public function of a public module here is a term. Its positional parameters are names of signals, each given as an
array `[copies, size]`; its keyword-only parameters are settings, floats with a default; it returns `[copies]`, and
its return type says what kind of quantity that is: `Annotated[Values, Quantity(0, unit="m", better="less")]`.
"""

import inspect
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import FunctionType, ModuleType
from typing import Any, Literal, TypeAlias, get_type_hints

import numpy as np
from numpy.typing import NDArray

from companion.menu import choices, pick

SignalArray: TypeAlias = NDArray[Any]
"""A signal, `[copies, size]`."""

Values: TypeAlias = NDArray[Any]
"""One value per copy, `[copies]`."""

NOT_SETTINGS = ("function", "kind", "weight", "limit", "rationale")
"""A recipe's own words for a term; no setting may be called so."""


@dataclass(frozen=True)
class Quantity:
    """What kind of quantity a term measures; a recipe is checked by it."""

    low: float = -math.inf
    """It is never below this, whatever the settings."""
    high: float = math.inf
    """It is never above this."""
    unit: str = "1"
    """SI, "1" for a number without one."""
    better: Literal["less", "more"] | None = None
    """What of it is wanted, where that does not depend on the recipe."""
    momentary: bool = False
    """It tells of something that happens on one step, such as a touch, and not of something that goes on."""

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"a quantity from {self.low:g} to {self.high:g}")

    @property
    def bounded(self) -> bool:
        """Whether both ends are known."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def constant(self) -> bool:
        """Whether it can have one value only."""
        return self.low == self.high

    def __str__(self) -> str:
        if self.constant:
            return f"always {self.low:g}"
        if self.bounded:
            return f"{self.low:g} to {self.high:g}"
        if math.isfinite(self.low):
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if math.isfinite(self.high) else "any"


@dataclass(frozen=True)
class TermFunction:
    """One measurement that a recipe can weigh."""

    name: str
    function: Callable[..., Values]
    signals: tuple[str, ...]
    """The signals it looks at, in the order of its arguments."""
    settings: Mapping[str, float]
    """Its settings and their defaults."""
    description: str
    """What it is, in one sentence."""
    quantity: Quantity = Quantity()
    """Its range, unit and meaning; nothing is known where the function does not say."""

    def check(self, sizes: Mapping[str, int], settings: Mapping[str, float]) -> None:
        """Try the function with these settings on signals of these sizes, all ones.

        Raises:
            ValueError: if it refuses the settings or does not return one value per copy.
        """
        copies = 2
        value = self.function(*[np.ones((copies, sizes[name])) for name in self.signals], **settings)
        if value.shape != (copies,):
            raise ValueError(f"term function '{self.name}' returns shape {value.shape}, expected {(copies,)}")


@cache
def functions() -> Mapping[str, TermFunction]:
    """All term functions by name, sorted.

    Raises:
        ValueError: if two have one name, or one does not look like a term.
    """
    found: dict[str, TermFunction] = {}
    package = sys.modules[__name__]
    for module_name in choices(package):
        for function in _public_functions(pick(package, module_name, "file of reward terms")):
            if function.__name__ in found:
                raise ValueError(f"two reward terms are called '{function.__name__}'; one is in {module_name}.py")
            found[function.__name__] = _describe(function)
    return dict(sorted(found.items()))


def _public_functions(module: ModuleType) -> list[FunctionType]:
    defined = (value for value in vars(module).values() if isinstance(value, FunctionType))
    return [one for one in defined if one.__module__ == module.__name__ and not one.__name__.startswith("_")]


def _describe(function: FunctionType) -> TermFunction:
    parameters = inspect.signature(function).parameters.values()
    signals = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty]
    settings = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}
    if not signals or len(signals) + len(settings) != len(parameters):
        raise ValueError(f"reward term '{function.__name__}': takes signals by position and settings by keyword only")
    for setting, default in settings.items():
        if setting in NOT_SETTINGS or not isinstance(default, float) or not np.isfinite(default):
            raise ValueError(
                f"reward term '{function.__name__}': setting '{setting}' needs a float default and a free name"
            )
    description = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
    return TermFunction(function.__name__, function, tuple(signals), settings, description, _quantity(function))


def _quantity(function: FunctionType) -> Quantity:
    """The one in its return type."""
    returned = get_type_hints(function, include_extras=True).get("return")
    return next((one for one in getattr(returned, "__metadata__", ()) if isinstance(one, Quantity)), Quantity())
