"""The triangles that a viewer gets are where MuJoCo has the geoms, of the right size and colour, facing outwards."""

from collections.abc import Callable

import mujoco
import numpy as np
import pytest

from companion import tasks
from companion.simulator import scene_geometry as geometry
from companion.simulator.batch import Simulator
from companion.simulator.scene_geometry import Mesh, Surface, surfaces_of
from companion.tasks._scene import Floats

SCENE = """
<mujoco>
  <asset>
    <texture name="stripes" type="2d" builtin="flat" rgb1="0.2 0.4 0.6" width="8" height="8"/>
    <material name="paper" rgba="1 0.5 1 1" texture="stripes"/>
    <material name="wood" rgba="0.7 0.5 0.4 1"/>
    <mesh name="wedge" vertex="0 0 0  1 0 0  0 1 0  0 0 1"/>
  </asset>
  <worldbody>
    <geom name="floor" type="plane" size="2 3 0.1" material="paper"/>
    <body name="cart" pos="1 2 3" quat="0.70710678 0 0 0.70710678">
      <freejoint/>
      <geom name="crate" type="box" size="0.5 0.2 0.1" pos="0.3 0 0" rgba="1 0 0 1"/>
      <geom name="post" type="cylinder" size="0.05 0.4" pos="0 0 1" euler="0 90 0" rgba="1 0 0 1"/>
      <geom name="knob" type="sphere" size="0.1" material="wood"/>
      <geom name="ghost" type="sphere" size="0.1" rgba="1 1 1 0"/>
      <geom name="hull" type="sphere" size="0.7" group="3"/>
    </body>
    <body name="shard" pos="5 0 0"><geom type="mesh" mesh="wedge" rgba="0 1 0 1"/></body>
  </worldbody>
</mujoco>"""


@pytest.fixture
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(SCENE)


def of(model: mujoco.MjModel, name: str) -> list[Surface]:
    return [surface for surface in surfaces_of(model) if surface.name == name]


def volume(mesh: Mesh) -> float:
    """By the divergence theorem; negative if the triangles face inwards."""
    first, second, third = np.moveaxis(mesh.vertices[mesh.triangles], 1, 0)
    return float((first * np.cross(second, third)).sum() / 6)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        (geometry.box, (0.5, 0.2, 0.1), 8 * 0.5 * 0.2 * 0.1),
        (geometry.sphere, (0.3, 0, 0), 4 / 3 * np.pi * 0.3**3),
        (geometry.ellipsoid, (0.1, 0.2, 0.3), 4 / 3 * np.pi * 0.1 * 0.2 * 0.3),
        (geometry.capsule, (0.1, 0.5, 0), np.pi * 0.1**2 * (4 / 3 * 0.1 + 1.0)),
        (geometry.cylinder, (0.1, 0.5, 0), np.pi * 0.1**2 * 1.0),
    ],
)
def test_a_shape_holds_its_volume_and_faces_outwards(
    shape: Callable[[Floats], Mesh], size: tuple[float, float, float], expected: float
) -> None:
    mesh = shape(np.array(size, np.float64))
    assert volume(mesh) == pytest.approx(expected, rel=0.03)


def test_a_box_has_its_corners_where_its_half_sides_say() -> None:
    corners = np.unique(geometry.box(np.array((1.0, 2.0, 3.0))).vertices, axis=0)
    assert corners.tolist() == [[x, y, z] for x in (-1, 1) for y in (-2, 2) for z in (-3, 3)]


def test_a_capsule_is_longer_than_its_cylinder_by_a_radius_at_both_ends() -> None:
    corners = geometry.capsule(np.array((0.1, 0.5, 0.0))).vertices
    assert corners.min(axis=0) == pytest.approx((-0.1, -0.1, -0.6))
    assert corners.max(axis=0) == pytest.approx((0.1, 0.1, 0.6))


def test_a_plane_faces_up_and_one_without_end_is_large() -> None:
    mesh = geometry.plane(np.array((2.0, 0.0, 0.1)))
    assert np.abs(mesh.vertices).max(axis=0).tolist() == [2.0, geometry.INFINITE_M, 0.0]
    first, second, third = mesh.vertices[mesh.triangles[0]]
    assert np.cross(second - first, third - first)[2] > 0


