"""What a policy of mobile_follow starts from: the dynamic window of the controller, told the truth about people.

It knows where everybody is and how they walk, looks twice as far ahead, and reckons with how fast the robot can change
its speed. A robot can't know all that; the policy learns from it what can be told from what is observed (Chen et al.
2020, "Learning by cheating").
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from companion.robots import rosbot
from companion.robots._sensing import in_robot_frame
from companion.tasks._follow_probes import ACTIONS, FAR_M, KEEP_M, MARGIN_M, WALKS_MPS, Weights, way_to_person
from companion.tasks._people import RADIUS_M
from companion.tasks._rosbot_base import MAX_BACKWARD_SPEED_MPS, MAX_FORWARD_SPEED_MPS, MAX_TURNING_SPEED_RADPS
from companion.tasks._task import Controller

Floats = NDArray[np.floating]
Signals = Mapping[str, NDArray[np.float64]]

DELAY_S = 0.1
"""In which the robot goes on as it does."""
HORIZON_S, MOMENTS = 1.6, 8
"""An arc is driven so long, and looked at so often."""
PLACED_MOMENTS = 4
"""The first of them tell how well it places the robot, and how near it brings it to what the scanner shows."""
ROOM_FOR_PEOPLE_M = 0.2
"""Wanted between the hull and somebody."""
MEETING = 6.0
"""Cost of coming as near to somebody as to touch them."""
GIVES_WAY = 0.3
"""Where the way round furniture comes as near to people as this, in parts of a touch, it is left."""
_STEP_S = HORIZON_S / MOMENTS
_LATER_S = DELAY_S + _STEP_S * np.arange(1, MOMENTS + 1)
_SPEEDS = ((ACTIONS[:, 0] + 1) / 2 * (MAX_FORWARD_SPEED_MPS + MAX_BACKWARD_SPEED_MPS) - MAX_BACKWARD_SPEED_MPS).astype(
    np.float32
)
_TURNS = (ACTIONS[:, 1] * MAX_TURNING_SPEED_RADPS).astype(np.float32)


def teacher() -> Controller:
    """The controller that is told."""
    return follow_told


def follow_told(signals: Signals) -> NDArray[np.float64]:
    """The best arc's action `[copies, 2]`."""
    position, velocity = _people(signals)
    offset = position[:, 0]
    distance = np.maximum(np.hypot(offset[:, :1], offset[:, 1:]), 1e-6)
    signals = {**signals, "person_distance": distance, "person_direction": offset / distance}
    poses = _arcs(signals["velocity"])
    meeting = _meeting(poses, position, velocity)
    placed = poses[:, :, :PLACED_MOMENTS]
    weights = Weights()
    change = np.abs(ACTIONS[None] - signals["previous_action"][:, None]).sum(axis=2)
    cost = _placing(placed, offset, velocity[:, 0], weights) + weights.clearance * _crowding(placed, signals)
    cost = cost + MEETING * meeting + weights.effort * change
    round_it = way_to_person(signals)
    as_arc = ((ACTIONS[None] - round_it[:, None]) ** 2).sum(axis=2).argmin(axis=1)
    is_free = meeting[np.arange(len(meeting)), as_arc, None] <= GIVES_WAY
    return np.where((distance > KEEP_M + FAR_M) & is_free, round_it, ACTIONS[cost.argmin(axis=1)])


def _people(signals: Signals) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where everybody is, in the robot's frame, and how they walk `[copies, people, 2]`, m and m/s."""
    place, yaw = signals["position_room"], signals["yaw_room"]
    position, velocity = (
        signals[name].reshape(len(yaw), -1, 2) for name in ("people_position_room", "people_velocity_room")
    )
    everybody = range(position.shape[1])
    return (
        np.stack([in_robot_frame(position[:, one] - place, yaw) for one in everybody], axis=1),
        np.stack([in_robot_frame(velocity[:, one], yaw) for one in everybody], axis=1),
    )


