"""Saved states on disk: plain data only, never half written, the one before always kept."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

CURRENT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
_UNFINISHED = "checkpoint.unfinished.pt"


class CheckpointError(ValueError):
    """A saved state that can't be read or doesn't fit."""


def save(directory: Path, state: Mapping[str, Any]) -> None:
    """Write a state so that whatever happens there is a whole one to go on from.

    The new file reaches the disk under another name first; the good one becomes the previous one; then the new one
    takes its place.
    """
    unfinished, current = directory / _UNFINISHED, directory / CURRENT
    with unfinished.open("wb") as file:
        torch.save(packed(state), file)
        file.flush()
        os.fsync(file.fileno())
    if current.exists():
        os.replace(current, directory / PREVIOUS)
    os.replace(unfinished, current)
    _sync_directory(directory)


def load(directory: Path) -> dict[str, Any] | None:
    """The newest whole state in a directory; None where nothing was ever saved.

    Raises:
        CheckpointError: if there are files but none of them can be read.
    """
    problems = []
    for path in (directory / CURRENT, directory / PREVIOUS):
        if not path.exists():
            continue
        try:
            return unpacked(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # torch raises many kinds for a damaged file; all mean the same here
            problems.append(f"{path.name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    if problems:
        raise CheckpointError(f"no readable checkpoint in {directory} ({'; '.join(problems)})")
    return None


def exists(directory: Path) -> bool:
    """Whether a state was ever saved there."""
    return (directory / CURRENT).exists() or (directory / PREVIOUS).exists()


def packed(value: Any) -> Any:
    """The same tree with every numpy array as a marked tensor, which torch loads without running code."""
    if isinstance(value, (np.ndarray, np.generic)):
        return {_ARRAY: torch.from_numpy(np.array(value, order="C"))}
    if isinstance(value, Mapping):
        return {key: packed(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(packed(entry) for entry in value)
    if value is None or isinstance(value, (bool, int, float, str, torch.Tensor)):
        return value
    raise TypeError(f"a checkpoint holds arrays and plain values, not {type(value).__name__}")


def unpacked(value: Any) -> Any:
    """The inverse of `packed`; numpy scalars come back as arrays without dimensions."""
    if isinstance(value, dict):
        if _ARRAY in value:
            return value[_ARRAY].numpy()
        return {key: unpacked(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(unpacked(entry) for entry in value)
    return value


_ARRAY = "__array__"


def random_state() -> dict[str, Any]:
    """The states of torch's and numpy's global random generators."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {"torch": torch.get_rng_state(), "numpy": [kind, keys, position, has_gauss, gauss]}


def set_random_state(state: Mapping[str, Any]) -> None:
    """Go on drawing from saved states."""
    torch.set_rng_state(state["torch"])
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys, position, has_gauss, gauss))


def require_same(saved: Mapping[str, Any], current: Mapping[str, Any], free: frozenset[str]) -> None:
    """Raise CheckpointError naming every setting, not in `free`, that differs from the saved run's."""
    names = [name for name in {**saved, **current} if name not in free]
    changed = [name for name in names if saved.get(name) != current.get(name)]
    if changed:
        told = ", ".join(f"{name} was {saved.get(name)!r}, now {current.get(name)!r}" for name in changed)
        raise CheckpointError(
            f"can't resume with other settings ({told}); resume with the same, or start anew in another directory"
        )


def _sync_directory(directory: Path) -> None:
    """Make the renames durable; Windows has no such call for folders and doesn't need it."""
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
