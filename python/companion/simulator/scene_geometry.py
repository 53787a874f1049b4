"""What a MuJoCo model looks like, as triangles: for a viewer that knows nothing of MuJoCo.

Each body carries surfaces in its own frame, one per colour; to draw a state they only have to be moved to the bodies'
poses. Sizes are read from the model at hand, because episodes differ in them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from companion.tasks._scene import Floats

SEGMENTS = 24
"""Flat sides of what is round."""
INFINITE_M = 10.0
"""Half the side of a plane that has no end."""
HIDDEN_FROM_GROUP = 3
"""MuJoCo's viewers, too, draw geoms of the groups below only."""
_DEFAULT_COLOUR = (0.5, 0.5, 0.5, 1.0)
"""MuJoCo's; a geom of this colour has its material's."""

Colour = tuple[float, float, float, float]
Triangles = NDArray[np.int64]


@dataclass(frozen=True)
class Mesh:
    """Triangles whose corners go round counter-clockwise, seen from outside."""

    vertices: Floats
    """`[corners, 3]`, m."""
    triangles: Triangles
    """`[triangles, 3]` rows of `vertices`."""

    def moved(self, position: Floats, quaternion: Floats) -> "Mesh":
        """The same, turned by a unit quaternion (w first) and then shifted."""
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, quaternion)
        return Mesh(self.vertices @ rotation.reshape(3, 3).T + position, self.triangles)


@dataclass(frozen=True)
class Surface:
    """All of a body that has one colour."""

    body: int
    """The body's row in the model."""
    name: str
    """Of the body."""
    colour: Colour
    """Red, green, blue and opacity in [0, 1]."""
    mesh: Mesh
    """In the body's frame."""


def surfaces_of(model: mujoco.MjModel) -> list[Surface]:
    """What is seen of a model, body by body. Height fields and signed distance fields are left out."""
    found: dict[tuple[int, Colour], list[Mesh]] = {}
    for geom in range(model.ngeom):
        mesh, colour = _mesh_of(model, geom), colour_of(model, geom)
        if mesh is not None and model.geom_group[geom] < HIDDEN_FROM_GROUP and colour[3] > 0:
            found.setdefault((int(model.geom_bodyid[geom]), colour), []).append(mesh)
    return [
        Surface(body, model.body(body).name or f"body{body}", colour, joined(meshes))
        for (body, colour), meshes in found.items()
    ]


def body_poses(data: mujoco.MjData) -> tuple[Floats, Floats]:
    """Position `[bodies, 3]` in m and orientation `[bodies, 4]`, w first, of every body in the world."""
    return np.array(data.xpos), np.array(data.xquat)


def middle_and_radius(model: mujoco.MjModel, data: mujoco.MjData, within_m: float = INFINITE_M) -> tuple[Floats, float]:
    """A ball round what is solid, to aim a camera at; what was put aside, beyond `within_m`, does not count."""
    counts = (model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE) & (model.geom_group < HIDDEN_FROM_GROUP)
    counts &= np.linalg.norm(data.geom_xpos, axis=1) < within_m
    if not counts.any():
        return np.zeros(3), 1.0
    places = data.geom_xpos[counts]
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    return middle, float((np.linalg.norm(places - middle, axis=1) + model.geom_rbound[counts]).max())


def colour_of(model: mujoco.MjModel, geom: int) -> Colour:
    """A geom's own colour, or its material's with the mean of its texture."""
    own, material = model.geom_rgba[geom], int(model.geom_matid[geom])
    if material < 0 or not np.allclose(own, _DEFAULT_COLOUR):
        return _colour(own)
    colour = np.array(model.mat_rgba[material])
    texture = int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB])
    if texture >= 0:
        colour[:3] *= _mean_colour(model, texture)
    return _colour(colour)


def _colour(values: Floats) -> Colour:
    red, green, blue, opacity = (round(float(value), 4) for value in np.clip(values, 0.0, 1.0))
    return red, green, blue, opacity


def _mean_colour(model: mujoco.MjModel, texture: int) -> Floats:
    channels, first = int(model.tex_nchannel[texture]), int(model.tex_adr[texture])
    pixels = int(model.tex_height[texture]) * int(model.tex_width[texture])
    values = model.tex_data[first : first + pixels * channels].reshape(pixels, channels)
    return np.broadcast_to(values[:, :3].mean(axis=0) / 255.0, 3)


def _mesh_of(model: mujoco.MjModel, geom: int) -> Mesh | None:
    """A geom in its body's frame; None if it is of a kind that is not drawn."""
    kind = int(model.geom_type[geom])
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = _stored_mesh(model, int(model.geom_dataid[geom]))
    elif kind in _SHAPES:
        mesh = _SHAPES[kind](np.array(model.geom_size[geom]))
    else:
        return None
    return mesh.moved(model.geom_pos[geom], model.geom_quat[geom])


