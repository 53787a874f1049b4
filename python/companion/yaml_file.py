"""YAML as a person means it: `1e-3` is a number, `on` is a word, a key stands once, and every value knows its line.

PyYAML reads YAML 1.1, where `1e-3` is a string, `on` is true and a second key of the same name silently wins. Only
its parser is used here; what a plain scalar means follows the core schema of YAML 1.2.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

Place: TypeAlias = tuple[str | int, ...]
"""The keys and list positions that lead to a value; `()` is the whole document."""

MAX_BYTES = 1_000_000
"""A file for people; anything larger was named by mistake."""

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 18
"""Longer whole numbers are read as floats."""


class YamlError(ValueError):
    """A file that could not be read; the message names the file and, where there is one, the line."""


@dataclass(frozen=True)
class YamlFile:
    """The data of a file, and the line on which each value stands."""

    path: Path
    text: str
    data: Any
    lines: dict[Place, int] = field(default_factory=dict)

    def at(self, place: Place) -> str:
        """`file:line` of a value, or of the nearest thing around it."""
        return f"{self.path}:{self.line_of(place)}"

    def line_of(self, place: Place) -> int:
        """The line of a value, or of the nearest thing around it, from 1."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(path: Path) -> YamlFile:
    """The one YAML document in a file.

    Raises:
        YamlError: if the file can't be read, isn't UTF-8, isn't YAML, or holds nothing, aliases or a key twice.
    """
    return parse(_read_text(path), path)


def parse(text: str, path: Path) -> YamlFile:
    """The one YAML document in a text; `path` is what errors call it.

    Raises:
        YamlError: if it isn't YAML, or holds nothing, aliases or a key twice.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Place, int] = {}
        data = None if node is None else _Reader(path, lines).value(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(f"{path}:{mark.line + 1 if mark else 1}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise YamlError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise YamlError(f"{path}: nested too deeply") from None
    if data is None:
        raise YamlError(f"{path}: the file is empty")
    return YamlFile(path, text, data, lines)


def _read_text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise YamlError(f"{path}: not a file")
        if path.stat().st_size > MAX_BYTES:
            raise YamlError(f"{path}: larger than {MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise YamlError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise YamlError(f"{path}:{line}: not UTF-8 text (byte {error.start})") from None


@dataclass(frozen=True)
class _Reader:
    """Turns nodes into plain data and notes the line of each."""

    path: Path
    lines: dict[Place, int]
    _seen: set[int] = field(default_factory=set)

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        self._refuse_alias(node)
        if isinstance(node, yaml.MappingNode):
            return {key: self.value(child, (*place, key)) for key, child in self._entries(node, place)}
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*place, index)) for index, child in enumerate(node.value)]
        return _scalar(node) if isinstance(node, yaml.ScalarNode) else None

    def _entries(self, node: yaml.MappingNode, place: Place) -> Iterator[tuple[str, yaml.Node]]:
        seen: dict[str, int] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlError(f"{self.path}:{line}: a key must be a word")
            key = key_node.value
            if key in seen:
                raise YamlError(f"{self.path}:{line}: '{key}' stands twice, first on line {seen[key]}")
            seen[key] = self.lines[(*place, key)] = line
            yield key, child

    def _refuse_alias(self, node: yaml.Node) -> None:
        """An alias composes to the very node that its anchor made; it could even hold itself."""
        if id(node) in self._seen:
            raise YamlError(f"{self.path}:{node.start_mark.line + 1}: anchors and aliases are not used here")
        self._seen.add(id(node))


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style is not None:  # quoted, or a block of text
        return text
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(re.sub(r"\.(?=[in])", "", text.lower()))
    return text
