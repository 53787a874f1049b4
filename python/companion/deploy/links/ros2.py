"""ros2: talks to ROS 2 over DDS by cyclonedds, on machines that have no ROS. `pip install cyclonedds`.

Topics are told and heard under the names and types that ROS 2's own nodes use, so that a robot's bringup, RViz and
rosbag see the runtime as a node. Whether a base wants Twist (Humble) or TwistStamped (Jazzy and later) is found out
from what it subscribes to.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Callable, Mapping  # noqa: UP035 (as in all links)

import numpy as np

from companion.deploy.link import Interface, LinkLost, Measurement
from companion.deploy.links._robot_end import Taken
from companion.deploy.links._ros_messages import (
    Inbox,
    Settings,
    UnusableError,
    command_message,
    command_topics,
    sensor_message,
    sensor_topics,
    taken_of,
)

try:
    from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsSubscription
    from cyclonedds.core import DDSException
    from cyclonedds.domain import Domain, DomainParticipant
    from cyclonedds.pub import DataWriter
    from cyclonedds.qos import Policy, Qos
    from cyclonedds.sub import DataReader
    from cyclonedds.topic import Topic
    from cyclonedds.util import duration
except ImportError:
    raise ImportError("the link 'ros2' needs cyclonedds: pip install -c constraints.txt cyclonedds") from None

from companion.deploy.links import _dds_types

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RobotSettings", "Ros2Link", "Ros2Robot", "Settings", "connect", "listen"]

RobotSettings = Settings
MOST_PER_READ = 64
_TYPES: Any = _dds_types
# Fast DDS 3 (Kilted) sends type descriptions that cyclonedds takes for invalid; without this, messages with sequences
# in them never match. 1.15 is eProsima's vendor number.
_COMPATIBILITY = "<Compatibility><IgnoreTypeInformation>1.15</IgnoreTypeInformation></Compatibility>"
_LOOPBACK = (
    '<General><AllowMulticast>false</AllowMulticast><Interfaces><NetworkInterface name="lo" multicast="false"/>'
    "</Interfaces></General><Discovery><ParticipantIndex>auto</ParticipantIndex>"
    "<MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>"
    '<Peers><Peer address="127.0.0.1"/></Peers></Discovery>'
)
_DOMAINS: dict[int, Any] = {}
"""One process may describe a domain once; the descriptions live as long as it does."""


def connect(
    interface: Interface, settings: Settings, clock: Callable[[], float] = time.monotonic, role: str = "runtime"
) -> Ros2Link:
    """A link to a robot that takes commands.

    Raises:
        LinkLost: if nobody subscribes to them in time.
    """
    link = Ros2Link(interface, settings, clock)
    end_s = time.monotonic() + settings.connect_timeout_s
    while not link.has_listener():
        if time.monotonic() > end_s:
            topics = command_topics(interface, settings)
            wanted = " or ".join(f"{settings.topic(field)} ({kind})" for kind, field in topics.items())
            link.close()
            raise LinkLost(
                f"nobody on domain {settings.domain} ({settings.network}) subscribed to {wanted}"
                f" within {settings.connect_timeout_s:g} s"
            )
        time.sleep(0.02)
    return link


def listen(interface: Interface, settings: Settings) -> Ros2Robot:
    """A simulated robot's end."""
    return Ros2Robot(interface, settings)


