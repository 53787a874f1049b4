"""What a scene looked like between two decisions, for pictures that follow each other faster than decisions do."""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from companion.signals import POSE

JUMP_M = 0.5
"""Nothing here goes so far in one decision: what does was put elsewhere, and is not seen on the way."""

Rows = Mapping[str, NDArray[Any]]


def between(model: mujoco.MjModel, first: Rows, second: Rows, share: float) -> dict[str, NDArray[Any]]:
    """The pose signals `[1, size]` when this share of the time from the first to the second has passed."""
    poses = {name: value for name, value in second.items() if name.startswith(POSE)}
    place, turn = f"{POSE}position", f"{POSE}mocap_quaternion"
    if place in poses:
        poses[place] = _joints(model, first[place][0], poses[place][0], share)[None]
    if (mocap := f"{POSE}mocap_position") in poses:
        poses[mocap] = _points(first[mocap].reshape(-1, 3), poses[mocap].reshape(-1, 3), share).reshape(1, -1)
    if turn in poses:
        poses[turn] = _turns(first[turn].reshape(-1, 4), poses[turn].reshape(-1, 4), share).reshape(1, -1)
    return poses


def _joints(model: mujoco.MjModel, first: NDArray[Any], second: NDArray[Any], share: float) -> NDArray[np.float64]:
    """Along the shortest way; MuJoCo knows which entries are a quaternion's."""
    way, position = np.zeros(model.nv), np.array(first, np.float64)
    mujoco.mj_differentiatePos(model, way, 1.0, position, np.array(second, np.float64))
    for joint in np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE):
        moves = slice(model.jnt_dofadr[joint], model.jnt_dofadr[joint] + 6)
        if np.linalg.norm(way[moves][:3]) > JUMP_M:
            way[moves] = 0.0
    mujoco.mj_integratePos(model, position, way, share)
    return position


def _points(first: NDArray[Any], second: NDArray[Any], share: float) -> NDArray[Any]:
    way = second - first
    way[np.linalg.norm(way, axis=1) > JUMP_M] = 0.0
    return first + share * way


def _turns(first: NDArray[Any], second: NDArray[Any], share: float) -> NDArray[Any]:
    """The shorter way round, at nearly even speed for the small turns of one decision."""
    same_side = np.where((first * second).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    mixed = (1 - share) * first + share * same_side * second
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
