"""A folder of modules is a menu: every public module is one choice, its file name the name on the command line.
The edge bundle carries this file, so Python 3.8 has to read it too.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType


def choices(package: ModuleType) -> list[str]:
    """The names of the public modules in a package, sorted.

    A folder inside it is a choice where it has a `main.py`, being too large for one file; else it is shared code.
    """
    found = [module for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")]
    return sorted(module.name for module in found if not module.ispkg or _has_main(package, module.name))


def _has_main(package: ModuleType, name: str) -> bool:
    return any(Path(folder, name, "main.py").is_file() for folder in package.__path__)


def pick(package: ModuleType, name: str, kind: str) -> ModuleType:
    """The module of that name.

    Raises:
        ValueError: if there is none; the message names the `kind` of thing and lists the choices.
    """
    if name not in choices(package):
        raise ValueError(no_such(kind, name, choices(package)))
    return import_module(f"{package.__name__}.{name}")


def no_such(kind: str, name: object, allowed: Iterable[str]) -> str:
    """The one sentence that every wrong name gets: the thing, and the choices."""
    listed = ", ".join(allowed) or "(there are none)"
    return f"no {kind} '{name}'; choose from {listed}"
