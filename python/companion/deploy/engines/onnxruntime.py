"""onnxruntime on one thread, from 1.10 on; that reads opset 15 and IR version 8, and what we export is older."""

from __future__ import annotations

from typing import Any, Mapping, Sequence  # noqa: UP035 (Python 3.8)

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors  # pyright: ignore[reportAttributeAccessIssue] (C++)

from companion.deploy.engines import Door, EngineError

_ERRORS = (
    ort_errors.Fail, ort_errors.InvalidArgument, ort_errors.InvalidGraph, ort_errors.InvalidProtobuf,
    ort_errors.NoModel, ort_errors.NoSuchFile, ort_errors.NotImplemented, ort_errors.RuntimeException, RuntimeError,
    UnicodeDecodeError,
)  # fmt: skip


def open_model(model: bytes) -> OnnxruntimeEngine:
    """A session for a small network on a robot: one thread, which sleeps between decisions instead of spinning.

    Raises:
        EngineError: if onnxruntime does not take the file.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    try:
        return OnnxruntimeEngine(
            onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        )
    except _ERRORS as error:
        raise EngineError(_one_line(error)) from None


class OnnxruntimeEngine:
    """A session with doors."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.name = f"onnxruntime {onnxruntime.__version__}"
        self.inputs = tuple(map(_door, session.get_inputs()))
        self.outputs = tuple(map(_door, session.get_outputs()))

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file carries beside the network."""
        return self._session.get_modelmeta().custom_metadata_map

    def run(self, wanted: Sequence[str], given: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Those outputs for these inputs."""
        try:
            return [np.asarray(one) for one in self._session.run(list(wanted), dict(given))]
        except _ERRORS as error:
            raise EngineError(_one_line(error)) from None


def _door(value: Any) -> Door:
    return Door(value.name, value.type == "tensor(float)", tuple(value.shape))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
