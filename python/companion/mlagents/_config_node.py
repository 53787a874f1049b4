"""A YAML document as nodes that know their line and their name, so that every complaint names both."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from companion.yaml_file import Place, YamlError, YamlFile


@dataclass(frozen=True)
class Node:
    """A value in a file: a plain one, a list or a mapping of nodes."""

    where: str
    """`file:line`."""
    name: str
    """The keys that lead to it, as `behaviors.3DBall.max_steps`."""
    data: Any

    def wrong(self, what: str) -> YamlError:
        """An error at this place."""
        return YamlError(f"{self.where}: {self.name or 'the file'} {what}")

    def refused(self, why: str) -> YamlError:
        """An error about something that mlagents-learn has and this project has not."""
        return YamlError(f"{self.where}: {self.name} is not supported here: {why}")

    @property
    def is_null(self) -> bool:
        """Whether nothing stands there."""
        return self.data is None

    @property
    def entries(self) -> "dict[str, Node]":
        """Of a mapping.

        Raises:
            YamlError: if it is none.
        """
        if not isinstance(self.data, dict):
            raise self.wrong(f"is {_shown(self.data)}; it must be a mapping of settings")
        return self.data

    @property
    def items(self) -> "list[Node]":
        """Of a list.

        Raises:
            YamlError: if it is none.
        """
        if not isinstance(self.data, list):
            raise self.wrong(f"is {_shown(self.data)}; it must be a list")
        return self.data

    def only(self, allowed: Collection[str]) -> "Node":
        """This mapping, after a check that it has no other entries than these.

        Raises:
            YamlError: naming the first other one.
        """
        for name, entry in self.entries.items():
            if name not in allowed:
                known = ", ".join(allowed)
                raise YamlError(f"{entry.where}: no setting '{name}' in {self.name or 'the file'}; choose from {known}")
        return self

    def get(self, name: str) -> "Node | None":
        """An entry of this mapping, or None where it has none, or null."""
        entry = self.entries.get(name)
        return None if entry is None or entry.is_null else entry

    def need(self, name: str) -> "Node":
        """An entry that must be there.

        Raises:
            YamlError: if it is not.
        """
        entry = self.get(name)
        if entry is None:
            raise YamlError(f"{self.where}: {self.name} has no '{name}'")
        return entry

    def block(self, name: str) -> "Node":
        """An entry that is a mapping itself; an empty one where there is none."""
        entry = self.get(name)
        return Node(self.where, _inside(self.name, name), {}) if entry is None else entry

    def number(self, name: str, default: float, low: float = -float("inf"), high: float = float("inf")) -> float:
        """A number within its bounds, both included.

        Raises:
            YamlError: if it is none, or outside.
        """
        entry = self.get(name)
        return default if entry is None else entry.as_number(low, high)

    def as_number(self, low: float = -float("inf"), high: float = float("inf")) -> float:
        """This value as a number within its bounds."""
        if isinstance(self.data, bool) or not isinstance(self.data, int | float) or not abs(self.data) < float("inf"):
            raise self.wrong(f"is {_shown(self.data)}; it must be a number")
        if not low <= self.data <= high:
            raise self.wrong(f"is {self.data:g}; it must be {_bounds(low, high)}")
        return float(self.data)

    def whole(self, name: str, default: int, low: float = -float("inf")) -> int:
        """A whole number, also one written as 5.0e5.

        Raises:
            YamlError: if it is none, or too low.
        """
        entry = self.get(name)
        if entry is None:
            return default
        number = entry.as_number(low)
        if not number.is_integer():
            raise entry.wrong(f"is {number:g}; it must be a whole number")
        return int(number)

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false.

        Raises:
            YamlError: if it is neither.
        """
        entry = self.get(name)
        if entry is None:
            return default
        if not isinstance(entry.data, bool):
            raise entry.wrong(f"is {_shown(entry.data)}; it must be true or false")
        return entry.data

    def text(self, name: str, default: str = "") -> str:
        """A word, path or name.

        Raises:
            YamlError: if it is none.
        """
        entry = self.get(name)
        return default if entry is None else entry.as_text()

    def as_text(self) -> str:
        """This value as a word, also one that looks like a number."""
        if isinstance(self.data, bool) or not isinstance(self.data, str | int | float):
            raise self.wrong(f"is {_shown(self.data)}; it must be text")
        return str(self.data)

    def choice(self, name: str, default: str, allowed: Collection[str]) -> str:
        """One of a few words.

        Raises:
            YamlError: if it is another one.
        """
        word = self.text(name, default)
        if word not in allowed:
            raise self.entries[name].wrong(f"is '{word}'; choose from {', '.join(allowed)}")
        return word

    def place(self, name: str) -> str:
        """`file:line` of an entry, or of this mapping where it has none."""
        entry = self.entries.get(name)
        return self.where if entry is None else entry.where

    def over(self, base: "Node") -> "Node":
        """This mapping with what only `base` says, mappings inside them likewise."""
        merged = dict(base.entries)
        for name, entry in self.entries.items():
            below = merged.get(name)
            both = below is not None and isinstance(below.data, dict) and isinstance(entry.data, dict)
            merged[name] = entry.over(below) if both and below is not None else entry
        return Node(self.where, self.name, merged)


def node_of(file: YamlFile) -> Node:
    """The whole document."""
    return _node(file, file.path, file.data, ())


def _node(file: YamlFile, path: Path, data: Any, place: Place) -> Node:
    where, name = file.at(place), ".".join(map(str, place))
    if isinstance(data, dict):
        data = {key: _node(file, path, value, (*place, key)) for key, value in data.items()}
    elif isinstance(data, list):
        data = [_node(file, path, value, (*place, index)) for index, value in enumerate(data)]
    return Node(where, name, data)


def _inside(name: str, entry: str) -> str:
    return f"{name}.{entry}" if name else entry


def _bounds(low: float, high: float) -> str:
    return f"at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"


def _shown(data: Any) -> str:
    if isinstance(data, dict | list):
        return "a mapping" if isinstance(data, dict) else "a list"
    return "empty" if data is None else repr(data)
