"""The part of a task that lives in the simulator: it starts episodes, drives and measures, for many copies at once.

A scene is plain numpy over the arrays of `Physics`; MuJoCo, its threads, delays and time limits are the simulator's.
`which` is a slice for all copies or an index array for some.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Which: TypeAlias = slice | NDArray[np.intp]
Floats: TypeAlias = NDArray[np.float64]
ALL = slice(None)


@dataclass
class Physics:
    """MuJoCo's side of all copies; a scene reads and writes these arrays in place."""

    position: Floats
    """Generalised positions `[copies, nq]`."""
    velocity: Floats
    """Generalised velocities `[copies, nv]`."""
    control: Floats
    """Actuator controls of the coming decision `[copies, substeps, nu]`."""
    mocap_position: Floats
    """World positions of the mocap bodies in the coming decision `[copies, substeps, nmocap, 3]`, m."""
    mocap_quaternion: Floats
    """Their orientations, w first `[copies, substeps, nmocap, 4]`."""
    sensor: Floats
    """Sensor readings of the last decision's physics steps `[copies, substeps, nsensordata]`."""


@dataclass(frozen=True)
class ModelEdit:
    """Values for some rows of one MjModel array, in each of the copies that start an episode."""

    field: str
    """Name of the MjModel array, as `body_mass`; its first word says of which kind the elements are (dof: joint)."""
    elements: tuple[str, ...]
    """The named elements that get the values."""
    values: Floats
    """`[starting copies, elements, …]`."""


@dataclass(frozen=True)
class Ends:
    """Which copies came to a true end, and which of these with success; bool `[copies]`."""

    terminated: NDArray[np.bool_]
    success: NDArray[np.bool_]


@dataclass(frozen=True)
class Names:
    """Where named things stand in MuJoCo's arrays."""

    mocap: Mapping[str, int]
    """Row of a mocap body among the mocap bodies."""
    nominal: Callable[[str, tuple[str, ...]], Floats]
    """`nominal(field, elements)`: rows of an MjModel array of the undisturbed model, `[elements, …]`."""


State = TypeVar("State")


def rows_of(arrays: State, which: Which) -> State:
    """These copies' rows of a dataclass of arrays over copies."""
    return type(arrays)(*(values[which] for values in vars(arrays).values()))


def write_rows(arrays: State, which: Which, rows: State) -> None:
    """Put rows into these copies of a dataclass of arrays over copies."""
    for name, values in vars(rows).items():
        getattr(arrays, name)[which] = values


def flat_arrays(arrays: Any) -> dict[str, NDArray[Any]]:
    """All arrays of a dataclass, and of the dataclasses in it, by dotted name; not copied."""
    flat = {}
    for name, value in vars(arrays).items():
        inner = {"": value} if isinstance(value, np.ndarray) else flat_arrays(value)
        flat.update({f"{name}.{rest}" if rest else name: array for rest, array in inner.items()})
    return flat


class Scene(Protocol):
    """What the simulator asks of a task."""

    state: Any
    """A dataclass of arrays over copies, or of such dataclasses: all that the scene remembers between steps."""

    def mjcf(self) -> str:
        """The MuJoCo model."""
        ...

    def allocate(self, copies: int, names: Names) -> None:
        """Make the state for so many copies."""
        ...

    def start(
        self, which: NDArray[np.intp], physics: Physics, perturbation: Mapping[str, Floats], random: np.random.Generator
    ) -> list[ModelEdit]:
        """Begin episodes: write `physics` and the state of these copies. `perturbation[name]` is `[len(which)]`."""
        ...

    def drive(self, physics: Physics, action: Floats, random: np.random.Generator) -> None:
        """Turn the action `[copies, n]` in [-1, 1] that takes effect now into controls and mocap poses."""
        ...

    def measure(self, which: Which, physics: Physics, random: np.random.Generator) -> dict[str, Floats]:
        """All of the task's own signals, `[k, size]` each."""
        ...

    def ends(self, signals: Mapping[str, Floats]) -> Ends:
        """Judge the signals of a step."""
        ...
