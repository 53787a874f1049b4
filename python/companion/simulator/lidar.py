"""A laser scanner, cast once per scan by MuJoCo's C++ threads, over a model of only what the rays can hit.

Rangefinder sensors in the physics model would be computed at every physics step; a second model in which the robot is a
posed (mocap) body is stepped once per scan instead.
"""

import math
from collections.abc import Callable

import mujoco
import numpy as np
from mujoco import rollout
from numpy.typing import NDArray

from companion.simulator.models import CopiedModels
from companion.tasks._scene import Floats, Lidar

_MOCAP = int(mujoco.mjtState.mjSTATE_MOCAP_POS | mujoco.mjtState.mjSTATE_MOCAP_QUAT)
_STATE = int(mujoco.mjtState.mjSTATE_FULLPHYSICS)


class LidarScanner:
    """Casts scans for any of the copies; `models` takes the same edits as the physics models."""

    def __init__(
        self,
        mjcf: str,
        lidar: Lidar,
        copies: int,
        make_data: Callable[[mujoco.MjModel], list[mujoco.MjData]],
        threads: rollout.Rollout,
    ) -> None:
        self.lidar = lidar
        model = scan_model(mjcf, lidar)
        self.models = CopiedModels(model, copies)
        self._data = make_data(model)
        self._rollout = threads
        self._mocaps = model.nmocap
        self._state = np.zeros((copies, mujoco.mj_stateSize(model, _STATE)))
        self._control = np.zeros((copies, 1, 7 * model.nmocap))
        self._state_out = np.zeros((copies, 1, self._state.shape[1]))
        self._sensor = np.zeros((copies, 1, lidar.rays))

    def scan(self, which: NDArray[np.intp], mocap: Floats, position: Floats, yaw: Floats) -> Floats:
        """True ranges `[k, rays]` in m of the copies `which`, cut off at the scanner's reach.

        Args:
            which: the copies to scan.
            mocap: the physics model's mocap poses, `[k, 7 * its mocap bodies]`, positions before quaternions.
            position: of the body `robot` in the world, `[k, 3]` m.
            yaw: of that body, `[k]` rad.
        """
        count, others = len(which), self._mocaps - 1
        control = self._control[:count, 0]
        poses, turns = control[:, : 3 * self._mocaps], control[:, 3 * self._mocaps :]
        poses[:, : 3 * others], turns[:, : 4 * others] = mocap[:, : 3 * others], mocap[:, 3 * others :]
        poses[:, 3 * others :] = position
        turns[:, 4 * others :] = 0.0
        turns[:, 4 * others], turns[:, 4 * others + 3] = np.cos(yaw / 2), np.sin(yaw / 2)
        self._rollout.rollout(
            [self.models.copies[index] for index in which.tolist()],
            self._data,
            self._state[:count],
            self._control[:count],
            control_spec=_MOCAP,
            skip_checks=True,
            nstep=1,
            state=self._state_out[:count],
            sensordata=self._sensor[:count],
        )
        ranges = self._sensor[:count, 0]
        return np.where(ranges < 0, self.lidar.max_m, ranges)


def scan_model(mjcf: str, lidar: Lidar) -> mujoco.MjModel:
    """The model to cast rays in; the robot is the last of its mocap bodies.

    Raises:
        ValueError: if a mocap body of the scene stands after the robot.
    """
    spec = mujoco.MjSpec.from_string(mjcf)
    robot, mount = spec.body("robot"), spec.site(lidar.site)
    for element in [*spec.actuators, *spec.sensors, *robot.joints]:
        spec.delete(element)
    for geom in [geom for geom in spec.geoms if geom.contype == 0 and geom.conaffinity == 0]:
        spec.delete(geom)
    robot.mocap = True
    for index in range(lidar.rays):
        angle = 2 * math.pi * index / lidar.rays
        name = f"ray{index}"
        robot.add_site(name=name, pos=mount.pos, quat=_looking(angle))
        spec.add_sensor(
            name=name,
            type=mujoco.mjtSensor.mjSENS_RANGEFINDER,
            objtype=mujoco.mjtObj.mjOBJ_SITE,
            objname=name,
            cutoff=lidar.max_m,
            intprm=[1 << int(mujoco.mjtRayDataField.mjRAYDATA_DIST), 0, 0],
        )
    model = spec.compile()
    row = int(model.body_mocapid[model.body("robot").id])
    if row != model.nmocap - 1:
        raise ValueError("the body 'robot' must stand after every mocap body of the scene")
    return model


def _looking(angle_rad: float) -> list[float]:
    """The quaternion that turns z, along which a rangefinder looks, first to x and then by the angle about z."""
    half, cos, sin = math.sqrt(0.5), math.cos(angle_rad / 2), math.sin(angle_rad / 2)
    return [cos * half, -sin * half, cos * half, sin * half]
