"""Draws stages in the browser: each copy of the task in a place of its own, its bodies moved with every decision."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from companion import robots
from companion.cli._viewer_stage import Stage, Start
from companion.menu import pick
from companion.signals import Signals
from companion.simulator.scene_geometry import Surface, body_poses, middle_and_radius, surfaces_of
from companion.tasks import Task

if TYPE_CHECKING:
    import viser

FIELD_OF_VIEW_RAD = 0.8
FROM = (0.4, -1.8, 1.7)
"""Where the camera stands, seen from the middle of the scene, in units of the scene's radius."""
OPAQUE = 0.999
ENVIRONMENT = 0.6
"""Of the light from all sides."""
SCANNER = "lidar"
"""The site of a model that its beams come from."""
RAY_COLOUR, RAY_M = (222, 60, 60), 0.006
"""Of a scanner's beams: colour, and thickness."""
MET_SHARE = 0.99
"""Of a scanner's reach: what comes from nearer has met something."""


@dataclass
class _Body:
    """A body in the browser."""

    frame: Any
    position: NDArray[np.float64]
    quaternion: NDArray[np.float64]
    surfaces: list[Surface] = field(default_factory=list)
    meshes: list[Any] = field(default_factory=list)


class Drawing:
    """One stage as the browser shows it."""

    def __init__(self, server: "viser.ViserServer", name: str, offset: tuple[float, float]) -> None:
        """Nothing is there before the first `draw`.

        Args:
            server: of the page.
            name: of the stage, of which no other stage has the same.
            offset: where its origin lies in the page's world, m.
        """
        self._scene, self._name = server.scene, name
        self._bodies: dict[int, _Body] = {}
        self._drawn: Start | None = None
        self._rays: Any = None
        self._scene.add_frame(f"/{name}", show_axes=False, position=(*offset, 0.0))

    def draw(self, stage: Stage) -> None:
        """Show the stage's present state; of an episode that is over, how it ended."""
        model, data = stage.show()
        position, quaternion = body_poses(data)
        if self._drawn is not stage.start:  # an episode may have sizes of its own
            self._drawn = stage.start
            self._rebuild(surfaces_of(model))
        for row, body in self._bodies.items():
            _move(body, position[row], quaternion[row])
        self._draw_rays(stage, model, data)

    def _draw_rays(self, stage: Stage, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """The last scan, carried along by the scanner; beams end in the air where people have walked on since."""
        site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, SCANNER)
        points = rays(stage.signals, _reach_m(stage.play.task)) if site >= 0 else None
        if points is None:
            return
        if self._rays is None:
            name = f"/{self._name}/{SCANNER}"
            self._scanner = _Body(self._scene.add_frame(name, show_axes=False), np.zeros(3), np.zeros(4))
            self._rays = self._scene.add_line_segments(f"{name}/rays", points, RAY_COLOUR, thickness=RAY_M)
        elif not np.array_equal(self._rays.points, points):
            self._rays.points = points
        turn = np.zeros(4)
        mujoco.mju_mat2Quat(turn, data.site_xmat[site])
        _move(self._scanner, np.array(data.site_xpos[site]), turn)

    def _rebuild(self, surfaces: list[Surface]) -> None:
        by_body: dict[int, list[Surface]] = {}
        for surface in surfaces:
            by_body.setdefault(surface.body, []).append(surface)
        for row, wanted in by_body.items():
            body = self._body(row, wanted[0].name)
            if not _same(body.surfaces, wanted):
                self._dress(body, wanted)

    def _body(self, row: int, name: str) -> _Body:
        if row not in self._bodies:
            frame = self._scene.add_frame(f"/{self._name}/{row}_{name}", show_axes=False)
            self._bodies[row] = _Body(frame, np.zeros(3), np.array((1.0, 0.0, 0.0, 0.0)))
        return self._bodies[row]

    def _dress(self, body: _Body, surfaces: list[Surface]) -> None:
        for mesh in body.meshes:
            mesh.remove()
        body.surfaces = surfaces
        body.meshes = [
            self._scene.add_mesh_simple(
                f"{body.frame.name}/{index}",
                surface.mesh.vertices.astype(np.float32),
                surface.mesh.triangles.astype(np.uint32),
                color=surface.colour[:3],
                opacity=surface.colour[3] if surface.colour[3] < OPAQUE else None,
            )
            for index, surface in enumerate(surfaces)
        ]


def rays(signals: Signals, reach_m: float) -> NDArray[np.float32] | None:
    """A scanner's beams in its own frame, from it to what they met `[beams, 2, 3]`, m; None where there is no scan.

    A beam goes through the middle of its sector. One that met nothing within the scanner's reach has no length.
    """
    found = signals.get("lidar_range")
    if found is None and "lidar_nearness" in signals:
        found = 1.0 / signals["lidar_nearness"]
    if found is None:
        return None
    length = np.where(found[0] < MET_SHARE * reach_m, found[0], 0.0)
    angle = 2 * np.pi * np.arange(len(length)) / len(length)
    ends = np.stack((length * np.cos(angle), length * np.sin(angle), np.zeros(len(length))), axis=1)
    return np.stack((np.zeros_like(ends), ends), axis=1).astype(np.float32)


def offsets(stages: int, side_m: float) -> list[tuple[float, float]]:
    """Places for so many stages of this side on a square grid about the origin."""
    columns = math.ceil(math.sqrt(stages))
    rows = math.ceil(stages / columns)
    return [
        ((index % columns - (columns - 1) / 2) * side_m, (index // columns - (rows - 1) / 2) * side_m)
        for index in range(stages)
    ]


def light(server: "viser.ViserServer") -> None:
    """Less of it than usual, which makes wood and clothes pale."""
    server.scene.configure_environment_map("warehouse", environment_intensity=ENVIRONMENT)
    server.scene.configure_default_lights(cast_shadow=True)


def aim(server: "viser.ViserServer", stage: Stage, spread_m: float) -> None:
    """Let browsers that open the page look at the whole scene, which is `spread_m` wider for several stages."""
    middle, radius = middle_and_radius(*stage.show())
    camera = server.initial_camera
    camera.fov = FIELD_OF_VIEW_RAD
    camera.position = middle + (radius + 1.3 * spread_m) * np.array(FROM)
    camera.look_at = middle


def _reach_m(task: Task) -> float:
    return getattr(pick(robots, task.robot, "robot").ROBOT, "lidar_max_m", math.inf)


def _move(body: _Body, position: NDArray[np.float64], quaternion: NDArray[np.float64]) -> None:
    """Tell the browser what changed: most bodies stand still."""
    if not np.array_equal(body.position, position):
        body.position = body.frame.position = position
    if not np.array_equal(body.quaternion, quaternion):
        body.quaternion = body.frame.wxyz = quaternion


def _same(first: list[Surface], second: list[Surface]) -> bool:
    return len(first) == len(second) and all(
        one.colour == other.colour and np.array_equal(one.mesh.vertices, other.mesh.vertices)
        for one, other in zip(first, second, strict=True)
    )
