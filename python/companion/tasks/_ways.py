"""The shortest way between two points of a furnished room: straight, or round what stands there by its corners."""

from dataclasses import dataclass

import numpy as np

from companion.tasks._room import Room
from companion.tasks._scene import Floats, rows_of

ASIDE_M = 0.3
"""A way turns this far outside the corners of furniture."""
MARGIN_M = 0.22
"""What passes furniture nearer than this is no way, unless it begins or ends so near."""
SLACK_M = 0.02
"""Who begins or ends nearer than that may come so much nearer on the way."""
_CORNERS = np.array(((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)))


@dataclass
class Ways:
    """Ways between the corners of the furniture; arrays over copies."""

    corner: Floats
    """Where a way may turn, in the room `[k, corners, 2]`, m."""
    between: Floats
    """The shortest way from each to each `[k, corners, corners]`, m; infinite where there is none."""


def empty_ways(copies: int, pieces: int) -> Ways:
    """Ways for so many rooms."""
    corners = len(_CORNERS) * pieces
    return Ways(np.zeros((copies, corners, 2)), np.full((copies, corners, corners), np.inf))


def ways_of(rooms: Room) -> Ways:
    """All ways between corners (Floyd 1962, algorithm 97)."""
    cos, sin = np.cos(rooms.yaw)[..., None], np.sin(rooms.yaw)[..., None]
    local = _CORNERS * (rooms.half + ASIDE_M)[:, :, None, :]
    turned = np.stack((cos * local[..., 0] - sin * local[..., 1], sin * local[..., 0] + cos * local[..., 1]), axis=-1)
    corner = (rooms.centre[:, :, None] + turned).reshape(len(cos), -1, 2)
    count = corner.shape[1]
    start, end = (np.repeat(corner, count, axis=1), np.tile(corner, (1, count, 1)))
    margin = np.full((len(cos), 1, rooms.centre.shape[1]), MARGIN_M)
    blocked = _blocked(rooms, start, end, margin).reshape(-1, count, count)
    closed = rooms.clearance(corner) < MARGIN_M
    between = np.linalg.norm(corner[:, :, None] - corner[:, None], axis=3)
    between[blocked | closed[:, :, None] | closed[:, None, :]] = np.inf
    for over in range(count):
        between = np.minimum(between, between[:, :, over, None] + between[:, None, over, :])
    return Ways(corner, between)


def shortest(ways: Ways, rooms: Room, start: Floats, end: Floats) -> Floats:
    """Length of the shortest way from `start` to `end` `[k, 2]`, m `[k]`; the straight one where none leads round."""
    length = np.linalg.norm(end - start, axis=1)
    ends = np.stack((start, end), axis=1)
    margin = np.clip(rooms.gaps(ends).min(axis=1) - SLACK_M, 0.0, MARGIN_M)[:, None]
    behind = np.flatnonzero(_blocked(rooms, start[:, None], end[:, None], margin)[:, 0])
    if len(behind):
        few = rows_of(rooms, behind)
        corner, between = ways.corner[behind], ways.between[behind]
        legs = [_legs(few, ends[behind, side], corner, margin[behind]) for side in (0, 1)]
        round_it = (legs[0][:, :, None] + between + legs[1][:, None, :]).min(axis=(1, 2))
        length[behind] = np.where(np.isfinite(round_it), round_it, length[behind])
    return length


def _legs(rooms: Room, point: Floats, corner: Floats, margin: Floats) -> Floats:
    """Straight ways from a point `[k, 2]` to the corners `[k, corners]`, m; infinite where something is between."""
    legs = np.linalg.norm(corner - point[:, None], axis=2)
    legs[_blocked(rooms, np.broadcast_to(point[:, None], corner.shape), corner, margin)] = np.inf
    return legs


def _blocked(rooms: Room, start: Floats, end: Floats, margin: Floats) -> np.ndarray:
    """Whether the segments from `start` to `end` `[k, n, 2]` cross a piece, grown by `margin` `[k, 1, pieces]`, m."""
    cos, sin = np.cos(rooms.yaw)[:, None], np.sin(rooms.yaw)[:, None]
    first, last = (point[:, :, None] - rooms.centre[:, None] for point in (start, end))
    enters, leaves = np.full(cos.shape, 0.0), np.full(cos.shape, 1.0)
    for axis, (along, across) in enumerate(((cos, sin), (-sin, cos))):
        here = along * first[..., 0] + across * first[..., 1]
        way = along * last[..., 0] + across * last[..., 1] - here
        way = np.where(np.abs(way) < 1e-9, 1e-9, way)
        half = rooms.half[:, None, :, axis] + margin
        one, other = (-half - here) / way, (half - here) / way
        enters, leaves = np.maximum(enters, np.minimum(one, other)), np.minimum(leaves, np.maximum(one, other))
    return np.any(enters < leaves, axis=2)
