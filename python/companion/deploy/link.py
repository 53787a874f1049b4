"""The door between the runtime and a machine: what comes in is measured, what goes out is a command in physical units.

A link is one file under `deploy/links/`. Links that need a simulator live above this room and satisfy the same door.
What a robot measures and takes is its `Interface`; the names and sizes in it are the same on every wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Mapping, Protocol  # noqa: UP035 (the edge bundle runs on Python 3.8)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Quantity:
    """Something measured or commanded, under the name that it has on every wire."""

    name: str
    size: int
    """Entries."""
    unit: str
    """SI unit of every entry, or one unit for each, separated by commas."""


@dataclass(frozen=True)
class Interface:
    """What one kind of robot measures and what it is told, whatever the wire."""

    robot: str
    measured: tuple[Quantity, ...]
    command: Quantity
    holds_by: str = ""
    """The measured quantity which, sent as the command, makes the robot stay where it is; "" where zeros stop it."""
    optional: tuple[Quantity, ...] = ()
    """What some of these robots measure besides; the runtime uses it where it comes, and does without where not."""


PERSON_DISTANCE = Quantity("person_distance", 1, "m")
"""From the robot's nearest part to the nearest person; where nobody is, the greatest that the sensor can tell."""
OPERATOR = Quantity("operator", 3, "1, 1, 1")
"""The enabling switch is held, the emergency stop is pressed, the reset is pressed; each 1 or 0."""
CONTACT = Quantity("contact", 1, "1")
"""1 while a bumper or a contact sensor is pressed, else 0."""


TURTLEBOT3 = Interface(
    robot="turtlebot3",
    measured=(
        # Ray 0 straight ahead, then counter-clockwise; where nothing came back it is the scanner's greatest range.
        Quantity("scan", 360, "m"),
        # Where localisation sees the robot: x, y and yaw in the frame in which the goal stands.
        Quantity("pose_room", 3, "m, m, rad"),
        # Forward and turning speed from odometry.
        Quantity("velocity", 2, "m/s, rad/s"),
        Quantity("goal_position_room", 2, "m"),
    ),
    command=Quantity("velocity", 2, "m/s, rad/s"),
    optional=(PERSON_DISTANCE, OPERATOR, CONTACT),
)
UR5E = Interface(
    robot="ur5e",
    measured=(
        # Both in ROS 2's joint order, that of `companion.robots.ur5e`.
        Quantity("joint_position", 6, "rad"),
        Quantity("joint_velocity", 6, "rad/s"),
        # As the camera sees it, in base_link.
        Quantity("target_position_base", 3, "m"),
    ),
    # Where the joints are to be; a robot that is told where it is stays there.
    command=Quantity("joint_position", 6, "rad"),
    holds_by="joint_position",
    optional=(PERSON_DISTANCE, OPERATOR, CONTACT),
)
INTERFACES = {interface.robot: interface for interface in (TURTLEBOT3, UR5E)}


@dataclass(frozen=True)
class Measurement:
    """The newest value of one measured quantity, as the robot gave it; nothing about it is to be trusted yet."""

    values: NDArray[np.float64]
    """`[size]`, in the unit that the robot's profile gives."""
    stamp_s: float
    """When it was measured, by the robot's clock, s."""
    arrived_s: float
    """When it came in, by the runtime's own clock, s."""


class LinkLost(ConnectionError):  # noqa: N818 (what happened, in the words of the pages)
    """The machine can't be reached any more; the message says which and why, in one line."""


class Link(Protocol):
    """A connection to one robot, real or simulated."""

    def read(self) -> Mapping[str, Measurement]:
        """The newest measurement of every quantity that has come in so far, by its name; never waits.

        Raises:
            LinkLost: if nothing can come in any more.
        """
        ...

    def send(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        """Send a command `[entries]` in physical units; what was really sent, after the link's own rounding or cuts.

        Raises:
            LinkLost: if it can't be sent.
        """
        ...

    def close(self) -> None:
        """Give the connection back. It sends nothing: stopping the robot is the runtime's business, before this."""
        ...
