"""The other end of a link: what a simulated robot listens to and speaks through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping, Protocol  # noqa: UP035 (the edge bundle runs on Python 3.8)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Taken:
    """A command that a robot has taken."""

    values: NDArray[np.float64]
    """`[entries]`; zeros where it is a stop."""
    is_stop: bool = False
    """The robot is to stand, or to stay where it is, at once."""
    over_s: float = 0.0
    """The values are to be reached evenly within this time."""


class RobotEnd(Protocol):
    """A robot's own end of a wire."""

    @property
    def where(self) -> str:
        """For a person: where it listens."""
        ...

    def commands(self) -> list[Taken]:
        """What has come in since the last call, in the order in which it came; never waits."""
        ...

    def publish(self, values: Mapping[str, NDArray[Any]], stamp_s: float) -> None:
        """Send what one sensor measured, by the quantities' names, with the robot's time of it."""
        ...

    def publish_wrong(self, values: Mapping[str, NDArray[Any]], stamp_s: float) -> None:
        """Send something else under the same names: a fault, on purpose."""
        ...

    def restart(self) -> None:
        """Forget whom it knew, as a robot does whose power was cut."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...
