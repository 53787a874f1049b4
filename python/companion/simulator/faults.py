"""What goes wrong between a robot and its runtime, injected on purpose, between a robot and any wire.

A channel delays, jitters and loses messages; faults of a time and a sensor spoil what is in them. A fault is written
`KIND[=VALUE][:SENSOR]@START[..END]` in seconds of the robot's time: `nan:scanner@5..7`, `clock=-1@10`, `hang@8`.
"""

import heapq
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar, get_args

import numpy as np

from companion.menu import no_such
from companion.simulator.robot import Reading

Kind = Literal["drop", "nan", "frozen_stamp", "clock", "wrong_type", "deaf", "hang", "kill", "restart"]
"""drop: nothing comes from the sensor. nan: its values are not numbers. frozen_stamp: its clock stands. clock: the
robot's clock is off by VALUE s. wrong_type: something else comes under the sensor's name. deaf: no command reaches the
robot. hang: the robot's process neither sends nor listens, while the robot itself goes on. kill: it does so for good.
restart: the robot stops, its process forgets whom it knew and says nothing for VALUE s."""
NEEDS_VALUE = ("clock", "restart")
_SECONDS = r"\d+(?:\.\d+)?"
_FAULT = re.compile(
    rf"(?P<kind>\w+?)(?:=(?P<value>[-+]?{_SECONDS}))?(?::(?P<sensor>\w+))?@(?P<start>{_SECONDS})(?:\.\.(?P<end>{_SECONDS}))?$"
)


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong for a while."""

    kind: Kind
    start_s: float
    end_s: float = math.inf
    sensor: str = ""
    """Which; "" is all of them."""
    value: float = 0.0

    def hits(self, now_s: float, sensor: str = "") -> bool:
        """Whether it is at work now, at this sensor."""
        return self.start_s <= now_s < self.end_s and self.sensor in ("", sensor)


def parse_fault(text: str) -> Fault:
    """A fault as it is written.

    Raises:
        ValueError: if it is not written so; says what is wrong and what there is.
    """
    found = re.match(r"(?P<kind>\w+)", text)
    if found is None or found["kind"] not in get_args(Kind):
        raise ValueError(no_such("fault", text, get_args(Kind)))
    match = _FAULT.match(text)
    if match is None:
        raise ValueError(f"the fault '{text}' must read KIND[=VALUE][:SENSOR]@START[..END], as nan:scanner@5..7")
    kind: Kind = match["kind"]  # pyright: ignore[reportAssignmentType] (checked above)
    start, end, value = (match[name] for name in ("start", "end", "value"))
    fault = Fault(kind, float(start), float(end or "inf"), match["sensor"] or "", float(value or 0.0))
    if kind in NEEDS_VALUE and not value:
        raise ValueError(f"the fault '{text}' needs a value in seconds, as {kind}=1@{start}")
    return fault


@dataclass(frozen=True)
class Channel:
    """What one way between robot and runtime does to messages."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Standard deviation of the delay; messages may overtake each other."""
    loss: float = 0.0
    """Share of messages that never come."""
    burst: float = 1.0
    """How many are lost in a row, on average; 1 where each is lost or not for itself."""

    def __post_init__(self) -> None:
        for name in ("delay_s", "jitter_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name):g} must be at least 0")
        if not 0 <= self.loss < 1:
            raise ValueError(f"loss={self.loss:g} must be at least 0 and below 1")
        if not 1 <= self.burst < math.inf:
            raise ValueError(f"burst={self.burst:g} must be at least 1")


Message = TypeVar("Message")


