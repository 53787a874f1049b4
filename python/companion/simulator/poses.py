"""What an episode looked like, as signals: enough to draw its scene again without its physics."""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from companion.signals import POSE, Signal
from companion.tasks import Task
from companion.tasks._scene import Floats, Physics


def pose_signals(model: mujoco.MjModel) -> tuple[Signal, ...]:
    """What has to be known of a scene to draw it: where everything stands, and how large it is in this episode."""
    wanted = (
        Signal(f"{POSE}position", model.nq, "m, rad", "Generalised positions, as in MuJoCo's qpos."),
        Signal(f"{POSE}mocap_position", 3 * model.nmocap, "m", "Where the posed bodies stand in the world."),
        Signal(f"{POSE}mocap_quaternion", 4 * model.nmocap, "1", "How they are turned in the world, w first."),
        Signal(f"{POSE}geom_size", 3 * model.ngeom, "m", "Sizes of all geoms, as in MuJoCo's geom_size."),
    )
    return tuple(signal for signal in wanted if signal.size)


class Poses:
    """Reads these signals off the first copies of many."""

    def __init__(self, model: mujoco.MjModel, copies: int) -> None:
        self.signals = pose_signals(model)
        self.copies = copies
        self._sizes = np.tile(model.geom_size.ravel(), (copies, 1))

    def remember_sizes(self, which: NDArray[np.intp], models: list[mujoco.MjModel]) -> None:
        """Sizes change only where episodes start."""
        for index in which[which < self.copies].tolist():
            self._sizes[index] = models[index].geom_size.ravel()

    def of(self, physics: Physics) -> dict[str, Floats]:
        """The signals as they stand now, `[copies, size]` each."""
        rows, count = slice(self.copies), self.copies
        values = {
            f"{POSE}position": physics.position[rows].copy(),
            f"{POSE}mocap_position": physics.mocap_position[rows, -1].copy().reshape(count, -1),
            f"{POSE}mocap_quaternion": physics.mocap_quaternion[rows, -1].copy().reshape(count, -1),
            f"{POSE}geom_size": self._sizes.copy(),
        }
        return {signal.name: values[signal.name] for signal in self.signals}


class PosedScene:
    """A task's scene that shows poses instead of stepping physics."""

    def __init__(self, task: Task) -> None:
        self._model = mujoco.MjModel.from_xml_string(task.make_scene().mjcf())
        self._data = mujoco.MjData(self._model)
        self.signals = pose_signals(self._model)

    def show(self, signals: Mapping[str, NDArray[Any]]) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """The model and the data at the first row of these signals; both are of this scene and change with it.

        Raises:
            ValueError: if the signals hold no poses, or those of another scene.
        """
        targets = {
            f"{POSE}position": self._data.qpos,
            f"{POSE}mocap_position": self._data.mocap_pos,
            f"{POSE}mocap_quaternion": self._data.mocap_quat,
            f"{POSE}geom_size": self._model.geom_size,
        }
        for signal in self.signals:
            if signal.name not in signals:
                raise ValueError(f"there are no poses in what was recorded ('{signal.name}' is missing)")
            if (found := signals[signal.name].shape[1]) != signal.size:
                raise ValueError(f"'{signal.name}' was recorded with {found} entries, the scene has {signal.size}")
            targets[signal.name][...] = signals[signal.name][0].reshape(targets[signal.name].shape)
        mujoco.mj_kinematics(self._model, self._data)
        return self._model, self._data
