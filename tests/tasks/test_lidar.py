import mujoco
import numpy as np
import pytest

from companion import tasks
from companion.robots import turtlebot3
from companion.simulator.batch import Simulator
from companion.tasks import _lidar

RAYS = 360
SOLID = np.array([1, 0, 0, 1, 0, 0], np.uint8)  # furniture, walls and people's hulls; not what is only drawn


def mujoco_ranges(simulator: Simulator, copy: int) -> list[float]:
    """What MuJoCo's own rays meet in the very model that is simulated."""
    model, data = simulator.show(copy)
    site, robot = data.site("lidar"), model.body("robot").id
    ranges = []
    for ray in range(RAYS):
        angle = data.qpos[2] + 2 * np.pi * ray / RAYS
        direction = np.array([np.cos(angle), np.sin(angle), 0.0])
        found, normal = np.zeros(1, np.int32), np.zeros(3)
        ranges.append(mujoco.mj_ray(model, data, site.xpos, direction, SOLID, 1, robot, found, normal))
    return ranges


def test_rays_go_as_far_as_in_mujoco() -> None:
    """Rooms with furniture and people, at starts and after some steps."""
    fixed = {"furniture_count": 8, "people_count": 2, "lidar_yaw_rad": 0}
    simulator = Simulator(tasks.load("mobile_goto"), 25, seed=5, overrides=fixed)
    simulator.reset()
    for _ in range(15):
        simulator.step(np.tile([0.8, 0.4], (25, 1)))
    state, position = simulator._scene.state, simulator._physics.position
    yaw = position[:, 2]
    back, _, height = turtlebot3.ROBOT.lidar_position_base_m
    place = position[:, :2] + back * np.stack((np.cos(yaw), np.sin(yaw)), axis=1)
    radius = np.sqrt(0.2**2 - (0.2 - height) ** 2)
    ours = _lidar.cast(state.room, state.people.position, radius, place, yaw, RAYS)
    theirs = np.array([mujoco_ranges(simulator, copy) for copy in range(25)])
    # A ray that grazes a corner may fall on either side of it.
    agree = np.abs(ours - theirs) < 1e-4
    assert agree.mean() > 0.9995
    assert (ours < 1.0).mean() > 0.1 and (ours > 2.0).mean() > 0.1


def test_noise_dropout_and_reach() -> None:
    random = np.random.default_rng(0)
    true = np.array([[1.0], [2.0], [0.05], [9.0], [1.0]], np.float32).repeat(20_000, axis=1)
    noise, dropout = np.array([0.02, 0.0, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 0.0, 0.25])
    seen = _lidar.as_scanned(true, noise, dropout, (0.12, 3.5), random)
    assert seen[0].std() == pytest.approx(0.02, rel=0.05) and seen[0].mean() == pytest.approx(1.0, abs=1e-3)
    assert (seen[1] == 2.0).all() and (seen[2] == 3.5).all() and (seen[3] == 3.5).all()
    assert (seen[4] == 3.5).mean() == pytest.approx(0.25, abs=0.01)


def test_sectors_lie_about_their_middle_ray() -> None:
    ranges = np.arange(12, dtype=np.float32)[None]
    # Sector 0 holds rays 11, 0, 1; sector 1 rays 2, 3, 4; …
    assert _lidar.nearest_per_sector(ranges, 4).tolist() == [[0.0, 2.0, 5.0, 8.0]]
