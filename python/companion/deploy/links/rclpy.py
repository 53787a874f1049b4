"""rclpy: a node of ROS 2's own, where ROS 2 is installed (source its setup.bash first).

It says and hears what the link 'ros2' does, under the same settings, through whatever middleware this ROS uses.
"""

from __future__ import annotations

import importlib
import os
import time
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Callable, Mapping  # noqa: UP035 (as in all links)

import numpy as np

from companion.deploy.link import Interface, LinkLost, Measurement
from companion.deploy.links._ros_messages import (
    PACKAGES,
    Inbox,
    Settings,
    command_message,
    command_topics,
    sensor_topics,
)

try:
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import QoSProfile, qos_profile_sensor_data
except ImportError:
    raise ImportError(
        "the link 'rclpy' needs ROS 2: source /opt/ros/DISTRO/setup.bash, or use the link 'ros2'"
    ) from None

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RclpyLink", "Settings", "connect"]

MOST_PER_READ = 64


def connect(
    interface: Interface, settings: Settings, clock: Callable[[], float] = time.monotonic, role: str = "runtime"
) -> RclpyLink:
    """A link to a robot that takes commands.

    Raises:
        LinkLost: if nobody subscribes to them in time.
    """
    link = RclpyLink(interface, settings, clock, role)
    end_s = time.monotonic() + settings.connect_timeout_s
    while not link.has_listener():
        if time.monotonic() > end_s:
            topics = command_topics(interface, settings)
            link.close()
            wanted = " or ".join(f"{settings.topic(field)} ({kind})" for kind, field in topics.items())
            raise LinkLost(
                f"nobody on domain {settings.domain} subscribed to {wanted} within {settings.connect_timeout_s:g} s"
            )
        link.spin(0.05)
    return link


class RclpyLink:
    """The runtime's end, as a node of its own context."""

    def __init__(
        self,
        interface: Interface,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        role: str = "runtime",
    ) -> None:
        if settings.network == "loopback":
            os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        self._settings, self._clock = settings, clock
        self._inbox, self._count = Inbox(settings), 0
        self._opened_s = clock()
        self._types = message_types()
        self._context = Context()
        rclpy.init(context=self._context, domain_id=settings.domain)
        self._node: Any = rclpy.create_node(f"companion_{role}", context=self._context)
        self._executor: Any = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        for field, kind in sensor_topics(interface, settings.person_from).items():
            self._node.create_subscription(
                message_class(kind), settings.topic(field), self._listener(field), qos_profile_sensor_data
            )
        self._commands = command_topics(interface, settings)
        self._publishers: dict[str, Any] = {}

    @property
    def refused(self) -> Counter[str]:
        """What came in and could not be used, counted by its reason."""
        return self._inbox.refused

    def has_listener(self) -> bool:
        """Whether somebody takes commands; from then on they go there, in the message that he wants."""
        for kind, field in self._commands.items():
            topic = self._settings.topic(field)
            found = self._node.get_subscriptions_info_by_topic(topic)
            if kind not in self._publishers and any(one.topic_type == full_name(kind) for one in found):
                self._publishers[kind] = self._node.create_publisher(message_class(kind), topic, QoSProfile(depth=1))
        return any(publisher.get_subscription_count() for publisher in self._publishers.values())

    def spin(self, timeout_s: float = 0.0) -> None:
        """Take in what waits; for this long at most, if nothing does."""
        for _ in range(MOST_PER_READ):
            before = self._count
            self._executor.spin_once(timeout_sec=timeout_s)
            timeout_s = 0.0
            if self._count == before:
                return

    def read(self) -> Mapping[str, Measurement]:
        """The newest measurement of every quantity that has come in so far; never waits."""
        self.spin()
        silent_s = self._clock() - max(self._inbox.heard_s, self._opened_s)
        if silent_s > self._settings.lost_after_s:
            raise LinkLost(f"no sensor was heard on domain {self._settings.domain} for {silent_s:.1f} s")
        return self._inbox.measured()

    def send(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        """Send a command `[entries]`; it goes as it is, in float64."""
        now_s = self._node.get_clock().now().nanoseconds * 1e-9
        for kind, publisher in self._publishers.items():
            publisher.publish(command_message(self._types, kind, command, self._settings, now_s))
        return np.array(command, np.float64)

    def close(self) -> None:
        """Leave the domain."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _listener(self, field: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            self._count += 1
            self._inbox.take(field, message, self._clock())

        return take


def full_name(kind: str) -> str:
    """As `geometry_msgs/msg/Twist`."""
    package = next(package for package, kinds in PACKAGES.items() if kind in kinds)
    return f"{package}/msg/{kind}"


def message_class(kind: str) -> Any:
    """A message's class."""
    package, _, name = full_name(kind).split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def message_types() -> Any:
    """The message classes, made from their fields in order: rclpy's own want each by its name."""

    def maker(kind: str) -> Callable[..., Any]:
        made = message_class(kind)
        names = list(made.get_fields_and_field_types())
        return lambda *values: made(**dict(zip(names, values)))  # noqa: B905 (as many as there are)

    return SimpleNamespace(**{kind: maker(kind) for kinds in PACKAGES.values() for kind in kinds})