class Way(Generic[Message]):
    """One way: what is put in comes out later, or never (Gilbert, Bell System Technical Journal 39, 1960)."""

    def __init__(self, channel: Channel, seed: int = 0) -> None:
        self._channel = channel
        self._random = np.random.default_rng(seed)
        self._under_way: list[tuple[float, int, Message]] = []
        self._count = 0
        self._is_bad = False

    def put(self, message: Message, now_s: float) -> None:
        """Send a message."""
        channel = self._channel
        # Of a chain of two states, in the bad one of which all is lost: it is left after `burst` messages on average.
        leave = min(1 / channel.burst, 1 - channel.loss)
        enter = leave * channel.loss / (1 - channel.loss)
        self._is_bad = self._random.random() < (1 - leave if self._is_bad else enter)
        if not self._is_bad:
            delay_s = max(0.0, channel.delay_s + channel.jitter_s * self._random.standard_normal())
            self._count += 1
            heapq.heappush(self._under_way, (now_s + delay_s, self._count, message))

    def arrived(self, now_s: float) -> list[Message]:
        """What has arrived by now, in the order of arrival."""
        found = []
        while self._under_way and self._under_way[0][0] <= now_s + 1e-9:
            found.append(heapq.heappop(self._under_way)[2])
        return found


@dataclass(frozen=True)
class Plan:
    """All that goes wrong in a run."""

    channel: Channel = field(default_factory=Channel)
    """Both ways are like that."""
    faults: tuple[Fault, ...] = ()

    def hits(self, kind: Kind, now_s: float, sensor: str = "") -> bool:
        """Whether such a fault is at work now."""
        return any(fault.kind == kind and fault.hits(now_s, sensor) for fault in self.faults)

    def is_out(self, now_s: float) -> bool:
        """Whether the robot's process neither sends nor listens now."""
        restarting = any(
            fault.kind == "restart" and fault.start_s <= now_s < fault.start_s + fault.value for fault in self.faults
        )
        return restarting or self.hits("hang", now_s) or self.hits("kill", now_s)

    def clock_offset_s(self, now_s: float) -> float:
        """By how much the robot's clock is off."""
        return sum(fault.value for fault in self.faults if fault.kind == "clock" and fault.hits(now_s))


class FaultyWire(Generic[Message]):
    """Stands between a robot and its wire: readings go out through it, commands come in."""

    def __init__(self, plan: Plan, seed: int = 0) -> None:
        self._plan = plan
        self._out: Way[Reading] = Way(plan.channel, seed * 2)
        self._in: Way[Message] = Way(plan.channel, seed * 2 + 1)
        self._frozen: dict[str, float] = {}
        self._has_restarted = False

    def restarts(self, now_s: float) -> bool:
        """Whether the robot's process restarts just now: then it forgets whom it knew, and its motors stand."""
        begins = self._plan.hits("restart", now_s) and not self._has_restarted
        self._has_restarted |= begins
        return begins

    def outgoing(self, readings: Sequence[Reading], now_s: float) -> list[Reading]:
        """What reaches the wire now, of these and of earlier ones."""
        for reading in readings:
            if not self._plan.hits("drop", now_s, reading.sensor):
                self._out.put(self._spoilt(reading, now_s), now_s)
        arrived = self._out.arrived(now_s)
        return [] if self._plan.is_out(now_s) else arrived

    def incoming(self, commands: Sequence[Message], now_s: float) -> list[Message]:
        """What reaches the robot now, of these and of earlier ones."""
        is_out = self._plan.is_out(now_s)
        for command in [] if is_out or self._plan.hits("deaf", now_s) else commands:
            self._in.put(command, now_s)
        if self._plan.hits("hang", now_s):  # what is under way waits at its door
            return []
        arrived = self._in.arrived(now_s)
        return [] if is_out else arrived

    def is_wrong_type(self, sensor: str, now_s: float) -> bool:
        """Whether this sensor's readings go out as something else now."""
        return self._plan.hits("wrong_type", now_s, sensor)

    def _spoilt(self, reading: Reading, now_s: float) -> Reading:
        if self._plan.hits("nan", now_s, reading.sensor):
            values = {name: np.full_like(value, np.nan) for name, value in reading.values.items()}
            reading = replace(reading, values=values)
        stamp_s = reading.stamp_s + self._plan.clock_offset_s(now_s)
        if self._plan.hits("frozen_stamp", now_s, reading.sensor):
            stamp_s = self._frozen.setdefault(reading.sensor, stamp_s)
        else:
            self._frozen.pop(reading.sensor, None)
        return replace(reading, stamp_s=stamp_s)
