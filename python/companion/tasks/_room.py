"""A furnished room: pieces stand on a jittered grid, so that a way around each of them is left; distances to all of it."""

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
    """Rooms of some copies; arrays over copies, lengths in m, angles in rad, world frame with the room's middle at 0."""

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

    def at(self, which: slice | np.ndarray) -> "Room":
        """The rooms of these copies."""
        return Room(self.half_size[which], self.centre[which], self.half[which], self.yaw[which], self.height[which])

    def write(self, which: np.ndarray, rooms: "Room") -> None:
        """Put other rooms into these copies."""
        for name, values in vars(rooms).items():
            getattr(self, name)[which] = values

    def clearance(self, point: Floats) -> tuple[Floats, Floats]:
        """From points `[k, n, 2]` to the nearest wall or piece `[k, n]`, negative inside, and the way from it `[k, n, 2]`."""
        offset = point[:, :, None, :] - self.centre[:, None, :, :]
        cos, sin = np.cos(self.yaw)[:, None, :], np.sin(self.yaw)[:, None, :]
        x = cos * offset[..., 0] + sin * offset[..., 1]
        y = cos * offset[..., 1] - sin * offset[..., 0]
        out_x = np.abs(x) - self.half[:, None, :, 0]
        out_y = np.abs(y) - self.half[:, None, :, 1]
        past_x, past_y = np.maximum(out_x, 0.0), np.maximum(out_y, 0.0)
        gap = np.sqrt(past_x * past_x + past_y * past_y) + np.minimum(np.maximum(out_x, out_y), 0.0)
        nearest = gap.argmin(axis=2)[:, :, None]
        gap = np.take_along_axis(gap, nearest, 2)[:, :, 0]
        normal = self._way_out(x, y, out_x, out_y, nearest)
        return self._with_walls(point, gap, normal)

    def _way_out(self, x: Floats, y: Floats, out_x: Floats, out_y: Floats, nearest: np.ndarray) -> Floats:
        """Unit vectors in the world away from the nearest piece."""
        x, y, out_x, out_y = (np.take_along_axis(value, nearest, 2)[:, :, 0] for value in (x, y, out_x, out_y))
        inside = (out_x < 0) & (out_y < 0)
        along_x = np.where(inside, out_x >= out_y, out_x > 0) * np.sign(x) * np.where(inside, 1.0, np.maximum(out_x, 0))
        along_y = np.where(inside, out_x < out_y, out_y > 0) * np.sign(y) * np.where(inside, 1.0, np.maximum(out_y, 0))
        length = np.maximum(np.hypot(along_x, along_y), 1e-9)
        yaw = np.take_along_axis(np.broadcast_to(self.yaw[:, None, :], (*x.shape, self.yaw.shape[1])), nearest, 2)[..., 0]
        cos, sin = np.cos(yaw), np.sin(yaw)
        return np.stack((cos * along_x - sin * along_y, sin * along_x + cos * along_y), axis=2) / length[..., None]

    def _with_walls(self, point: Floats, gap: Floats, normal: Floats) -> tuple[Floats, Floats]:
        wall_gap = self.half_size[:, None, None] - np.abs(point)
        nearest = wall_gap.argmin(axis=2)
        to_wall = np.take_along_axis(wall_gap, nearest[:, :, None], 2)[:, :, 0]
        inward = np.zeros_like(normal)
        side = np.take_along_axis(point, nearest[:, :, None], 2)
        np.put_along_axis(inward, nearest[:, :, None], -np.sign(side), 2)
        is_wall = to_wall < gap
        return np.where(is_wall, to_wall, gap), np.where(is_wall[..., None], inward, normal)


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
    gap, _ = rooms.clearance(candidates)
    for index, away in enumerate(away_m):
        distance = np.linalg.norm(candidates - others[:, None, index], axis=2)
        gap = np.minimum(gap, distance - away + clearance_m)
    chosen = np.where(gap >= clearance_m, 1e3 - np.arange(32), gap).argmax(axis=1)
    return candidates[np.arange(count), chosen]
