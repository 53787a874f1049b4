"""ONNX' operators in numpy, as far as exported policies need them: from opset 13, unchanged up to opset 17.

Positional arguments are the operator's inputs, None where one is left out; keyword-only ones are its attributes. What
an operator means stands in ONNX' docs/Operators.md.
"""

# ruff: noqa: UP006, UP035, UP045 (Python 3.8)
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Tuple

import numpy as np

from companion.deploy.engines._onnx_file import TYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Maybe = Optional[Array]

LEAST_EXPONENT = -88.0
"""exp(88) is the greatest that float32 holds; where it would be greater a sigmoid is 0 anyway."""
MOST_ENTRIES = 1 << 24
"""Of an array that is made from a shape: no policy needs more, and a damaged file might ask for it."""


def _divide(dividend: Array, divisor: Array) -> Array:
    if dividend.dtype.kind == "f":
        return dividend / divisor
    return np.abs(dividend) // np.abs(divisor) * np.sign(dividend) * np.sign(divisor)  # whole ones are cut towards 0


def _clip(value: Array, low: Maybe = None, high: Maybe = None) -> Array:
    value = value if low is None else np.maximum(value, low)
    return value if high is None else np.minimum(value, high)


def _gemm(
    left: Array, right: Array, bias: Maybe = None, *, alpha: float = 1.0, beta: float = 1.0, trans_a: int = 0,
    trans_b: int = 0,
) -> Array:  # fmt: skip
    product = (left.T if trans_a else left) @ (right.T if trans_b else right)
    product = product if alpha == 1.0 else product * alpha
    if bias is None:
        return product
    return product + (bias if beta == 1.0 else bias * beta)


def _elu(value: Array, *, alpha: float = 1.0) -> Array:
    return np.where(value > 0, value, np.expm1(np.minimum(value, 0)) * alpha)


def _relu(value: Array) -> Array:
    return np.maximum(value, 0)


def _sigmoid(value: Array) -> Array:
    return 1 / (1 + np.exp(-np.maximum(value, LEAST_EXPONENT)))


def _log_softmax(value: Array, *, axis: int = -1) -> Array:
    below = value - value.max(axis=axis, keepdims=True)
    return below - np.log(np.exp(below).sum(axis=axis, keepdims=True))


def _lstm(
    value: Array, weight: Array, recurrence: Array, bias: Maybe = None, lengths: Maybe = None, hidden: Maybe = None,
    cell: Maybe = None, peepholes: Maybe = None, *, hidden_size: int, direction: str = "forward", layout: int = 0,
) -> Tuple[Array, Array, Array]:  # fmt: skip
    """All hidden states `[steps, 1, rows, H]`, then the last hidden and cell `[1, rows, H]`; gates lie i, o, f, c."""
    if direction != "forward" or layout or lengths is not None or peepholes is not None:
        raise ValueError("only a plain LSTM that goes forward is computed here")
    zeros = np.zeros((1, value.shape[1], hidden_size), np.float32)
    h, c = (zeros if hidden is None else hidden)[0], (zeros if cell is None else cell)[0]
    offset = 0.0 if bias is None else bias[0, : 4 * hidden_size] + bias[0, 4 * hidden_size :]
    seen = []
    for step in value:
        gates = step @ weight[0].T + h @ recurrence[0].T + offset
        keep_new, show, keep_old = np.split(_sigmoid(gates[:, : 3 * hidden_size]), 3, axis=1)
        c = keep_old * c + keep_new * np.tanh(gates[:, 3 * hidden_size :])
        h = show * np.tanh(c)
        seen.append(h)
    return np.stack(seen)[:, None], h[None], c[None]


def _concat(*values: Array, axis: int) -> Array:
    return np.concatenate(values, axis=axis)


def _slice(value: Array, starts: Array, ends: Array, axes: Maybe = None, steps: Maybe = None) -> Array:
    cuts = [slice(None)] * value.ndim
    for index, (start, end) in enumerate(zip(starts.tolist(), ends.tolist())):  # noqa: B905 (Python 3.8)
        axis = index if axes is None else int(axes[index])
        cuts[axis] = slice(start, end, 1 if steps is None else int(steps[index]))
    return value[tuple(cuts)]


def _split(value: Array, sizes: Maybe = None, *, axis: int = 0) -> Tuple[Array, ...]:
    if sizes is None:
        raise ValueError("the sizes of the parts are missing")
    return tuple(np.split(value, np.cumsum(sizes)[:-1].tolist(), axis=axis))


def _squeeze(value: Array, axes: Maybe = None) -> Array:
    return np.squeeze(value, None if axes is None else tuple(axes.tolist()))


def _unsqueeze(value: Array, axes: Array) -> Array:
    return np.expand_dims(value, tuple(axes.tolist()))


def _gather(value: Array, indices: Array, *, axis: int = 0) -> Array:
    return np.take(value, indices, axis=axis)


def _arg_max(value: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
    if select_last_index:
        raise ValueError("of equal ones the last is asked for")
    found = np.argmax(value, axis=axis)
    return np.expand_dims(found, axis) if keepdims else found


def _shape(value: Array) -> Array:
    return np.array(value.shape, np.int64)


def _constant_of_shape(shape: Array, *, value: Maybe = None) -> Array:
    if np.prod(np.asarray(shape, float)) > MOST_ENTRIES:
        raise ValueError(f"an array of {shape.tolist()} entries is asked for")
    fill = np.zeros(1, np.float32) if value is None else value
    return np.full(tuple(shape.tolist()), fill.reshape(()), fill.dtype)


def _constant(*, value: Array) -> Array:
    return value


def _cast(value: Array, *, to: int) -> Array:
    return value.astype(TYPES[to])


def _identity(value: Array) -> Array:
    return value


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "Add": np.add,
    "ArgMax": _arg_max,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Div": _divide,
    "Elu": _elu,
    "Gather": _gather,
    "Gemm": _gemm,
    "Greater": np.greater,
    "Identity": _identity,
    "LSTM": _lstm,
    "LogSoftmax": _log_softmax,
    "MatMul": np.matmul,
    "Mul": np.multiply,
    "Relu": _relu,
    "Shape": _shape,
    "Sigmoid": _sigmoid,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": np.subtract,
    "Tanh": np.tanh,
    "Unsqueeze": _unsqueeze,
    "Where": np.where,
}
"""By the name that ONNX gives them."""
