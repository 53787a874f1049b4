"""An exported policy that acts: onnxruntime on one thread, and the card that says what goes in and out."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors  # pyright: ignore[reportAttributeAccessIssue] (C++)

from companion.policy_card import CardError, PolicyCard

GOLDEN_TOLERANCE = 1e-5
"""How far an action may be from what the trained network gave, in [-1, 1]."""

_LOAD_ERRORS = (
    ort_errors.Fail, ort_errors.InvalidArgument, ort_errors.InvalidGraph, ort_errors.InvalidProtobuf,
    ort_errors.NoModel, ort_errors.NoSuchFile, ort_errors.NotImplemented, ort_errors.RuntimeException, RuntimeError,
    UnicodeDecodeError,
)  # fmt: skip


class ActorError(ValueError):
    """A file that is no usable policy; the message names the file and what is wrong, in one line."""


class OnnxActor:
    """A policy from an ONNX file, checked against its card and its golden vectors before it may act.

    Raises:
        ActorError: if the file can't be read, is no ONNX model, carries no card, or does not do what its card says.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._session = _open(self.path)
        self.card = _read_card(self._session, self.path)
        self._check_door()
        self._check_golden()

    def act(self, observation: NDArray[Any]) -> NDArray[np.float32]:
        """The action `[batch, entries]` in [-1, 1] for an observation `[batch, card.layout.size]`.

        Raises:
            ValueError: if the observation has another shape or an entry that is not finite.
        """
        if observation.ndim != 2 or observation.shape[1] != self.card.layout.size:
            raise ValueError(f"observation has shape {observation.shape}, expected (batch, {self.card.layout.size})")
        if not np.isfinite(observation).all():
            self._tell_bad_entry(observation)
        return self._run(observation)

    def _run(self, observation: NDArray[Any]) -> NDArray[np.float32]:
        given = {"observation": np.ascontiguousarray(observation, np.float32)}
        return np.asarray(self._session.run(["action"], given)[0])

    def _check_door(self) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        wanted = [("observation", self.card.layout.size), ("action", len(self.card.action))]
        found = [(door.name, door.shape[-1] if door.shape else None) for door in (*inputs, *outputs)]
        if found != wanted or any(door.type != "tensor(float)" or len(door.shape) != 2 for door in (*inputs, *outputs)):
            told = ", ".join(f"{name}[{size}]" for name, size in found)
            need = ", ".join(f"{name}[{size}]" for name, size in wanted)
            raise ActorError(f"{self.path}: its inputs and outputs are {told}; its card says {need}")

    def _check_golden(self) -> None:
        golden = self.card.golden
        try:
            found = self._run(np.array(golden.observation))
        except _LOAD_ERRORS as error:
            raise ActorError(f"{self.path}: the model does not run: {_one_line(error)}") from None
        difference = float(np.abs(found - np.array(golden.action)).max())
        if not difference <= GOLDEN_TOLERANCE:
            raise ActorError(
                f"{self.path}: its actions differ by {difference:.2g} from those of the trained network"
                f" (at most {GOLDEN_TOLERANCE:g} is rounding); the file was changed after its export"
            )

    def _tell_bad_entry(self, observation: NDArray[Any]) -> None:
        row, column = np.argwhere(~np.isfinite(observation))[0]
        layout = self.card.layout
        name = next(name for name in layout.names if column < layout.where(name).stop)
        raise ValueError(f"observation entry '{name}' is {observation[row, column]} in row {row}")


def session_of(model: bytes) -> onnxruntime.InferenceSession:
    """A session for a small network on a robot: one thread, which sleeps between decisions instead of spinning."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)


def _open(path: Path) -> onnxruntime.InferenceSession:
    try:
        return session_of(_read(path))
    except _LOAD_ERRORS as error:
        raise ActorError(f"{path}: not a whole ONNX model: {_one_line(error)}") from None


def _read(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise ActorError(f"{path}: not a file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ActorError(f"{path}: {error.strerror}") from None


def _read_card(session: onnxruntime.InferenceSession, path: Path) -> PolicyCard:
    try:
        return PolicyCard.from_metadata(session.get_modelmeta().custom_metadata_map, str(path))
    except CardError as error:
        raise ActorError(str(error)) from None
    except UnicodeDecodeError as error:
        raise ActorError(f"{path}: its metadata is not UTF-8 text: {error.reason}") from None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
