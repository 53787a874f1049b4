"""Draws a scene by MuJoCo without a display: through EGL, or OSMesa where there is none."""

import ctypes
import os
from importlib import import_module
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from companion.menu import no_such
from companion.simulator.scene_geometry import HIDDEN_FROM_GROUP, INFINITE_M
from companion.tasks._scene import Floats

LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}
"""By the value of MUJOCO_GL; the first that is there is taken where nobody says otherwise."""
SHADOW_PIXELS, SAMPLES = 2048, 4
"""Side of the shadow map, and samples per pixel: a software driver spends its time on these."""
LARGEST_GEOMS = 5000
WHOLE, FOLLOW = "whole", "follow"
"""Cameras that every scene has: all of it at once, and near the robot wherever it goes."""
PREFERRED = "overview"
"""A camera of this name in a task's model is looked through where nobody chooses another."""
FOLLOW_RADII, FOLLOW_LEAST_M = 2.5, 2.2
"""How far away the following camera stays: so many times the robot's size, or this."""
MARGIN = 1.04
"""Room round the scene."""


class OffscreenError(ValueError):
    """Nothing can be drawn here; the message says in one line what to install."""


class Offscreen:
    """Pictures of one model's states.

    Args:
        model: what is drawn; its sizes may change between pictures.
        width: of a picture, pixels.
        height: of a picture, pixels.

    Raises:
        OffscreenError: if there is no OpenGL to draw with.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int) -> None:
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        model.vis.quality.shadowsize, model.vis.quality.offsamples = SHADOW_PIXELS, SAMPLES
        self._context = _gl_context(width, height)
        self._context.make_current()
        self._scene, self._option = mujoco.MjvScene(model, LARGEST_GEOMS), mujoco.MjvOption()
        self._drawer = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._drawer)
        self._frame = mujoco.MjrRect(0, 0, width, height)
        self._pixels = np.empty((height, width, 3), np.uint8)

    def picture(self, model: mujoco.MjModel, data: mujoco.MjData, camera: mujoco.MjvCamera) -> NDArray[np.uint8]:
        """The state as the camera sees it `[height, width, 3]`; bodies must be in their places."""
        mujoco.mj_camlight(model, data)
        everything = int(mujoco.mjtCatBit.mjCAT_ALL)
        mujoco.mjv_updateScene(model, data, self._option, None, camera, everything, self._scene)
        mujoco.mjr_render(self._frame, self._scene, self._drawer)
        mujoco.mjr_readPixels(self._pixels, None, self._frame, self._drawer)
        return self._pixels[::-1].copy()  # OpenGL's rows go from below to above

    def close(self) -> None:
        """Give the driver its memory back."""
        self._drawer.free()
        self._context.free()


def camera_names(model: mujoco.MjModel) -> list[str]:
    """What `make_camera` takes."""
    return [*(model.camera(index).name for index in range(model.ncam)), WHOLE, FOLLOW]


def default_camera(model: mujoco.MjModel) -> str:
    """The one that the task prefers, else all of the scene."""
    return PREFERRED if PREFERRED in camera_names(model) else WHOLE


def make_camera(name: str, model: mujoco.MjModel, data: mujoco.MjData, aspect: float) -> mujoco.MjvCamera:
    """A camera of the model, or one made for this state.

    The view's direction is what the model says in `<visual><global azimuth="…" elevation="…"/>`.

    Args:
        name: of `camera_names`.
        model: what it looks at.
        data: its state, bodies in their places.
        aspect: width of the picture by its height.

    Raises:
        ValueError: if there is none of that name; lists the choices.
    """
    if name not in camera_names(model):
        raise ValueError(no_such("camera", name, camera_names(model)))
    camera = mujoco.MjvCamera()
    if name not in (WHOLE, FOLLOW):
        camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, model.camera(name).id
        return camera
    camera.azimuth, camera.elevation = model.vis.global_.azimuth, model.vis.global_.elevation
    if name == FOLLOW:
        _aim_at_robot(camera, model, data)
    else:
        _fit(camera, model, data, aspect)
    return camera


def move_along(camera: mujoco.MjvCamera, name: str, model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Let the following camera look at where the robot is now; the others stay."""
    if name == FOLLOW:
        camera.lookat[:] = data.xpos[robot_body(model)]


