"""A furnished room: pieces stand on a jittered grid, so that there is a way around each; distances to all of it."""

from dataclasses import dataclass

import numpy as np

from companion.tasks._scene import Floats

GRID = 3
"""Cells along each side of the room; at most one piece stands in a cell."""
HALF_SIZE_M = (0.15, 0.38)
"""Half lengths and half widths of pieces of furniture: stools to sideboards."""
HEIGHT_M = (0.35, 1.1)
GAP_M = 0.17
"""Between a piece and the border of its cell, so that two pieces leave twice this between them."""
AWAY_M = 50.0
"""Pieces that are not in the room stand this far outside."""


@dataclass
class Room:
    """Rooms of some copies; arrays over copies, m and rad, in the world frame with the room's middle at 0."""

    half_size: Floats
    """Half the side of the square room `[k]`."""
    centre: Floats
    """Of each piece `[k, pieces, 2]`."""
    half: Floats
    """Half length, half width `[k, pieces, 2]`."""
    yaw: Floats
    """`[k, pieces]`."""
    height: Floats
    """`[k, pieces]`."""

    def clearance(self, point: Floats) -> Floats:
        """From points `[k, n, 2]` to the nearest wall or piece, `[k, n]` m, negative inside."""
        _, _, out_x, out_y = self._from_pieces(point)
        to_wall = self.half_size[:, None] - np.abs(point).max(axis=2)
        return np.minimum(_outside(out_x, out_y).min(axis=2), to_wall)

    def gaps(self, point: Floats) -> Floats:
        """From points `[k, n, 2]` to each piece, `[k, n, pieces]` m, negative inside."""
        _, _, out_x, out_y = self._from_pieces(point)
        return _outside(out_x, out_y)

    def clearance_and_way_out(self, point: Floats) -> tuple[Floats, Floats]:
        """`clearance`, and the unit vectors `[k, n, 2]` that lead away from what is nearest."""
        x, y, out_x, out_y = self._from_pieces(point)
        gap = _outside(out_x, out_y)
        rows, columns = np.arange(len(point))[:, None], np.arange(point.shape[1])[None, :]
        nearest = (rows, columns, gap.argmin(axis=2))
        gap = gap[nearest]
        local_x, local_y = _way_out(x[nearest], y[nearest], out_x[nearest], out_y[nearest])
        yaw = self.yaw[rows, nearest[2]]
        cos, sin = np.cos(yaw), np.sin(yaw)
        from_wall = np.abs(point[..., 0]) > np.abs(point[..., 1])
        to_wall = self.half_size[:, None] - np.abs(point).max(axis=2)
        is_wall = to_wall < gap
        side = -np.sign(point)
        way_x = np.where(is_wall, side[..., 0] * from_wall, cos * local_x - sin * local_y)
        way_y = np.where(is_wall, side[..., 1] * ~from_wall, sin * local_x + cos * local_y)
        return np.minimum(gap, to_wall), np.stack((way_x, way_y), axis=2)

    def _from_pieces(self, point: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Points in each piece's frame, and how far past its sides they are; four of `[k, n, pieces]`."""
        offset_x = point[:, :, None, 0] - self.centre[:, None, :, 0]
        offset_y = point[:, :, None, 1] - self.centre[:, None, :, 1]
        cos, sin = np.cos(self.yaw)[:, None, :], np.sin(self.yaw)[:, None, :]
        x = cos * offset_x + sin * offset_y
        y = cos * offset_y - sin * offset_x
        return x, y, np.abs(x) - self.half[:, None, :, 0], np.abs(y) - self.half[:, None, :, 1]


def _outside(out_x: Floats, out_y: Floats) -> Floats:
    """Signed distance to rectangles, from how far past their sides a point is."""
    past_x, past_y = np.maximum(out_x, 0.0), np.maximum(out_y, 0.0)
    return np.sqrt(past_x * past_x + past_y * past_y) + np.minimum(np.maximum(out_x, out_y), 0.0)


def _way_out(x: Floats, y: Floats, out_x: Floats, out_y: Floats) -> tuple[Floats, Floats]:
    """Unit vectors in a rectangle's frame: to the nearer side from inside, away from the nearest point from outside."""
    inside = (out_x < 0) & (out_y < 0)
    along_x = np.sign(x) * np.where(inside, out_x >= out_y, np.maximum(out_x, 0.0))
    along_y = np.sign(y) * np.where(inside, out_x < out_y, np.maximum(out_y, 0.0))
    length = np.maximum(np.hypot(along_x, along_y), 1e-9)
    return along_x / length, along_y / length


def empty_rooms(copies: int, pieces: int) -> Room:
    """Room for so many rooms."""
    shape = (copies, pieces)
    return Room(np.zeros(copies), np.zeros((*shape, 2)), np.zeros((*shape, 2)), np.zeros(shape), np.zeros(shape))


def draw_rooms(size_m: Floats, pieces: Floats, most: int, random: np.random.Generator) -> Room:
    """Rooms of these sides `[k]` with so many of at most `most` pieces `[k]`."""
    count = len(size_m)
    cell = size_m / GRID
    order = random.random((count, GRID * GRID)).argsort(axis=1)[:, :most]
    middle = np.stack((order % GRID, order // GRID), axis=2) - (GRID - 1) / 2
    half = random.uniform(*HALF_SIZE_M, (count, most, 2))
    largest = (cell / 2 - GAP_M)[:, None]
    radius = np.hypot(half[..., 0], half[..., 1])
    half *= np.minimum(1.0, largest / radius)[..., None]
    slack = largest - np.minimum(radius, largest)
    centre = middle * cell[:, None, None] + random.uniform(-1, 1, (count, most, 2)) * slack[..., None]
    absent = np.arange(most)[None, :] >= pieces[:, None]
    centre[absent] = AWAY_M
    yaw = random.uniform(-np.pi / 2, np.pi / 2, (count, most))
    return Room(size_m / 2, centre, half, yaw, random.uniform(*HEIGHT_M, (count, most)))


def draw_free_points(
    rooms: Room, clearance_m: float, others: Floats, away_m: tuple[float, ...], random: np.random.Generator
) -> Floats:
    """A point per room `[k, 2]` with so much clearance that is also away from other points `[k, others, 2]` (m each).

    Of 32 candidates the first that fits is taken, else the one with most clearance.
    """
    count = len(rooms.half_size)
    candidates = random.uniform(-1, 1, (count, 32, 2)) * (rooms.half_size - clearance_m)[:, None, None]
    gap = rooms.clearance(candidates)
    for index, away in enumerate(away_m):
        distance = np.linalg.norm(candidates - others[:, None, index], axis=2)
        gap = np.minimum(gap, distance - away + clearance_m)
    chosen = np.where(gap >= clearance_m, 1e3 - np.arange(32), gap).argmax(axis=1)
    return candidates[np.arange(count), chosen]


def draw_free_points_near(
    rooms: Room, clearance_m: float, centre: Floats, away_m: tuple[float, float], random: np.random.Generator
) -> Floats:
    """A point per room `[k, 2]` with so much clearance at a distance of `away_m`, from to, about `centre` `[k, 2]`.

    Of 32 candidates the first that fits is taken, else the one with most clearance.
    """
    count = len(rooms.half_size)
    angle = random.uniform(-np.pi, np.pi, (count, 32))
    distance = random.uniform(*away_m, (count, 32))
    candidates = centre[:, None] + distance[..., None] * np.stack((np.cos(angle), np.sin(angle)), axis=2)
    gap = rooms.clearance(candidates)
    chosen = np.where(gap >= clearance_m, 1e3 - np.arange(32), gap).argmax(axis=1)
    return candidates[np.arange(count), chosen]
