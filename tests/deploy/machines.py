"""Robots for tests of the runtime: they measure on every tick, stand where they are put, and do exactly as told."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.deploy.actor import OnnxActor
from companion.deploy.link import Measurement
from companion.policy_card import PolicyCard

MODELS = Path(__file__).parents[2] / "exported_models"
READY = np.array((0.0, -1.75, 1.95, -1.77, -1.57, 0.0))


@lru_cache
def card_of(task: str) -> PolicyCard:
    return OnnxActor(MODELS / f"{task}.onnx").card


class Machine:
    """A link to a robot whose measurements tests write into `values`; its clock is 1000 s ahead."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = {name: np.array(value, np.float64) for name, value in values.items()}
        self.silent: set[str] = set()
        self.commands: list[NDArray[np.float64]] = []
        self.now_s, self.closed = 0.0, False
        self._latest: dict[str, Measurement] = {}

    def read(self) -> dict[str, Measurement]:
        for name, values in self.values.items():
            if name not in self.silent:
                self._latest[name] = Measurement(values.copy(), self.now_s + 1000.0, self.now_s)
        return dict(self._latest)

    def send(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        self.commands.append(np.array(command))
        return command

    def close(self) -> None:
        self.closed = True


def turtlebot(ahead_m: float = 3.0) -> Machine:
    """Before a wall that is so far ahead of its middle, with nothing else around."""
    return Machine({"scan": wall(ahead_m), "pose_room": (0, 0, 0), "velocity": (0, 0), "goal_position_room": (2, 0)})


def arm() -> Machine:
    return Machine(
        {"joint_position": READY, "joint_velocity": np.zeros(6), "target_position_base": (0.5, 0.2, 0.3)}
    )  # fmt: skip


def wall(ahead_m: float, lidar_x_m: float = -0.032) -> NDArray[np.float64]:
    """What a scanner of 3.5 m sees of a straight wall across the robot's way."""
    bearing = np.arange(360) * (2 * np.pi / 360)
    with np.errstate(divide="ignore"):
        ranges = (ahead_m - lidar_x_m) / np.cos(bearing)
    return np.where((ranges > 0) & (ranges < 3.5), ranges, 3.5)
