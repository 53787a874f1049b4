"""numpy alone, where there is no onnxruntime: it computes the same file, one operator after the other."""

from __future__ import annotations

import inspect
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence  # noqa: UP035 (Python 3.8)

import numpy as np

from companion.deploy.engines import EngineError
from companion.deploy.engines._onnx_file import Node, read
from companion.deploy.engines._operators import OPERATORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = dict[str, NDArray[Any] | None]

LEAST_OPSET, MOST_OPSET = 13, 17
"""Between them the operators here mean the same."""


def open_model(model: bytes) -> NumpyEngine:
    """A network whose constant parts are computed already.

    Raises:
        EngineError: if it is not a whole ONNX file, or has operators that are not computed here.
    """
    return NumpyEngine(model)


class NumpyEngine:
    """The network as a list of operations on named arrays."""

    def __init__(self, model: bytes) -> None:
        file = read(model)
        if file.domains or not LEAST_OPSET <= file.opset <= MOST_OPSET:
            told = " and ".join((f"opset {file.opset}", *file.domains))
            raise EngineError(f"numpy computes opset {LEAST_OPSET} to {MOST_OPSET} of ONNX; the file has {told}")
        self.name = f"numpy {np.__version__}"
        self.inputs, self.outputs, self.metadata = file.inputs, file.outputs, file.metadata
        self._constants: Values = {"": None, **file.constants}
        self._steps: list[_Step] = []
        for step in _steps(file.nodes):
            if all(name in self._constants for name in step.inputs):
                _computed((step,), self._constants)
            else:
                self._steps.append(step)

    def run(self, wanted: Sequence[str], given: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Those outputs for these inputs."""
        values = {**self._constants, **given}
        _computed(self._steps, values)
        missing = [name for name in wanted if name not in values]
        if missing:
            raise EngineError(f"nothing gives {', '.join(missing)}")
        return [np.array(values[name]) for name in wanted]  # of its own: an operator may pass an input on


class _Step:
    """One operation."""

    def __init__(self, node: Node) -> None:
        function = OPERATORS[node.operator]
        known, attributes = _attributes_of(function), {}
        for name, value in node.attributes.items():
            if _as_python(name) not in known:
                raise EngineError(f"numpy can't compute {node.operator} with '{name}'")
            attributes[_as_python(name)] = value
        self.operator, self.inputs, self.outputs = node.operator, node.inputs, node.outputs
        self.compute: Callable[..., Any] = partial(function, **attributes)


def _steps(nodes: Sequence[Node]) -> list[_Step]:
    unknown = sorted({node.operator for node in nodes} - OPERATORS.keys())
    if unknown:
        raise EngineError(f"numpy can't compute the operators {', '.join(unknown)}")
    return [_Step(node) for node in nodes]


def _computed(steps: Sequence[_Step], values: Values) -> None:
    """Compute, and put what comes out among the values.

    Raises:
        EngineError: if something does not fit; names the operator.
    """
    with np.errstate(all="ignore"):
        for step in steps:
            try:
                found = step.compute(*[values[name] for name in step.inputs])
            except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
                raise EngineError(f"{step.operator}: {' '.join(str(error).split())[:150]}") from None
            values.update(zip(step.outputs, found if isinstance(found, tuple) else (found,)))  # noqa: B905 (Python 3.8)


def _attributes_of(function: Callable[..., Any]) -> frozenset[str]:
    """What an operator can be told, as Python names it."""
    if isinstance(function, np.ufunc):
        return frozenset()
    parameters = inspect.signature(function).parameters.values()
    return frozenset(one.name for one in parameters if one.kind is one.KEYWORD_ONLY)


def _as_python(name: str) -> str:
    """`transB` is `trans_b`."""
    return re.sub("(?<=[a-z])[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
