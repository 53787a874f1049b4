"""mobile_goto does what its text says: rooms have ways through, the scanner sees what is there, contacts are named."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from companion import tasks
from companion.robots import turtlebot3
from companion.simulator.batch import Simulator
from companion.tasks import _people, _room, mobile_goto

TASK = tasks.load("mobile_goto")
NOMINAL = {entry.name: entry.nominal for entry in TASK.perturbations}
STILL = TASK.rest_action[None]
EXACT = {**NOMINAL, "people_count": 0, "lidar_noise_share": 0}


def sampled_gap(room: _room.Room, point: NDArray[np.float64]) -> float:
    """Distance from a point outside everything to the nearest border, by walking along all borders."""
    along = np.linspace(-1, 1, 4001)
    edges = []
    for piece in range(room.centre.shape[1]):
        a, b = room.half[0, piece]
        square = np.concatenate(
            [np.stack((along * a, np.full_like(along, side * b)), 1) for side in (-1, 1)]
            + [np.stack((np.full_like(along, side * a), along * b), 1) for side in (-1, 1)]
        )
        cos, sin = math.cos(room.yaw[0, piece]), math.sin(room.yaw[0, piece])
        edges.append(square @ np.array([[cos, sin], [-sin, cos]]) + room.centre[0, piece])
    to_pieces = np.linalg.norm(np.concatenate(edges) - point, axis=1).min()
    return min(to_pieces, (room.half_size[0] - np.abs(point)).min())


def test_clearance_is_the_distance_to_the_nearest_border() -> None:
    random = np.random.default_rng(0)
    room = _room.draw_rooms(np.array([4.5]), np.array([6]), 8, random)
    points = _room.draw_free_points(
        _room.Room(*(np.repeat(value, 20, 0) for value in vars(room).values())), 0.1, np.zeros((20, 0, 2)), (), random
    )
    gap, normal = room.clearance_and_way_out(points[None])
    assert np.array_equal(gap, room.clearance(points[None]))
    for index, point in enumerate(points):
        assert gap[0, index] == pytest.approx(sampled_gap(room, point), abs=2e-3)
        ahead = room.clearance((point + 0.01 * normal[0, index])[None, None])
        assert ahead[0, 0] >= gap[0, index] + 0.005 or ahead[0, 0] == pytest.approx(gap[0, index] + 0.01, abs=6e-3)


def test_between_any_two_pieces_the_robot_fits_through() -> None:
    rooms = _room.draw_rooms(np.full(300, 4.0), np.full(300, 8), 8, np.random.default_rng(1))
    radius = np.hypot(rooms.half[..., 0], rooms.half[..., 1])
    between = np.linalg.norm(rooms.centre[:, :, None] - rooms.centre[:, None], axis=3)
    free = between - radius[:, :, None] - radius[:, None]
    free[:, np.arange(8), np.arange(8)] = np.inf
    assert free.min() >= 2 * _room.GAP_M - 1e-9 > 2 * turtlebot3.ROBOT.radius_m


def test_as_many_pieces_as_asked_for_stand_in_the_room() -> None:
    rooms = _room.draw_rooms(np.full(5, 4.5), np.array([0, 4, 5, 7, 8]), 8, np.random.default_rng(1))
    assert (np.abs(rooms.centre).max(axis=2) < 2.25).sum(axis=1).tolist() == [0, 4, 5, 7, 8]


def test_start_and_goal_are_free_and_apart() -> None:
    simulator = Simulator(TASK, 400)
    signals = simulator.reset(0)
    assert np.mean(signals["clearance"] >= 0.1) > 0.99
    assert np.mean(signals["distance"] >= mobile_goto.GOAL_AWAY_M) > 0.99
    state = simulator._scene.state
    goal_gap = state.room.clearance(state.goal[:, None])
    assert np.mean(goal_gap >= mobile_goto.GOAL_CLEARANCE_M) > 0.99


def test_the_scanner_sees_the_walls_of_an_empty_room_where_they_are() -> None:
    simulator = Simulator(TASK, 30, overrides={**EXACT, "furniture_count": 0})
    signals = simulator.reset(0)
    half = NOMINAL["room_size_m"] / 2
    for copy in range(30):
        x, y, yaw = simulator._physics.position[copy]
        x, y = x - 0.032 * math.cos(yaw), y - 0.032 * math.sin(yaw)
        expected = []
        for ray in range(mobile_goto.RAYS):
            angle = yaw + 2 * math.pi * ray / mobile_goto.RAYS
            reach_x = (half - math.copysign(1, math.cos(angle)) * x) / abs(math.cos(angle))
            reach_y = (half - math.copysign(1, math.sin(angle)) * y) / abs(math.sin(angle))
            distance = min(reach_x, reach_y)
            expected.append(distance if 0.12 <= distance <= 3.5 else 3.5)
        sectors = [min(expected[3 * beam - 1], expected[3 * beam], expected[3 * beam + 1]) for beam in range(40)]
        assert signals["lidar_range"][copy] == pytest.approx(sectors, rel=1e-6)  # in float32


def test_the_scanner_sees_no_nearer_than_the_room_is_and_never_through_it() -> None:
    simulator = Simulator(TASK, 100, overrides=EXACT)
    signals = simulator.reset(0)
    # The scanner stands 3.2 cm behind the hull's middle.
    nearest = signals["lidar_range"].min(axis=1) - turtlebot3.ROBOT.radius_m
    assert (nearest >= signals["clearance"][:, 0] - 0.033).all()
    assert np.abs(nearest - signals["clearance"][:, 0]).max() < 0.15


def test_a_scan_is_held_for_two_decisions_and_the_one_before_is_kept() -> None:
    simulator = Simulator(TASK, 20, overrides={**EXACT, "furniture_count": 0})
    before = simulator.reset(3)
    fresh = 0
    for _ in range(8):
        now = simulator.step(np.tile([0.5, 0.3], (20, 1))).next_signals
        changed = (now["lidar_range"] != before["lidar_range"]).any(axis=1)
        fresh += changed.sum()
        assert np.array_equal(now["lidar_age_s"][:, 0] < 0.05, changed)
        assert np.array_equal(now["lidar_range_before"][changed], before["lidar_range"][changed])
        before = now
    assert fresh == 20 * 4


def test_the_wheels_reach_the_commanded_speed_and_slip_turns_the_robot() -> None:
    for slip, turns in ((0.0, 0.0), (0.1, 0.1 * 0.22 / 0.160)):
        simulator = Simulator(TASK, 1, overrides={**EXACT, "furniture_count": 0, "wheel_slip_left": slip})
        simulator.reset(0)
        simulator._physics.position[0] = (-1.5, 0, 0)
        signals = [simulator.step(np.array([[1.0, 0.0]])).signals for _ in range(12)][-1]
        assert signals["speed"][0, 0] == pytest.approx(0.22 * (1 - slip / 2), rel=0.01)
        assert signals["turning_speed"][0, 0] == pytest.approx(turns, abs=0.01)


def test_a_slippery_floor_holds_less() -> None:
    """From rest, full speed is reached in m v / F with F = 2 x 0.45 μ m g, if the servo is not the limit."""
    speeds = []
    for friction in (0.05, 0.8):
        simulator = Simulator(TASK, 1, overrides={**EXACT, "furniture_count": 0, "floor_friction": friction})
        simulator.reset(0)
        simulator._physics.position[0] = (-1.5, 0, 0)
        speeds.append(simulator.step(np.array([[1.0, 0.0]])).signals["speed"][0, 0])
    assert speeds[0] == pytest.approx(2 * 0.45 * 0.05 * 9.81 * 0.1, rel=0.1)
    assert speeds[1] > 0.2


def test_driving_into_a_wall_ends_the_episode_as_a_failure_not_with_a_person() -> None:
    simulator = Simulator(TASK, 1, overrides={**EXACT, "furniture_count": 0})
    simulator.reset(0)
    simulator._physics.position[0] = (1.9, 1.0, 0)
    frames = (simulator.step(np.array([[1.0, 0.0]])) for _ in range(30))
    frame = next(frame for frame in frames if frame.ended[0])
    assert frame.terminated[0] and not frame.success[0]
    assert frame.signals["contact"][0, 0] == 1 and frame.signals["contact_person"][0, 0] == 0


def test_a_person_who_does_not_look_walks_into_a_waiting_robot_and_it_is_told_so() -> None:
    simulator = Simulator(TASK, 200, overrides={**NOMINAL, "people_count": 2, "people_yield_share": 0})
    simulator.reset(0)
    contacts = walked_in = 0
    for _ in range(200):
        frame = simulator.step(STILL.repeat(200, 0))
        contacts += frame.signals["contact_person"].sum()
        walked_in += frame.signals["contact_person_walked_in"].sum()
    assert contacts > 20
    assert walked_in == contacts, "the robot stood still, so the person was closing in"


def test_a_robot_that_drives_into_a_standing_person_is_not_said_to_be_walked_into() -> None:
    standing = {"people_count": 1, "people_speed_mps": 0, "people_yield_share": 0, "furniture_count": 0}
    simulator = Simulator(TASK, 40, overrides={**EXACT, **standing})
    simulator.reset(0)
    # From touching at once to a whole decision later.
    simulator._scene.state.people.position[:, 0, 0] = 1.0 + np.linspace(0, 0.022, 40)
    simulator._scene.state.people.position[:, 0, 1] = 0.0
    simulator._physics.position[:] = 0.0
    first, touched, walked_in = np.ones(40, np.bool_), 0, 0
    for _ in range(40):
        frame = simulator.step(np.array([[1.0, 0.0]]).repeat(40, 0))
        touched += frame.signals["contact_person"][first].sum()
        walked_in += frame.signals["contact_person_walked_in"][first].sum()
        first &= ~frame.ended
    assert touched > 30, "but for a goal on the way"
    assert walked_in == 0


def test_people_who_look_make_way_for_a_waiting_robot() -> None:
    touched = {}
    for share in (0.0, 1.0):
        simulator = Simulator(TASK, 200, overrides={**NOMINAL, "people_count": 2, "people_yield_share": share})
        simulator.reset(0)
        touched[share] = sum(simulator.step(STILL.repeat(200, 0)).signals["contact"].sum() for _ in range(200))
    assert touched[1.0] < 0.1 * touched[0.0]


def test_people_walk_at_their_speed_and_not_through_furniture() -> None:
    simulator = Simulator(TASK, 100, overrides={**NOMINAL, "people_count": 2, "people_speed_mps": 0.6})
    simulator.reset(0)
    scene = simulator._scene
    speeds, inside = [], []
    for _ in range(150):
        simulator.step(STILL.repeat(100, 0))
        velocity, position = scene.state.people.velocity, scene.state.people.position
        speeds.append(np.hypot(velocity[..., 0], velocity[..., 1]))
        gap = scene.state.room.clearance(position)
        inside.append(gap)
    assert np.max(speeds) <= 0.6 * 1.1 + 1e-9
    assert 0.25 < np.mean(speeds) < 0.6
    assert np.mean(np.array(inside) > 0) > 0.995, "a person's middle is never inside a piece"
    assert np.mean(np.array(inside) > _people.RADIUS_M - 0.05) > 0.97


def test_motions_are_distinct_actions_and_turns_mirror_each_other() -> None:
    table = TASK.motion_table()
    assert table.shape == (7, len(TASK.action)) and np.abs(table).max() <= 1
    assert len(np.unique(table, axis=0)) == len(table)
    by_name = {motion.name: TASK.command(np.array(motion.action)) for motion in TASK.motions}
    for left in [name for name in by_name if name.endswith("left")]:
        assert np.array_equal(by_name[left] * [1, -1], by_name[left.replace("left", "right")])
    assert np.array_equal(by_name["stand"], [0, 0])
    assert by_name["ahead"] == pytest.approx([turtlebot3.ROBOT.max_forward_speed_mps, 0])
