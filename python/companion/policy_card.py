"""The policy card: what a robot has to know about a policy, carried inside the ONNX file as JSON.

It needs numpy and the standard library only, so that a robot reads the very class that training wrote.
The edge bundle carries this file, so Python 3.8 has to read it too.
"""

# ruff: noqa: B905, UP006, UP033, UP035, UP045 (Python 3.8 reads the fields' types at run time, and knows only these)
from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, Mapping, Optional, Sequence, Tuple, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from companion.signals import Layout, Signal

METADATA_KEY = "companion.policy_card"
"""Where the card stands among an ONNX file's metadata_props."""

VERSION = 2
"""Of the card's own format. Version 1 knew continuous actions of policies without a memory only, and is still read."""


class CardError(ValueError):
    """A card that can't be read; the message names the field."""


@dataclass(frozen=True)
class ActionScale:
    """One entry of the action: the command is `low` at -1, `high` at +1, and linear between."""

    name: str
    unit: str
    low: float
    high: float


@dataclass(frozen=True)
class Branch:
    """One choice that the policy makes: it gives the number of the one chosen."""

    name: str
    choices: Tuple[str, ...]
    """Their names, in the order of their numbers."""


@dataclass(frozen=True)
class CardMotion:
    """One of the actions that a policy picks from, instead of computing it; the file itself looks it up."""

    name: str
    action: Tuple[float, ...]
    """Each entry in [-1, 1]."""


@dataclass(frozen=True)
class Range:
    """One way in which episodes differed in training, drawn evenly from `low` to `high`."""

    name: str
    unit: str
    nominal: float
    low: float
    high: float


@dataclass(frozen=True)
class RecipeText:
    """The reward that the policy was trained for."""

    name: str
    hash: str
    """SHA-256 over what the reward is computed from."""
    text: str


@dataclass(frozen=True)
class Provenance:
    """Where the policy comes from."""

    trainer: str
    config: Mapping[str, Any]
    """The trainer's resolved settings."""
    steps: int
    """Decisions that it learned from, over all copies."""
    seed: int
    git_commit: str
    """With "-dirty" behind it where files had been changed; empty where there was no git."""
    date: str
    """ISO 8601, UTC."""
    versions: Mapping[str, str]
    """Of the libraries that took part."""


@dataclass(frozen=True)
class GoldenVectors:
    """Observations and the actions that the trained network itself gave for them.

    Those of a recurrent policy are one sequence, from the start of an episode on.
    """

    observation: Tuple[Tuple[float, ...], ...]
    action: Tuple[Tuple[float, ...], ...]
    mask: Tuple[Tuple[float, ...], ...] = ()
    """Which choices were open, 1 or 0; () where the policy takes no mask."""


@dataclass(frozen=True)
class ObservationRange:
    """The least and the largest value of each observation entry over the evaluation's episodes."""

    low: Tuple[float, ...]
    high: Tuple[float, ...]