class Ros2Link:
    """The runtime's end: reads what the robot publishes, best effort, and commands it reliably."""

    def __init__(self, interface: Interface, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._interface = interface
        self._inbox = Inbox(settings)
        self._opened_s = clock()
        self._participant: Any = participant(settings)
        self._readers = {
            field: make_reader(self._participant, settings.topic(field), kind)
            for field, kind in sensor_topics(interface, settings.person_from).items()
        }
        self._commands = command_topics(interface, settings)
        self._subscriptions: Any = BuiltinDataReader(self._participant, BuiltinTopicDcpsSubscription)
        self._writers: dict[str, Any] = {}

    @property
    def refused(self) -> Counter[str]:
        """What came in and could not be used, counted by its reason."""
        return self._inbox.refused

    def has_listener(self) -> bool:
        """Whether somebody takes commands; from then on they go there, in the message that he wants."""
        self._look_for_listeners()
        return any(writer.get_matched_subscriptions() for writer in self._writers.values())

    def read(self) -> Mapping[str, Measurement]:
        """The newest measurement of every quantity that has come in so far; never waits."""
        self._look_for_listeners()
        for field, door in self._readers.items():
            for message in taken(door, self.refused):
                self._inbox.take(field, message, self._clock())
        silent_s = self._clock() - max(self._inbox.heard_s, self._opened_s)
        if silent_s > self._settings.lost_after_s:
            topics = ", ".join(self._settings.topic(field) for field in self._readers)
            raise LinkLost(f"nothing came on {topics} (domain {self._settings.domain}) for {silent_s:.1f} s")
        return self._inbox.measured()

    def send(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        """Send a command `[entries]`; it goes as it is, in float64."""
        try:
            for kind, writer in self._writers.items():
                # A robot looks at the time of a command by the clock that all of ROS goes by.
                writer.write(command_message(_TYPES, kind, command, self._settings, time.time()))
        except DDSException as error:
            raise LinkLost(f"domain {self._settings.domain}: {error}") from None
        return np.array(command, np.float64)

    def close(self) -> None:
        """Leave the domain."""
        self._readers.clear()
        self._writers.clear()
        self._subscriptions = self._participant = None

    def _look_for_listeners(self) -> None:
        """Found out anew all the time, for the robot may be started after the runtime, and anew."""
        try:
            found = self._subscriptions.take(N=MOST_PER_READ)
        except DDSException:
            return
        for endpoint in found:
            for kind, field in self._commands.items():
                wanted = ("rt" + self._settings.topic(field), dds_name(kind))
                if (endpoint.topic_name, endpoint.type_name) == wanted and kind not in self._writers:
                    self._writers[kind] = make_writer(self._participant, self._settings.topic(field), kind)


class Ros2Robot:
    """A simulated robot's end: publishes as a TurtleBot3's or a UR5e's driver does, and takes what they take.

    A base subscribes to Twist and to TwistStamped where no `kinds` are given, so that either will do.
    """

    def __init__(self, interface: Interface, settings: Settings, kinds: tuple[str, ...] = ()) -> None:
        self.refused: Counter[str] = Counter()
        self._interface, self._settings = interface, settings
        topics = command_topics(interface, settings)
        self._kinds = {kind: settings.topic(field) for kind, field in topics.items() if not kinds or kind in kinds}
        self._wrong: tuple[Any, dict[str, Any]] | None = None
        self._open()

    @property
    def where(self) -> str:
        """Domain and topics."""
        return (
            f"domain {self._settings.domain} ({self._settings.network}), {', '.join(sorted({*self._kinds.values()}))}"
        )

    def commands(self) -> list[Taken]:
        """What has come in since the last call; never waits."""
        found = [
            self._command_of(kind, message)
            for kind, door in self._doors.items()
            for message in taken(door, self.refused)
        ]
        return [command for command in found if command is not None]

    def publish(self, values: Mapping[str, NDArray[Any]], stamp_s: float) -> None:
        """Send what one sensor measured."""
        field, message = sensor_message(_TYPES, values, stamp_s)
        if field not in self._writers:
            self._writers[field] = make_writer(self._participant, self._settings.topic(field), type(message).__name__)
        self._writers[field].write(message)

    def publish_wrong(self, values: Mapping[str, NDArray[Any]], stamp_s: float) -> None:
        """Send a message of another type on the same topic."""
        field, _ = sensor_message(_TYPES, values, stamp_s)
        if self._wrong is None:  # one participant can't have one topic with two types
            self._wrong = participant(self._settings), {}
        other, writers = self._wrong
        if field not in writers:
            writers[field] = make_writer(other, self._settings.topic(field), "Float64MultiArray")
        writers[field].write(_TYPES.Float64MultiArray(_TYPES.MultiArrayLayout([], 0), [1.0]))

    def restart(self) -> None:
        """Leave the domain and come again."""
        self.close()
        self._open()

    def close(self) -> None:
        """Leave the domain."""
        self._doors.clear()
        self._writers.clear()
        self._wrong = self._participant = None

    def _open(self) -> None:
        self._participant: Any = participant(self._settings)
        self._writers: dict[str, Any] = {}
        # As turtlebot3_node and the controllers subscribe. Two types of one topic need two participants.
        self._doors = {
            kind: make_reader(
                participant(self._settings) if index else self._participant, topic, kind, is_reliable=True
            )
            for index, (kind, topic) in enumerate(self._kinds.items())
        }

    def _command_of(self, kind: str, message: Any) -> Taken | None:
        try:
            command = taken_of(kind, message)
        except UnusableError as reason:
            self.refused[str(reason)] += 1
            return None
        if command.values.shape != (self._interface.command.size,) or not np.isfinite(command.values).all():
            self.refused["not_finite"] += 1
            return None
        return command


def participant(settings: Settings) -> Any:
    """A node's place in a domain; CYCLONEDDS_URI, where set, goes before our own configuration of the network."""
    if settings.domain not in _DOMAINS and not os.environ.get("CYCLONEDDS_URI"):
        inside = (_LOOPBACK if settings.network == "loopback" else "") + _COMPATIBILITY
        _DOMAINS[settings.domain] = Domain(
            settings.domain, f'<CycloneDDS><Domain id="{settings.domain}">{inside}</Domain></CycloneDDS>'
        )
    return DomainParticipant(settings.domain)


def make_reader(place: Any, topic: str, kind: str, *, is_reliable: bool = False) -> Any:
    """Best effort takes what either kind of writer sends; commands are taken reliably."""
    reliability = Policy.Reliability.Reliable(duration(milliseconds=100)) if is_reliable else _BEST_EFFORT
    return DataReader(place, Topic(place, "rt" + topic, _class(kind)), Qos(reliability, Policy.History.KeepLast(10)))


def make_writer(place: Any, topic: str, kind: str) -> Any:
    """Reliable, so that either kind of reader takes it; it never waits, and keeps only what is newest."""
    reliable = Policy.Reliability.Reliable(duration(milliseconds=0))
    return DataWriter(place, Topic(place, "rt" + topic, _class(kind)), Qos(reliable, Policy.History.KeepLast(1)))


def taken(door: Any, refused: Counter[str]) -> list[Any]:
    """The valid samples that wait at a reader; a writer's end comes as an invalid one."""
    try:
        return [sample for sample in door.take(N=MOST_PER_READ) if sample.sample_info.valid_data]
    except DDSException:
        return []
    except Exception:  # whatever cyclonedds raises on bytes that are none of that type
        refused["torn"] += 1
        return []


def dds_name(kind: str) -> str:
    """The name that a message's type has in DDS."""
    return _class(kind).__idl_typename__


def _class(kind: str) -> Any:
    return getattr(_TYPES, kind)


_BEST_EFFORT = Policy.Reliability.BestEffort
