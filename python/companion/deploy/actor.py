"""An exported policy that acts: its network in an engine, and the card that says what goes in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping  # noqa: UP035 (Python 3.8)

import numpy as np
from numpy.typing import NDArray

from companion.deploy.engines import AUTO, EngineError, open_engine
from companion.policy_card import CardError, PolicyCard

GOLDEN_TOLERANCE = 1e-5
"""How far an action may be from what the trained network gave, in [-1, 1]."""


class ActorError(ValueError):
    """A file that is no usable policy; the message names the file and what is wrong, in one line."""


class OnnxNetwork:
    """A robot's network. A recurrent one remembers, for each row of the batch, what it has seen.

    Args:
        model: the bytes of a file.
        engine: what computes it: "onnxruntime", "numpy", or "auto", which takes the former where it is installed.

    Raises:
        EngineError: if the engine can't compute it.
    """

    def __init__(self, model: bytes, engine: str = AUTO) -> None:
        self._engine = open_engine(model, engine)
        sizes: dict[str, Any] = {door.name: door.shape[-1] if door.shape else None for door in self._engine.inputs}
        self._is_masked = "action_mask" in sizes
        self._choices = sizes.get("action_mask")
        self._memory_size = sizes.get("h_in")
        self._memory: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        self._before = self._memory

    @property
    def engine(self) -> str:
        """The name and version of what computes it."""
        return self._engine.name

    @property
    def doors(self) -> list[tuple[str, Any]]:
        """Names and sizes of the inputs, then the outputs; size None where it is no float32 [batch, size]."""
        return [
            (door.name, door.shape[-1] if door.is_float32 and len(door.shape) == 2 else None)
            for door in (*self._engine.inputs, *self._engine.outputs)
        ]

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file carries beside the network."""
        return self._engine.metadata

    def act(self, observation: NDArray[Any], mask: NDArray[Any] | None = None) -> NDArray[np.float32]:
        """The action `[batch, entries]` for an observation `[batch, size]`.

        Args:
            observation: of as many rows as before, where the network is recurrent, or call `restart()` first.
            mask: `[batch, all choices]`, True where a choice is open; None where all are.

        Raises:
            ValueError: if there is a mask and the network takes none, or something has the wrong number of rows.
        """
        given = {"observation": np.ascontiguousarray(observation, np.float32)}
        if self._is_masked or mask is not None:
            given["action_mask"] = self._checked_mask(mask, len(observation))
        if self._memory_size is None:
            return self._engine.run(["action"], given)[0]
        given["h_in"], given["c_in"] = self._memory_of(len(observation))
        action, hidden, cell = self._engine.run(["action", "h_out", "c_out"], given)
        self._before, self._memory = self._memory, (hidden, cell)
        return action

    def restart(self, rows: NDArray[np.bool_] | None = None) -> None:
        """Forget what the rows that are True have seen, because their episode begins anew; all of them if not given."""
        if rows is None:
            self._memory = None
        elif self._memory is not None:
            for part in self._memory:
                part[rows] = 0.0

    def take_back(self, rows: NDArray[np.bool_]) -> None:
        """Let the rows that are True remember what they did before the last `act`, because they made no decision."""
        if self._memory is not None and self._before is not None:
            for now, before in zip(self._memory, self._before):  # noqa: B905 (Python 3.8)
                now[rows] = before[rows]

    def _memory_of(self, rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self._memory is None:
            shape = (rows, self._memory_size or 0)
            self._memory = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        if len(self._memory[0]) != rows:
            raise ValueError(f"{rows} rows, but the policy remembers {len(self._memory[0])}; restart() makes it forget")
        return self._memory

    def _checked_mask(self, mask: NDArray[Any] | None, rows: int) -> NDArray[np.float32]:
        if not self._is_masked:
            raise ValueError("this policy takes no action mask")
        if mask is None:
            return np.ones((rows, self._choices or 0), np.float32)
        if mask.shape != (rows, self._choices):
            raise ValueError(f"action mask has shape {mask.shape}, expected {(rows, self._choices)}")
        return np.ascontiguousarray(mask, np.float32)


class OnnxActor:
    """A policy from an ONNX file, checked against its card and its golden vectors before it may act.

    Args:
        path: of the file.
        engine: what computes it; see `OnnxNetwork`.

    Raises:
        ActorError: if the file can't be read, is no ONNX model that the engine can compute, carries no card, or does
            not do what its card says.
    """

    def __init__(self, path: str | Path, engine: str = AUTO) -> None:
        self.path = Path(path)
        self._network = _open(self.path, engine)
        self.card = _read_card(self._network, self.path)
        self._check_doors()
        self._check_golden()

    @property
    def engine(self) -> str:
        """The name and version of what computes the network."""
        return self._network.engine

    def act(self, observation: NDArray[Any], mask: NDArray[Any] | None = None) -> NDArray[np.float32]:
        """The action `[batch, card.action_size]` for an observation `[batch, card.layout.size]`.

        Continuous entries lie in [-1, 1]; the numbers of the choices follow. A recurrent policy remembers each row.

        Args:
            observation: as the card's layout says.
            mask: `[batch, card.mask_size]`, True where a choice is open; None where all are.

        Raises:
            ValueError: if the observation has another shape or an entry that is not finite, or the mask does not fit.
        """
        if observation.ndim != 2 or observation.shape[1] != self.card.layout.size:
            raise ValueError(f"observation has shape {observation.shape}, expected (batch, {self.card.layout.size})")
        if not np.isfinite(observation).all():
            self._tell_bad_entry(observation)
        return self._network.act(observation, mask)

    def restart(self, rows: NDArray[np.bool_] | None = None) -> None:
        """Forget what the rows that are True have seen, because their episode begins anew; all of them if not given."""
        self._network.restart(rows)

    def take_back(self, rows: NDArray[np.bool_]) -> None:
        """Let the rows that are True remember what they did before the last `act`, because they made no decision."""
        self._network.take_back(rows)

    def reset(self) -> None:
        """Forget everything: an episode begins."""
        self._network.restart()

    def _check_doors(self) -> None:
        card, memory = self.card, self.card.memory
        wanted = [("observation", card.layout.size)]
        wanted += [("h_in", memory), ("c_in", memory)] if memory else []
        wanted += [("action_mask", card.mask_size)] if card.is_masked else []
        wanted += [("action", card.action_size)]
        wanted += [("h_out", memory), ("c_out", memory)] if memory else []
        found = self._network.doors
        if found != wanted:
            told = ", ".join(f"{name}[{size}]" for name, size in found)
            need = ", ".join(f"{name}[{size}]" for name, size in wanted)
            raise ActorError(f"{self.path}: its inputs and outputs are {told}; its card says {need}")

    def _check_golden(self) -> None:
        golden = self.card.golden
        try:
            found = self._golden_actions()
        except EngineError as error:
            raise ActorError(f"{self.path}: the model does not run: {error}") from None
        expected = np.array(golden.action)
        if found.shape != expected.shape:
            raise ActorError(f"{self.path}: its actions have shape {found.shape}, expected {expected.shape}")
        difference = float(np.abs(found - expected).max())
        if not difference <= GOLDEN_TOLERANCE:
            raise ActorError(
                f"{self.path}: its actions differ by {difference:.2g} from those of the trained network"
                f" (at most {GOLDEN_TOLERANCE:g} is rounding); the file was changed after its export"
            )

    def _golden_actions(self) -> NDArray[np.float32]:
        """Of a recurrent policy, one after the other."""
        observation = np.array(self.card.golden.observation)
        mask = np.array(self.card.golden.mask) if self.card.is_masked else None
        if not self.card.memory:
            return self._network.act(observation, mask)
        masks = [None] * len(observation) if mask is None else [*mask[:, None]]
        found = [self._network.act(row[None], one) for row, one in zip(observation, masks)]  # noqa: B905 (Python 3.8)
        self.reset()
        return np.concatenate(found)

    def _tell_bad_entry(self, observation: NDArray[Any]) -> None:
        row, column = np.argwhere(~np.isfinite(observation))[0]
        layout = self.card.layout
        name = next(name for name in layout.names if column < layout.where(name).stop)
        raise ValueError(f"observation entry '{name}' is {observation[row, column]} in row {row}")


def _open(path: Path, engine: str) -> OnnxNetwork:
    model = _read(path)
    try:
        return OnnxNetwork(model, engine)
    except EngineError as error:
        raise ActorError(f"{path}: not a whole ONNX model, or none that can be run here: {error}") from None


def _read(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise ActorError(f"{path}: not a file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ActorError(f"{path}: {error.strerror}") from None


def _read_card(network: OnnxNetwork, path: Path) -> PolicyCard:
    try:
        return PolicyCard.from_metadata(network.metadata, str(path))
    except CardError as error:
        raise ActorError(str(error)) from None
    except UnicodeDecodeError as error:
        raise ActorError(f"{path}: its metadata is not UTF-8 text: {error.reason}") from None