@dataclass(frozen=True)
class PolicyCard:
    """Everything about a policy but its weights.

    Raises:
        CardError: if sizes do not fit each other or a number is not finite; names the field.
    """

    robot: str
    task: str
    behavior: str
    """ML-Agents' name of the task."""
    observation: Tuple[Signal, ...]
    """What the policy sees, in the order in which it stands in the input vector."""
    action: Tuple[ActionScale, ...]
    """The continuous entries, in the order in which they stand in the output vector."""
    control_period_s: Optional[float]
    """Time between two decisions; None where an environment has no clock."""
    latency_s: Tuple[float, float]
    """Shortest and longest delay from observation to command in training, beyond the simulator's own."""
    perturbations: Tuple[Range, ...]
    robot_facts: Mapping[str, Any]
    """Limits, joint order, geometry and sensors of the machine, as `companion.robots` has them."""
    recipe: RecipeText
    provenance: Provenance
    golden: GoldenVectors
    evaluation: Optional[Mapping[str, Any]] = None
    """What `companion evaluate` found at the end of training."""
    observation_range: Optional[ObservationRange] = None
    branches: Tuple[Branch, ...] = ()
    """What the policy chooses; the numbers of the choices follow the continuous entries in the output vector."""
    is_masked: bool = False
    """Whether the policy has to be told which choices are open."""
    motions: Tuple[CardMotion, ...] = ()
    """What the policy picks its action from; () where it computes it."""
    memory: int = 0
    """Size of a recurrent policy's h and of its c, zeros at the start of an episode; 0 where it remembers nothing."""
    version: int = VERSION

    def __post_init__(self) -> None:
        try:
            size = self.layout.size
        except ValueError as error:
            raise CardError(f"policy card: observation: {error}") from None
        self._check_action()
        self._check_golden(size)
        if self.control_period_s is not None and self.control_period_s <= 0.0:
            raise CardError(f"policy card: control_period_s is {self.control_period_s:g}, must be above 0")
        span = self.observation_range
        if span and not len(span.low) == len(span.high) == size:
            raise CardError(f"policy card: observation_range has not {size} entries")

    def _check_action(self) -> None:
        for entry in self.action:
            if not entry.low < entry.high:
                raise CardError(f"policy card: action '{entry.name}' goes from {entry.low:g} to {entry.high:g}")
        for branch in self.branches:
            if not branch.choices:
                raise CardError(f"policy card: branch '{branch.name}' has no choices")
        if self.is_masked and not self.branches:
            raise CardError("policy card: is_masked is true, but there are no branches")
        if self.memory < 0:
            raise CardError(f"policy card: memory is {self.memory}, must not be below 0")
        for motion in self.motions:
            if len(motion.action) != len(self.action):
                raise CardError(f"policy card: motion '{motion.name}' has not {len(self.action)} entries")

    def _check_golden(self, size: int) -> None:
        if not self.golden.observation or len(self.golden.observation) != len(self.golden.action):
            raise CardError("policy card: golden needs at least one observation, and an action for each")
        for name, rows, entries in (
            ("observation", self.golden.observation, size),
            ("action", self.golden.action, self.action_size),
            ("mask", self.golden.mask, self.mask_size),
        ):
            wrong = next((len(row) for row in rows if len(row) != entries), None)
            if wrong is not None:
                raise CardError(f"policy card: golden.{name} has rows of {wrong} entries, expected {entries}")
        if len(self.golden.mask) != (len(self.golden.observation) if self.is_masked else 0):
            raise CardError("policy card: golden needs a mask for each observation if is_masked, else none")

    @property
    def action_size(self) -> int:
        """Entries of the output vector."""
        return len(self.action) + len(self.branches)

    @property
    def mask_size(self) -> int:
        """Entries of the mask that the policy takes; 0 where it takes none."""
        return sum(len(branch.choices) for branch in self.branches) if self.is_masked else 0

    @property
    def layout(self) -> Layout:
        """The observation layout."""
        return Layout(self.observation)

    def to_command(self, action: NDArray[Any]) -> NDArray[np.float64]:
        """The command `[..., entries]` in physical units for an action's continuous entries, clipped to [-1, 1]."""
        low, high = np.array([(entry.low, entry.high) for entry in self.action]).reshape(-1, 2).T
        return low + (np.clip(action[..., : len(self.action)], -1.0, 1.0) + 1.0) / 2.0 * (high - low)

    def to_json(self) -> str:
        """The card as JSON; every number comes back from it to the last bit.

        Raises:
            CardError: if a number is not finite, or something in a mapping is not plain data; names the field.
        """
        return json.dumps(_plain(self, ""), indent=1, allow_nan=False, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> PolicyCard:
        """The card that `to_json` wrote.

        Raises:
            CardError: if it is no card, of another version, or has a wrong, missing or unknown field; names it.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CardError(f"policy card: not JSON: {error}") from None
        if not isinstance(data, dict):
            raise CardError("policy card: not a JSON object")
        version = data.get("version")
        if version not in (1, VERSION) or isinstance(version, bool):
            raise CardError(f"policy card: version {version!r} is not among 1 and {VERSION}, which are understood here")
        return _read(PolicyCard, _from_version_1(data) if version == 1 else data, "")

    @staticmethod
    def from_metadata(metadata: Mapping[str, str], where: str) -> PolicyCard:
        """The card among an ONNX file's metadata; `where` names the file in errors.

        Raises:
            CardError: if there is none or it can't be read.
        """
        if METADATA_KEY not in metadata:
            raise CardError(f"{where}: no policy card inside (metadata key '{METADATA_KEY}')")
        try:
            return PolicyCard.from_json(metadata[METADATA_KEY])
        except CardError as error:
            raise CardError(f"{where}: {error}") from None


def _from_version_1(data: dict[str, Any]) -> dict[str, Any]:
    """A card of version 1 with what it could not say."""
    golden = data.get("golden")
    return {
        **data,
        "golden": {**golden, "mask": []} if isinstance(golden, dict) else golden,
        "branches": [],
        "is_masked": False,
        "motions": [],
        "memory": 0,
        "version": VERSION,
    }


# --- plain data and back, led by the field types above ---


def _plain(value: Any, place: str) -> Any:
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name), _inside(place, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, _inside(place, str(key))) for key, entry in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist(), place)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry, f"{place}[{index}]") for index, entry in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise CardError(f"policy card: {place} is {value}")
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise CardError(f"policy card: {place} is a {type(value).__name__}, which JSON can't hold")


def _read(kind: Any, data: Any, place: str) -> Any:
    """The data as `kind`: a dataclass, a tuple, a mapping, an optional one of these, or a plain value."""
    if is_dataclass(kind):
        return _read_dataclass(kind, data, place)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Union:
        return None if data is None else _read(inner[0], data, place)
    if origin is tuple:
        return _read_tuple(inner, data, place)
    if origin is not None:  # a mapping
        return {key: _read(inner[1], entry, _inside(place, key)) for key, entry in _expect(dict, data, place).items()}
    if kind is Any:
        return data
    if kind is float:
        return _read_float(data, place)
    return _expect(kind, data, place)


def _read_dataclass(kind: Any, data: Any, place: str) -> Any:
    given = _expect(dict, data, place)
    known = {one.name: one for one in fields(kind)}
    for name in given:
        if name not in known:
            raise CardError(f"policy card: unknown field '{_inside(place, name)}'")
    for name in known:
        if name not in given:
            raise CardError(f"policy card: field '{_inside(place, name)}' is missing")
    types = _types(kind)
    return kind(**{name: _read(types[name], given[name], _inside(place, name)) for name in known})


def _read_tuple(inner: tuple[Any, ...], data: Any, place: str) -> tuple[Any, ...]:
    entries = _expect(list, data, place)
    kinds = [inner[0]] * len(entries) if inner[-1] is Ellipsis else list(inner)
    if len(entries) != len(kinds):
        raise CardError(f"policy card: {place} has {len(entries)} entries, expected {len(kinds)}")
    return tuple(_read(kind, one, f"{place}[{index}]") for index, (kind, one) in enumerate(zip(kinds, entries)))


def _read_float(data: Any, place: str) -> float:
    is_number = isinstance(data, (int, float)) and not isinstance(data, bool)
    if not is_number or not -sys.float_info.max <= data <= sys.float_info.max:
        raise CardError(f"policy card: {place} is {_shown(data)}, expected a finite number")
    return float(data)


def _expect(kind: type, data: Any, place: str) -> Any:
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        words = {dict: "an object", list: "a list", str: "a text", int: "a whole number", bool: "true or false"}
        expected = words.get(kind, kind.__name__)
        raise CardError(f"policy card: {place or 'the card'} is {_shown(data)}, expected {expected}")
    return data


def _shown(data: Any) -> str:
    text = repr(data)
    return text if len(text) < 40 else f"{text[:40]}…"


def _inside(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


@lru_cache(maxsize=None)
def _types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