def _stored_mesh(model: mujoco.MjModel, index: int) -> Mesh:
    corners = slice(model.mesh_vertadr[index], model.mesh_vertadr[index] + model.mesh_vertnum[index])
    faces = slice(model.mesh_faceadr[index], model.mesh_faceadr[index] + model.mesh_facenum[index])
    return Mesh(model.mesh_vert[corners].astype(np.float64), model.mesh_face[faces].astype(np.int64))


# --- shapes about their middle; `size` as MuJoCo has it ---


def box(size: Floats) -> Mesh:
    """A box of these half sides; each face has corners of its own, so that edges stay sharp."""
    square = np.array([(1, -1, -1), (1, 1, -1), (1, 1, 1), (1, -1, 1)], np.float64)
    # Rolling the axes turns the face at +x into those at +y and +z; turning about one of them leads to the opposite.
    ahead = [np.roll(square, axis, axis=1) for axis in range(3)]
    behind = [face * _half_turn(axis) for axis, face in enumerate(ahead)]
    corners = np.concatenate([*ahead, *behind])
    faces = np.arange(24).reshape(6, 4)
    return Mesh(corners * size, np.concatenate((faces[:, [0, 1, 2]], faces[:, [0, 2, 3]])))


def ellipsoid(size: Floats) -> Mesh:
    """An ellipsoid of these three half axes."""
    unit = revolved(_arc(-np.pi / 2, np.pi / 2))
    return Mesh(unit.vertices * size, unit.triangles)


def sphere(size: Floats) -> Mesh:
    """A sphere; its radius comes first."""
    return ellipsoid(np.repeat(size[0], 3))


def capsule(size: Floats) -> Mesh:
    """A capsule along z: radius, and half the length of its cylinder."""
    radius, half = size[0], size[1]
    end = np.array((0.0, half))
    below, above = radius * _arc(-np.pi / 2, 0.0), radius * _arc(0.0, np.pi / 2)
    return revolved(np.concatenate((below - end, above + end)))


def cylinder(size: Floats) -> Mesh:
    """A cylinder along z: radius and half its length. Its rims stay sharp."""
    radius, half = size[0], size[1]
    profile = np.array([(0, -half), (radius, -half), (radius, half), (0, half)])
    return joined([revolved(profile[first : first + 2]) for first in range(3)])


def plane(size: Floats) -> Mesh:
    """A rectangle that faces z: half sides x and y, of which 0 means without end."""
    x, y = (half if half > 0 else INFINITE_M for half in size[:2])
    corners = np.array([(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0)])
    return Mesh(corners, np.array([(0, 1, 2), (0, 2, 3)]))


def revolved(profile: Floats) -> Mesh:
    """What a line of points (distance from the z axis, height), from below to above, sweeps about the axis."""
    angle = np.arange(SEGMENTS) * (2 * np.pi / SEGMENTS)
    around = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    rings = profile[:, :1, None] * around
    heights = np.broadcast_to(profile[:, 1, None, None], (len(profile), SEGMENTS, 1))
    corner = np.arange(len(profile) * SEGMENTS).reshape(len(profile), SEGMENTS)
    here, beside = corner, np.roll(corner, -1, axis=1)
    quads = np.stack((here[:-1], beside[:-1], beside[1:], here[1:]), axis=2).reshape(-1, 4)
    triangles = np.concatenate((quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]))
    return Mesh(np.concatenate((rings, heights), axis=2).reshape(-1, 3), triangles)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """All of them as one."""
    first = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    triangles = [mesh.triangles + start for mesh, start in zip(meshes, first, strict=True)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(triangles))


def _arc(low: float, high: float) -> Floats:
    """Points on the unit circle from one latitude to another: (distance from the axis, height)."""
    latitude = np.linspace(low, high, round((high - low) / (2 * np.pi) * SEGMENTS) + 1)
    return np.stack((np.cos(latitude), np.sin(latitude)), axis=1)


def _half_turn(axis: int) -> Floats:
    """Signs that turn points by 180 degrees about the axis after this one."""
    signs = -np.ones(3)
    signs[(axis + 1) % 3] = 1.0
    return signs


_SHAPES: dict[int, Callable[[Floats], Mesh]] = {
    int(mujoco.mjtGeom.mjGEOM_PLANE): plane,
    int(mujoco.mjtGeom.mjGEOM_SPHERE): sphere,
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): capsule,
    int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): ellipsoid,
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): cylinder,
    int(mujoco.mjtGeom.mjGEOM_BOX): box,
}