def test_geoms_of_one_colour_are_one_surface_of_their_body(model: mujoco.MjModel) -> None:
    cart = {surface.colour: surface.mesh for surface in of(model, "cart")}
    assert set(cart) == {(1, 0, 0, 1), (0.7, 0.5, 0.4, 1)}, "neither the ghost nor the hull is seen"
    red = cart[1, 0, 0, 1].vertices
    # The crate reaches from 0.3 - 0.5 to 0.3 + 0.5 along x, and the post, laid down along x, from -0.4 to 0.4 at z = 1.
    assert red[:24].min(axis=0) == pytest.approx((-0.2, -0.2, -0.1))
    assert red[:24].max(axis=0) == pytest.approx((0.8, 0.2, 0.1))
    assert red[24:].min(axis=0) == pytest.approx((-0.4, -0.05, 0.95))
    assert red[24:].max(axis=0) == pytest.approx((0.4, 0.05, 1.05))


def test_a_material_gives_its_colour_times_the_mean_of_its_texture(model: mujoco.MjModel) -> None:
    (floor,) = of(model, "world")
    assert floor.colour == pytest.approx((0.2, 0.2, 0.6, 1.0), abs=0.005)


def test_a_mesh_keeps_its_place(model: mujoco.MjModel) -> None:
    (shard,) = of(model, "shard")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    position, quaternion = geometry.body_poses(data)
    placed = shard.mesh.moved(position[shard.body], quaternion[shard.body])
    # The vertices as the file gives them, moved by the body's 5 m.
    assert sorted(np.round(placed.vertices, 6).tolist()) == [[5, 0, 0], [5, 0, 1], [5, 1, 0], [6, 0, 0]]
    assert volume(shard.mesh) == pytest.approx(1 / 6)


def test_a_body_turned_by_a_quarter_has_its_surfaces_turned(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    position, quaternion = geometry.body_poses(data)
    cart = next(surface for surface in of(model, "cart") if surface.colour == (1, 0, 0, 1))
    crate = cart.mesh.moved(position[cart.body], quaternion[cart.body]).vertices[:24]
    # A quarter turn to the left takes the body's x to y: -0.2 to 0.8 m along y from (1, 2, 3).
    assert crate.min(axis=0) == pytest.approx((0.8, 1.8, 2.9))
    assert crate.max(axis=0) == pytest.approx((1.2, 2.8, 3.1))


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_is_drawn_where_mujoco_has_it_also_with_the_sizes_of_this_episode(name: str) -> None:
    simulator = Simulator(tasks.load(name), 1, seed=3, threads=1)
    simulator.reset(3)
    model, data = simulator.show(0)
    simulator.close()
    seen = (model.geom_group < geometry.HIDDEN_FROM_GROUP) & (model.geom_rgba[:, 3] > 0)
    surfaces = surfaces_of(model)
    assert {surface.body for surface in surfaces} == set(model.geom_bodyid[seen].tolist())
    position, quaternion = geometry.body_poses(data)
    for surface in surfaces:
        geoms = [g for g in np.flatnonzero(seen & (model.geom_bodyid == surface.body)).tolist()
                 if geometry.colour_of(model, g) == surface.colour]  # fmt: skip
        corners = surface.mesh.moved(position[surface.body], quaternion[surface.body]).vertices
        low, high = _bounds(model, data, geoms)
        assert np.all(corners >= low - 1e-6) and np.all(corners <= high + 1e-6)
        if (model.geom_type[geoms] == mujoco.mjtGeom.mjGEOM_BOX).all():
            assert corners.min(axis=0) == pytest.approx(low) and corners.max(axis=0) == pytest.approx(high)


def _bounds(model: mujoco.MjModel, data: mujoco.MjData, geoms: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """A box along the world's axes round geoms, from MuJoCo's own local boxes."""
    lows, highs = [], []
    for geom in geoms:
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE:
            middle, half = np.zeros(3), np.array([*model.geom_size[geom, :2], 0.0])
        else:
            middle, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
        signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        corners = (middle + signs * half) @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
        lows.append(corners.min(axis=0))
        highs.append(corners.max(axis=0))
    return np.min(lows, axis=0), np.max(highs, axis=0)
