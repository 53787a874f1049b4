"""Whether an ONNX file acts as the actor does that it was made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from trainers.common.actions import ActionSpace
from trainers.common.onnx_export import action_space, memory_of

Floats = NDArray[np.float32]

TOLERANCE = 1e-5
"""Between actions in [-1, 1], between the entries of a memory, and between the scores of choices that are tied."""
SEQUENCE_STEPS = 50
"""Decisions over which a recurrent file must remember as its actor does."""


def check_parity(onnx_bytes: bytes, actor: nn.Module, observations: Floats, motions: ArrayLike | None = None) -> float:
    """The greatest difference between the file's deterministic actions in onnxruntime and the actor's in torch.

    Takes either kind of file; asks for the whole batch at once and for its first row alone, a recurrent one for
    sequences of 50 rows each. Where a file takes a mask, random choices are closed. Choices must be the same, except
    where the scores of the two best are within 1e-5.

    Args:
        onnx_bytes: the file.
        actor: what it was made of.
        observations: `[rows, n]`.
        motions: as given to `robot_onnx`.

    Raises:
        ValueError: if the difference exceeds 1e-5, a choice is another one, or an action is no number in [-1, 1].
    """
    file = OnnxTwin(onnx_bytes, observations.shape[-1])
    twin = TorchTwin(actor, observations.shape[-1], motions)
    if twin.memory != file.memory:
        raise ValueError(f"the exported actor remembers {file.memory} numbers, not {twin.memory}")
    if twin.memory:
        return _compare(file, twin, _sequences(observations))
    return max(_compare(file, twin, observations[None]), _compare(file, twin, observations[None, :1]))


class TorchTwin:
    """A torch actor as functions of arrays, with the motions that its file will contain."""

    def __init__(self, actor: nn.Module, observation_size: int, motions: ArrayLike | None = None) -> None:
        self.actor = actor
        self.space: ActionSpace = action_space(actor, observation_size)
        self.memory = memory_of(actor)
        self.motions = None if motions is None else np.asarray(motions, np.float32)

    @property
    def numbers(self) -> int:
        """Columns of an action that are computed; the others are picked from a few."""
        return self.space.continuous

    def __call__(self, observation: Floats, memory: Sequence[Floats], mask: Floats | None) -> list[Floats]:
        """Action `[rows, m]`, then h and c of a recurrent actor; `mask` holds 1 where open."""
        device = next((value.device for value in self.actor.parameters()), torch.device("cpu"))
        given = [torch.from_numpy(np.ascontiguousarray(value)).to(device) for value in (observation, *memory)]
        given += [] if mask is None else [torch.from_numpy(mask > 0.5).to(device)]
        with torch.no_grad():
            found = self.actor(*given)
        action, *after = [value.cpu().numpy() for value in (found if isinstance(found, tuple) else (found,))]
        return [action if self.motions is None else self.motions[action[:, 0].astype(np.intp)], *after]

    def is_tied(self, observation: Floats, memory: Sequence[Floats], mask: Floats | None) -> NDArray[np.bool_]:
        """`[rows]`: whether the two best choices of a branch are so close that rounding swaps them."""
        with _Compared() as compared:
            self(observation, memory, mask)
        tied = np.zeros(len(observation), np.bool_)
        for scores in (scores for scores in compared.scores if scores.shape[-1] > 1):
            best, second = scores.topk(2, dim=-1).values.unbind(-1)
            tied |= ((best - second) <= TOLERANCE).flatten().cpu().numpy()
        return tied


class _Compared(TorchFunctionMode):
    """Keeps what `argmax` chooses from, so that an actor need not tell its scores."""

    def __init__(self) -> None:
        super().__init__()
        self.scores: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.argmax, Tensor.argmax):
            self.scores.append(args[0])
        return func(*args, **(kwargs or {}))


def no_memory(size: int, rows: int) -> list[Floats]:
    """H and c at the start of an episode; nothing where there is no memory."""
    return [np.zeros((rows, size), np.float32) for _ in range(2 if size else 0)]


def random_mask(random: np.random.Generator, space: ActionSpace, rows: int) -> Floats:
    """`[rows, all choices]`, 1 is open: about half of the choices, and at least one of each branch."""
    parts = []
    for choices in space.branches:
        part = random.random((rows, choices)) < 0.5
        part[np.arange(rows), random.integers(choices, size=rows)] = True
        parts.append(part)
    return np.concatenate(parts, axis=1).astype(np.float32)


@dataclass(frozen=True)
class _Moment:
    """What both are asked for at one decision."""

    observation: Floats
    memory: Sequence[Floats]
    mask: Floats | None


def _compare(file: "OnnxTwin", twin: TorchTwin, sequences: Floats) -> float:
    """The greatest difference over sequences `[steps, rows, n]`; each remembers with its own memory."""
    rows, random, greatest = sequences.shape[1], np.random.default_rng(0), 0.0
    memory, expected_memory = no_memory(twin.memory, rows), no_memory(twin.memory, rows)
    for observation in sequences:
        mask = random_mask(random, twin.space, rows) if file.is_masked else None
        given, *memory = file(observation, memory, mask)
        moment = _Moment(observation, expected_memory, mask)
        expected, *expected_memory = twin(observation, expected_memory, mask)
        _check_bounds(given, expected, twin)
        _check_picks(given, expected, twin, moment)
        numbers = (given[:, : twin.numbers], *memory), (expected[:, : twin.numbers], *expected_memory)
        differences = [float(np.abs(ours - theirs).max(initial=0.0)) for ours, theirs in zip(*numbers, strict=True)]
        greatest = max(greatest, *differences)
        if not all(difference <= TOLERANCE for difference in differences):
            raise ValueError(
                f"the exported actor differs from torch by {max(differences):.3g}, more than {TOLERANCE:g}"
            )
    return greatest


def _check_bounds(given: Floats, expected: Floats, twin: TorchTwin) -> None:
    """The file is bounded strictly; an actor that is not would only be cut."""
    for action, bound in ((given, 1.0), (expected, 1.0 + TOLERANCE)):
        numbers = action if twin.motions is not None else action[:, : twin.numbers]
        if not np.all(np.abs(numbers) <= bound):
            raise ValueError("the actor gives actions beyond [-1, 1] or no numbers")
    if twin.motions is not None:
        return
    for column, choices in enumerate(twin.space.branches, twin.numbers):
        if not np.isin(given[:, column], np.arange(choices)).all():
            raise ValueError(f"the exported actor chooses something else than 0 to {choices - 1}")


def _check_picks(given: Floats, expected: Floats, twin: TorchTwin, moment: _Moment) -> None:
    """Refuse picks that torch does not make too, but for ties."""
    picks, torchs = given[:, twin.numbers :], expected[:, twin.numbers :]
    differ = (picks != torchs).any(axis=1)
    if not differ.any():
        return
    wrong = differ & ~twin.is_tied(moment.observation, moment.memory, moment.mask)
    for row in np.flatnonzero(wrong):
        raise ValueError(f"the exported actor picks {picks[row].tolist()}, torch picks {torchs[row].tolist()}")


def _sequences(observations: Floats) -> Floats:
    """Rows `[rows, n]` as sequences `[steps, sequences, n]`; what is left over is repeated from the start."""
    steps = min(SEQUENCE_STEPS, len(observations))
    count = -(-len(observations) // steps)
    return np.resize(observations, (count, steps, observations.shape[1])).swapaxes(0, 1)


class OnnxTwin:
    """Either kind of file as a function of arrays that gives the deterministic action, then h and c."""

    def __init__(self, onnx_bytes: bytes, observation_size: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # its threads spin between runs, which costs more than they bring
        self._session = onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
        inputs = {source.name: source.shape[-1] for source in self._session.get_inputs()}
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._sizes = {name: size for name, size in inputs.items() if name.startswith("obs")}
        if sum(self._sizes.values()) != observation_size:
            raise ValueError(f"the exported actor takes {sum(self._sizes.values())} numbers, not {observation_size}")
        self.memory: int = inputs.get("h_in", inputs.get("recurrent_in", 0) // 2)
        self._mask = next((name for name in ("action_mask", "action_masks") if name in inputs), None)
        self.is_masked = self._mask is not None
        self.choices: int = inputs[self._mask] if self._mask else 0

    def __call__(self, observation: Floats, memory: Sequence[Floats], mask: Floats | None) -> list[Floats]:
        feed: dict[str, Any] = dict(
            zip(self._sizes, np.split(observation, np.cumsum([*self._sizes.values()])[:-1], axis=-1), strict=True)
        )
        if self._mask is not None:
            feed[self._mask] = mask
        is_robot = "action" in self._outputs
        if memory:
            feed |= zip(("h_in", "c_in"), memory, strict=True) if is_robot else {"recurrent_in": _joined(memory)}
        found: Any = self._session.run(None, {name: np.ascontiguousarray(part) for name, part in feed.items()})
        by_name: dict[str, Floats] = dict(zip(self._outputs, found, strict=True))
        if is_robot:
            return [by_name[name] for name in ("action", "h_out", "c_out") if name in by_name]
        parts = [by_name[name] for name in by_name if name.startswith("deterministic_")]
        after = np.split(by_name["recurrent_out"][:, 0], 2, axis=-1) if memory else []
        return [np.concatenate([part.astype(np.float32) for part in parts], axis=-1), *after]


def _joined(memory: Sequence[Floats]) -> Floats:
    """H before c, as ML-Agents has them."""
    return np.concatenate(memory, axis=-1)[:, None]