def _arcs(velocity: NDArray[np.float64]) -> Floats:
    """Ahead, left and turn at each moment of each arc `[copies, arcs, MOMENTS, 3]`, from this motion `[copies, 2]`."""
    robot = rosbot.ROBOT
    faster, turns_faster = (
        limit * _STEP_S for limit in (robot.max_acceleration_mps2, robot.max_turning_acceleration_radps2)
    )
    speed, turn = (np.repeat(velocity[:, column, None].astype(np.float32), len(ACTIONS), axis=1) for column in (0, 1))
    yaw = turn * DELAY_S
    x, y = speed * DELAY_S * np.cos(yaw / 2), speed * DELAY_S * np.sin(yaw / 2)
    poses = np.empty((*speed.shape, MOMENTS, 3), np.float32)
    for moment in range(MOMENTS):
        next_speed = speed + np.clip(_SPEEDS - speed, -faster, faster)
        next_turn = turn + np.clip(_TURNS - turn, -turns_faster, turns_faster)
        way, angle = (speed + next_speed) * (_STEP_S / 2), (turn + next_turn) * (_STEP_S / 2)
        x, y = x + way * np.cos(yaw + angle / 2), y + way * np.sin(yaw + angle / 2)
        yaw, speed, turn = yaw + angle, next_speed, next_turn
        poses[:, :, moment, 0], poses[:, :, moment, 1], poses[:, :, moment, 2] = x, y, yaw
    return poses


def _offsets(poses: Floats, position: Floats, velocity: Floats) -> tuple[Floats, Floats]:
    """Where somebody who walks on is from the robot then, axes as now, each `[copies, arcs, moments]`, m."""
    there = position[:, None] + _LATER_S[: poses.shape[2], None] * velocity[:, None]
    there = there.astype(np.float32)[:, None]
    return there[..., 0] - poses[..., 0], there[..., 1] - poses[..., 1]


def _placing(poses: Floats, position: Floats, velocity: Floats, weights: Weights) -> Floats:
    """How badly an arc places the robot to the first person `[copies, arcs]`."""
    ahead, left = _offsets(poses, position, velocity)
    distance = np.maximum(np.hypot(ahead, left), 1e-6)
    bearing = np.arctan2(left, ahead) - poses[..., 2]
    away = np.abs((bearing + np.pi) % (2 * np.pi) - np.pi)
    way = velocity / np.maximum(np.hypot(velocity[:, :1], velocity[:, 1:]), WALKS_MPS)
    in_way = -(ahead * way[:, :1, None] + left * way[:, 1:, None]) / distance
    cost = weights.distance * np.abs(distance - KEEP_M) + weights.facing * away
    return (cost + weights.in_way * np.maximum(in_way, 0.0)).mean(axis=2)


def _meeting(poses: Floats, position: Floats, velocity: Floats) -> Floats:
    """How near each arc comes to people who walk on `[copies, arcs]`: 0 beyond the room they want, 1 at a touch."""
    cost = np.zeros(poses.shape[:2], np.float32)
    for one in range(position.shape[1]):
        free = np.hypot(*_offsets(poses, position[:, one], velocity[:, one])).min(axis=2)
        free -= RADIUS_M + rosbot.ROBOT.radius_m
        cost += np.clip(1 - free / ROOM_FOR_PEOPLE_M, 0.0, 3.0)
    return cost


def _crowding(poses: Floats, signals: Signals) -> Floats:
    """How near each arc comes to what the scanner shows `[copies, arcs]`: 0 beyond the margin, 1 at a touch."""
    ranges = 1 / signals["lidar_nearness"]
    angles = 2 * np.pi * np.arange(ranges.shape[1]) / ranges.shape[1]
    x = (ranges * np.cos(angles) + rosbot.ROBOT.lidar_position_base_m[0]).astype(np.float32)
    y = (ranges * np.sin(angles)).astype(np.float32)
    nearest = np.full(poses.shape[:3], np.inf, np.float32)
    for beam in range(x.shape[1]):
        # Over beams, not copies: one array of all pairs would not fit into the cache.
        ahead, left = x[:, beam, None, None] - poses[..., 0], y[:, beam, None, None] - poses[..., 1]
        np.minimum(nearest, ahead * ahead + left * left, out=nearest)
    free = np.sqrt(nearest) - rosbot.ROBOT.radius_m
    return np.clip(1 - free / MARGIN_M, 0.0, 2.0).max(axis=2)
