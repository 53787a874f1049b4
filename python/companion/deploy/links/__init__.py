"""The robot links, one file each; the file's name is what `--link` takes.

A link's file holds a frozen dataclass `Settings`, whose fields are str, int, float or bool, and
`connect(interface, settings, clock, role)`, which returns a `companion.deploy.link.Link` or raises `LinkLost`.
One that a simulated robot can be reached by holds `RobotSettings` and `listen(interface, settings)` besides, which
returns a `RobotEnd`.
What a link needs beyond numpy is imported in its own file only.
"""

from __future__ import annotations

import sys
import time
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence, get_type_hints  # noqa: UP035 (runs on Python 3.8)

from companion.menu import choices, pick

if TYPE_CHECKING:
    from companion.deploy.link import Interface, Link
    from companion.deploy.links._robot_end import RobotEnd


def names() -> list[str]:
    """The links there are."""
    return choices(sys.modules[__name__])


def open_link(
    name: str,
    interface: Interface,
    settings: Mapping[str, str],
    clock: Callable[[], float] = time.monotonic,
    role: str = "runtime",
) -> Link:
    """A connected link.

    Args:
        name: of the link's file.
        interface: what the robot measures and takes.
        settings: values of the link's `Settings`, as typed.
        clock: the runtime's own, s; it says when something arrived.
        role: "runtime", or "watchdog" for the second connection to the same robot.

    Raises:
        ValueError: if there is no such link, or a setting is unknown, missing or of the wrong kind.
        LinkLost: if the robot does not answer.
    """
    module: Any = pick(sys.modules[__name__], name, "link")
    return module.connect(interface, settings_of(module.Settings, settings, name), clock, role)


def listen(name: str, interface: Interface, settings: Mapping[str, str]) -> RobotEnd:
    """A robot's own end of a link.

    Raises:
        ValueError: if the link has none, a setting is no good, or the place is taken.
    """
    module: Any = pick(sys.modules[__name__], name, "link")
    if not hasattr(module, "listen"):
        raise ValueError(f"no robot can be simulated at the other end of the link '{name}'")
    return module.listen(interface, settings_of(module.RobotSettings, settings, name))


def pairs(flag: str, words: Sequence[str]) -> dict[str, str]:
    """The values of a flag that takes KEY=VALUE and may be repeated.

    Raises:
        ValueError: on a word without =, or a key given twice.
    """
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{flag} {word}: expected KEY=VALUE")
        if key in found:
            raise ValueError(f"{flag} {key} is given twice")
        found[key] = value
    return found


def settings_of(kind: type, given: Mapping[str, str], link: str) -> Any:
    """An instance of a link's `Settings`, from values as typed.

    Raises:
        ValueError: if one is unknown, missing or of the wrong kind; names it and the choices.
    """
    types, known = get_type_hints(kind), {entry.name: entry for entry in fields(kind)}
    for key in given:
        if key not in known:
            raise ValueError(f"the link '{link}' has no setting '{key}'; choose from {', '.join(known)}")
    for key, entry in known.items():
        if entry.default is MISSING and key not in given:
            raise ValueError(f"the link '{link}' needs {key}=…")
    return kind(**{key: _read(types[key], value, key) for key, value in given.items()})


def _read(kind: type, text: str, key: str) -> Any:
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError(f"{key}={text} must be true or false")
        return text == "true"
    try:
        return kind(text)
    except ValueError:
        words = {int: "a whole number", float: "a number"}
        raise ValueError(f"{key}={text} must be {words.get(kind, kind.__name__)}") from None
