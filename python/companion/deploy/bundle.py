"""An edge bundle as the robot sees it: a folder that knows what belongs into it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

MANIFEST = "bundle.json"
"""Holds, under `files`, the SHA-256 of every other file of the bundle by its place."""


def files_of(folder: Path) -> dict[str, str]:
    """What belongs into the folder; nothing where it is no bundle.

    Raises:
        ValueError: if its list is damaged.
    """
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        return {str(name): str(found) for name, found in json.loads(text)["files"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{folder / MANIFEST}: no list of a bundle's files; copy the bundle anew") from None


def changed_files(folder: Path) -> list[str]:
    """Which of its files are missing or not as they were bundled."""
    return [name for name, expected in files_of(folder).items() if hash_of(folder / name) != expected]


def hash_of(file: Path) -> str:
    """The SHA-256 of a file; "" where there is none."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
