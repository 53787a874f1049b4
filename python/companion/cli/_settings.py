"""A trainer's settings from several places, the later ones first in rank, each fault told with its place."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from companion.yaml_file import read


@dataclass(frozen=True)
class Source:
    """Settings from one place."""

    values: Mapping[str, Any]
    where: Callable[[str], str]
    """The place of a setting, for errors."""


def from_flags(**flags: Any) -> Source:
    """The flags that were given; None means not given."""
    return Source({name: value for name, value in flags.items() if value is not None}, lambda name: f"--{name}")


def from_file(path: Path) -> Source:
    """A YAML file of settings.

    Raises:
        ValueError: if it can't be read or is no mapping.
    """
    file = read(path)
    if not isinstance(file.data, dict):
        raise ValueError(f"{file.at(())}: settings are a mapping, as `learning_rate: 3e-4`")
    return Source(file.data, lambda name: file.at((name,)))


def from_mapping(values: Mapping[str, Any], place: str) -> Source:
    """Settings that stand in a recipe or a run directory."""
    return Source(values, lambda name: place)


def resolve(kind: type[Any], sources: Sequence[Source]) -> Any:
    """A trainer's `Config` from its defaults and these sources, later ones overriding earlier ones.

    Raises:
        ValueError: on an unknown setting or a wrong value; names its place, and lists the choices.
    """
    from trainers.common.config import config_from

    merged: dict[str, Any] = {}
    for source in sources:
        for name, value in source.values.items():
            try:
                config_from(kind, {name: value})
            except ValueError as error:
                raise ValueError(f"{source.where(name)}: {error}") from None
            merged[name] = value
    return config_from(kind, merged)
