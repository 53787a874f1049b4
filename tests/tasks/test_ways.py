"""The shortest way round furniture, beside ways worked out by hand and beside a search on a fine grid."""

import heapq
from itertools import product
from math import gcd, hypot

import numpy as np
import pytest
from numpy.typing import NDArray

from companion.tasks._room import AWAY_M, Room, draw_free_points, draw_rooms
from companion.tasks._scene import rows_of
from companion.tasks._ways import MARGIN_M, shortest, ways_of

PIECES = 3


def room(*pieces: tuple[float, float, float, float], half_size: float = 3.0) -> Room:
    """One room with pieces given as middle x, y and half length, width."""
    centre, half = np.full((1, PIECES, 2), AWAY_M), np.full((1, PIECES, 2), 0.2)
    for index, (x, y, half_x, half_y) in enumerate(pieces):
        centre[0, index], half[0, index] = (x, y), (half_x, half_y)
    flat = np.zeros((1, PIECES))
    return Room(np.array([half_size]), centre, half, flat, flat + 1.0)


def way(rooms: Room, start: tuple[float, float], end: tuple[float, float]) -> float:
    """The way in the only room."""
    return float(shortest(ways_of(rooms), rooms, np.array([start]), np.array([end]))[0])


def test_nothing_between_is_a_straight_way() -> None:
    assert way(room(), (-1.0, 0.0), (2.0, 0.0)) == pytest.approx(3.0)
    assert way(room((0.0, 1.0, 0.3, 0.3)), (-1.0, 0.0), (1.0, 0.0)) == pytest.approx(2.0)


def test_the_way_round_a_box_goes_past_two_corners() -> None:
    # Turns 0.3 m outside a box of half a side 0.3: at (±0.6, ±0.6).
    assert way(room((0.0, 0.0, 0.3, 0.3)), (-1.0, 0.0), (1.0, 0.0)) == pytest.approx(2 * hypot(0.4, 0.6) + 1.2)


def test_the_nearer_side_is_taken() -> None:
    there = way(room((0.0, 0.2, 0.3, 0.3)), (-1.0, 0.0), (1.0, 0.0))
    assert there == pytest.approx(2 * hypot(0.4, 0.4) + 1.2)


def test_a_side_that_a_wall_closes_is_not_taken() -> None:
    # The lower corners would be 0.1 m from the wall.
    rooms = room((0.0, -0.5, 0.3, 1.2), half_size=2.1)
    assert way(rooms, (-1.0, -1.2), (1.0, -1.2)) == pytest.approx(2 * hypot(0.4, 2.2) + 1.2)


def test_who_stands_beside_furniture_still_has_a_way() -> None:
    # 0.1 m from the box, nearer than any way passes it.
    rooms = room((0.0, 0.0, 0.3, 0.3))
    assert way(rooms, (-0.4, 0.0), (-2.0, 0.0)) == pytest.approx(1.6)
    assert way(rooms, (-0.4, 0.0), (0.4, 0.0)) > 1.2


def test_ways_are_those_of_a_fine_grid() -> None:
    random = np.random.default_rng(3)
    rooms = draw_rooms(np.full(90, 5.0), np.full(90, 3.0), PIECES, random)
    start, end = (draw_free_points(rooms, 0.35, np.zeros((90, 0, 2)), (), random) for _ in range(2))
    found = shortest(ways_of(rooms), rooms, start, end)
    detour = found - np.linalg.norm(end - start, axis=1)
    compared = np.flatnonzero(detour > 0.05)[:6]
    assert len(compared) == 6
    for index in compared:
        one = rows_of(rooms, slice(index, index + 1))
        searched = _on_a_grid(one, start[index], end[index])
        # Ours turns 0.08 m farther out, at up to four corners.
        assert searched - 0.06 <= found[index] <= searched + 0.35, index


def _on_a_grid(rooms: Room, start: NDArray[np.float64], end: NDArray[np.float64], mesh_m: float = 0.05) -> float:
    """Dijkstra over points that keep the margin, with steps in 32 directions."""
    half = float(rooms.half_size[0])
    axis = np.linspace(-half, half, round(2 * half / mesh_m) + 1)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    free = rooms.clearance(points.reshape(1, -1, 2)).reshape(len(axis), -1) > MARGIN_M
    first, last = (tuple(int(np.abs(axis - value).argmin()) for value in point) for point in (start, end))
    steps = [(x, y) for x, y in product(range(-3, 4), repeat=2) if gcd(x, y) == 1]
    best, queue = {first: 0.0}, [(0.0, first)]
    while queue:
        length, here = heapq.heappop(queue)
        if here == last:
            return length
        for x, y in steps:
            there = here[0] + x, here[1] + y
            longer = length + mesh_m * hypot(x, y)
            if max(there) < len(axis) and min(there) >= 0 and free[there] and longer < best.get(there, np.inf):
                best[there] = longer
                heapq.heappush(queue, (longer, there))
    raise AssertionError("no way")
