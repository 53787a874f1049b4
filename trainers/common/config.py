"""Settings of a trainer: frozen dataclasses whose fields carry their own ranges, checked before the first step."""

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True)
class Between:
    """A number that lies between two bounds, both included."""

    low: float
    high: float = math.inf

    def problem(self, value: float) -> str | None:
        """What is wrong with `value`, or None."""
        if self.low <= value <= self.high:
            return None
        return (
            f"must be at least {self.low:g}" if self.high == math.inf else f"must be in [{self.low:g}, {self.high:g}]"
        )


@dataclass(frozen=True)
class Above:
    """A finite number greater than a bound."""

    low: float

    def problem(self, value: float) -> str | None:
        """What is wrong with `value`, or None."""
        return None if self.low < value < math.inf else f"must be greater than {self.low:g}"


Count = Annotated[int, Between(1)]
Fraction = Annotated[float, Between(0.0, 1.0)]
NotNegative = Annotated[float, Between(0.0)]
Positive = Annotated[float, Above(0.0)]


def config_from(kind: type[ConfigT], settings: Mapping[str, Any]) -> ConfigT:
    """A config of that kind from names and values as YAML or a command line gives them.

    Raises:
        ValueError: for an unknown name (the message lists the allowed ones), a value of a wrong type or out of range.
    """
    hints = get_type_hints(kind, include_extras=True)
    unknown = sorted(str(name) for name in settings if name not in hints)
    if unknown:
        raise ValueError(f"no setting {', '.join(map(repr, unknown))}; choose from {', '.join(hints)}")
    return kind(**{name: _converted(name, value, hints[name]) for name, value in settings.items()})


def check(config: Any) -> None:
    """Raise ValueError naming the first field whose value has a wrong type or lies out of range."""
    hints = get_type_hints(type(config), include_extras=True)
    for field in fields(config):
        _converted(field.name, getattr(config, field.name), hints[field.name])


def _converted(name: str, value: Any, hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        kind, *bounds = get_args(hint)
        value = _converted(name, value, kind)
        for problem in filter(None, (bound.problem(value) for bound in bounds)):
            raise ValueError(f"setting {name} is {value!r}; it {problem}")
        return value
    if get_origin(hint) is Literal:
        return _one_of(name, value, get_args(hint))
    if get_origin(hint) is tuple:
        return _tuple_of(name, value, get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return value if value is None else _converted(name, value, get_args(hint)[0])
    return _scalar(name, value, hint)


def _one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"setting {name} is {value!r}; choose from {', '.join(map(str, allowed))}")
    return value


def _tuple_of(name: str, value: Any, hint: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"setting {name} is {value!r}; it must be a list")
    return tuple(_converted(name, entry, hint) for entry in value)


def _scalar(name: str, value: Any, kind: type) -> Any:
    """The value as `kind`; YAML 1.1 reads 3e-4 as text and 3.0e+6 as a float, so both are taken for numbers."""
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return value
    if kind in (int, float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if kind is float and math.isfinite(number):
            return number
        if kind is int and number.is_integer():
            return int(number)
    raise ValueError(f"setting {name} is {value!r}; it must be {_WORDS.get(kind, kind.__name__)}")


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