def robot_body(model: mujoco.MjModel) -> int:
    """The body called `robot`, else the first that moves by a joint."""
    named = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, "robot")
    return named if named >= 0 else int(np.flatnonzero(model.body_jntnum)[0])


def _aim_at_robot(camera: mujoco.MjvCamera, model: mujoco.MjModel, data: mujoco.MjData) -> None:
    body = robot_body(model)
    own = np.flatnonzero(model.body_rootid[model.geom_bodyid] == model.body_rootid[body])
    size = np.linalg.norm(data.geom_xpos[own] - data.xpos[body], axis=1) + model.geom_rbound[own]
    camera.lookat[:] = data.xpos[body]
    camera.distance = max(FOLLOW_RADII * float(size.max(initial=0.0)), FOLLOW_LEAST_M)


def _fit(camera: mujoco.MjvCamera, model: mujoco.MjModel, data: mujoco.MjData, aspect: float) -> None:
    """Put it as near as the scene's box of corners c allows: |c·right| <= depth tan(half the angle of view), …"""
    low, high = _bounds(model, data)
    camera.lookat[:] = (low + high) / 2
    corners = np.array(np.meshgrid(*np.stack((low, high), axis=1))).reshape(3, -1).T - (low + high) / 2
    azimuth, elevation = np.radians((camera.azimuth, camera.elevation))
    ahead = np.array((np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)))
    right = np.array((np.sin(azimuth), -np.cos(azimuth), 0.0))
    above = np.cross(right, ahead)
    half_height = np.tan(np.radians(model.vis.global_.fovy) / 2)
    wanted = np.maximum(np.abs(corners @ right) / (half_height * aspect), np.abs(corners @ above) / half_height)
    camera.distance = MARGIN * float((wanted - corners @ ahead).max())


def _bounds(model: mujoco.MjModel, data: mujoco.MjData) -> tuple[Floats, Floats]:
    """Corners of a box round what is seen; the floor, and what was put aside far away, don't count."""
    is_floor = (model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE) & (model.geom_bodyid == 0)
    counts = ~is_floor & (model.geom_group < HIDDEN_FROM_GROUP)
    counts &= (np.abs(data.geom_xpos) < INFINITE_M).all(axis=1)
    if not counts.any():
        return -np.ones(3), np.ones(3)
    turned = data.geom_xmat[counts].reshape(-1, 3, 3)
    # Planes have no box of their own: of a room's walls, the middles count.
    is_plane = (model.geom_type[counts] == mujoco.mjtGeom.mjGEOM_PLANE)[:, None]
    boxes = np.where(is_plane, 0.0, model.geom_aabb[counts])
    middles = data.geom_xpos[counts] + np.einsum("gij,gj->gi", turned, boxes[:, :3])
    reach = np.einsum("gij,gj->gi", np.abs(turned), boxes[:, 3:])
    return (middles - reach).min(axis=0), (middles + reach).max(axis=0)


def _gl_context(width: int, height: int) -> Any:
    """MuJoCo's context for the driver at hand."""
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    if wanted and wanted not in LIBRARIES:
        raise OffscreenError(f"MUJOCO_GL={wanted} can't draw without a display; unset it, or set it to egl or osmesa")
    found = [name for name in ([wanted] if wanted else LIBRARIES) if _is_there(LIBRARIES[name])]
    if not found:
        raise OffscreenError(f"no OpenGL to draw with off screen; {HOW_TO_GET_IT}")
    try:
        # MuJoCo's own choice falls when mujoco is imported, so the module is asked for by its name.
        return import_module(f"mujoco.{found[0]}").GLContext(width, height)
    except Exception as error:  # PyOpenGL and its drivers raise many kinds; all mean the same here
        told = " ".join(str(error).split())[:160] or type(error).__name__
        raise OffscreenError(f"MUJOCO_GL={found[0]} does not draw here ({told}); {HOW_TO_GET_IT}") from None


HOW_TO_GET_IT = "on Debian and Ubuntu: apt install libegl1, or apt install libosmesa6 and set MUJOCO_GL=osmesa"


def _is_there(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
