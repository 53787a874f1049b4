"""recorded: a rosbag as the robot, for shadow runs: what it measured comes again in its own time, commands go nowhere.

Any bag that `rosbags` reads: ROS 2's sqlite3 and mcap, ROS 1's .bag. `pip install rosbags`.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping  # noqa: UP035 (as in all links)

import numpy as np

from companion.deploy.link import Interface, LinkLost, Measurement
from companion.deploy.links._ros_messages import Inbox, sensor_topics
from companion.deploy.links._ros_messages import Settings as Topics

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Settings:
    """Which bag, and under which topics the robot spoke."""

    bag: str = ""
    """A bag's folder, or a .bag file."""
    box: str = ""
    """Instead of it a black box, which `companion deploy` replays by itself (`deploy/replay.py`)."""
    speed: float = 1.0
    """Times as fast as it was recorded."""
    scan: str = "scan"
    odometry: str = "odom"
    goal: str = "goal_pose"
    joints: str = "joint_states"
    target: str = "target"
    joy: str = "joy"
    person_distance: str = "person_distance"
    contact: str = "contact"


def connect(
    interface: Interface, settings: Settings, clock: Callable[[], float] = time.monotonic, role: str = "runtime"
) -> RecordedLink:
    """A link to the recording.

    Raises:
        ValueError: if there is no such bag, it can't be read, or nothing that is needed is in it.
    """
    if not settings.bag:
        raise ValueError("the link 'recorded' needs bag=… (or box=…, which `companion deploy` replays)")
    return RecordedLink(interface, settings, clock)


class RecordedLink:
    """Plays the bag from the first `read` on; `sent` keeps what the robot would have been told."""

    def __init__(self, interface: Interface, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        if not 0 < settings.speed < float("inf"):
            raise ValueError(f"speed={settings.speed:g} must be above 0")
        self.sent: list[NDArray[np.float64]] = []
        self._speed, self._clock = settings.speed, clock
        self._inbox = Inbox()
        self._bag = Path(settings.bag)
        self._reader = _open(self._bag)
        topics = Topics(**{one.name: getattr(settings, one.name) for one in fields(settings)[3:]})
        self._fields = {topics.topic(field): field for field in sensor_topics(interface)}
        self._messages = self._played()
        self._waiting = next(self._messages, None)
        if self._waiting is None:
            self.close()
            raise ValueError(f"{self._bag}: none of the topics {', '.join(self._fields)} is in it")
        self._first_s = self._waiting[0]
        self._began_s: float | None = None

    @property
    def refused(self) -> Counter[str]:
        """What was recorded and could not be used, counted by its reason."""
        return self._inbox.refused

    def read(self) -> Mapping[str, Measurement]:
        """What the robot had measured by now.

        Raises:
            LinkLost: at the recording's end.
        """
        now_s = self._clock()
        self._began_s = now_s if self._began_s is None else self._began_s
        played_to_s = self._first_s + (now_s - self._began_s) * self._speed
        if self._waiting is None:
            raise LinkLost(f"{self._bag} is at its end")
        while self._waiting is not None and self._waiting[0] <= played_to_s:
            self._inbox.take(self._waiting[1], self._waiting[2], now_s)
            self._waiting = next(self._messages, None)
        return self._inbox.measured()

    def send(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        """Keep the command; nobody obeys."""
        self.sent.append(np.array(command, np.float64))
        return self.sent[-1]

    def close(self) -> None:
        """Close the bag."""
        self._reader.close()

    def _played(self) -> Iterator[tuple[float, str, Any]]:
        """When it was recorded, the setting's name of its topic, and the message, in order."""
        connections = [one for one in self._reader.connections if one.topic in self._fields]
        if not connections:
            return
        for connection, time_ns, data in self._reader.messages(connections=connections):
            message = self._reader.deserialize(data, connection.msgtype)
            yield time_ns * 1e-9, self._fields[connection.topic], message


def _open(bag: Path) -> Any:
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise ImportError("the link 'recorded' needs rosbags: pip install -c constraints.txt rosbags") from None
    if not bag.exists():
        raise ValueError(f"{bag}: no such bag")
    try:
        # Bags of before Iron hold no definitions of their messages; Humble's are the same for all of ours.
        reader = AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
        reader.open()
    except (AnyReaderError, OSError) as error:
        raise ValueError(f"{bag}: {error}") from None
    return reader
