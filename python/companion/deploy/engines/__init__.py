"""What computes a policy's network from its ONNX file, one file each; the file's name is what `--engine` takes.

A file holds `open_model(model)`, which returns an `Engine` or raises `EngineError`. What an engine needs beyond numpy
is imported in its own file only.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping, Protocol, Sequence, Tuple, Union  # noqa: UP035 (Python 3.8)

from companion.menu import choices, no_such, pick

if TYPE_CHECKING:
    from numpy.typing import NDArray

AUTO = "auto"
"""Onnxruntime where it is installed, else numpy."""


class EngineError(ValueError):
    """A network that this engine can't compute; the message says why, in one line."""


@dataclass(frozen=True)
class Door:
    """An input or an output."""

    name: str
    is_float32: bool
    shape: Tuple[Union[int, str, None], ...]  # noqa: UP006, UP007 (Python 3.8)
    """A free axis has a name, or None."""


class Engine(Protocol):
    """A network that is ready to run."""

    @property
    def name(self) -> str:
        """The engine's own name and version, for a person."""
        ...

    @property
    def inputs(self) -> Sequence[Door]: ...
    @property
    def outputs(self) -> Sequence[Door]: ...
    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file carries beside the network.

        Raises:
            UnicodeDecodeError: if it is no text.
        """
        ...

    def run(self, wanted: Sequence[str], given: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Those outputs for these inputs, as arrays of their own.

        Raises:
            EngineError: if they can't be computed.
        """
        ...


def names() -> list[str]:
    """The engines there are."""
    return choices(sys.modules[__name__])


def open_engine(model: bytes, name: str = AUTO) -> Engine:
    """A network in an engine.

    Args:
        model: the bytes of an ONNX file.
        name: of the engine, or "auto".

    Raises:
        ValueError: if there is no such engine.
        ImportError: if it is not installed.
        EngineError: if it can't compute this network.
    """
    if name not in (AUTO, *names()):
        raise ValueError(no_such("engine", name, (AUTO, *names())))
    module: Any
    if name != AUTO:
        module = pick(sys.modules[__name__], name, "engine")
        return module.open_model(model)
    try:
        module = pick(sys.modules[__name__], "onnxruntime", "engine")
    except ImportError as missing:  # there is none, or one that does not fit this machine's numpy or C library
        return _without_onnxruntime(model, missing)
    return module.open_model(model)


def _without_onnxruntime(model: bytes, missing: ImportError) -> Engine:
    from companion.deploy.engines import numpy

    why = " ".join(str(missing).split())[:100]
    try:
        engine = numpy.open_model(model)
    except EngineError as error:
        raise EngineError(f"{error}; onnxruntime may, but it can't be had here: {why}") from None
    if getattr(missing, "name", "") != "onnxruntime":
        engine.name += f" (there is an onnxruntime, but it can't be used: {why})"
    return engine
