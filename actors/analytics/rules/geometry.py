"""Plane geometry of rules, in pixels: y points down."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]

_TINY = 1e-12


def to_pixels(points: Sequence[Point], size: tuple[int, int]) -> list[Point]:
    """Points given as fractions of width and height, in pixels."""
    return [(x * size[0], y * size[1]) for x, y in points]


def line_distance(point: Point, a: Point, b: Point) -> float:
    """Distance from the endless line through a and b; its sign is that of cross(b - a, p - a)."""
    cross = (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
    return cross / math.dist(a, b)


def is_beside(point: Point, a: Point, b: Point) -> bool:
    """Whether the point's nearest place on the endless line lies between a and b."""
    along = (point[0] - a[0]) * (b[0] - a[0]) + (point[1] - a[1]) * (b[1] - a[1])
    return 0 <= along <= (b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2


def between(p: Point, q: Point, fraction: float) -> Point:
    """The point at a fraction of the way from p to q."""
    return p[0] + fraction * (q[0] - p[0]), p[1] + fraction * (q[1] - p[1])


def polygon_distance(points: Sequence[Point], corners: NDArray[np.float64]) -> list[float]:
    """Distances of points from the border of a polygon [m, 2]: positive inside, negative outside.

    A point is inside where a ray to the right meets an odd number of edges (even-odd rule).
    """
    from_corners = np.asarray(points, dtype=np.float64).reshape(-1, 1, 2) - corners  # [n, m, 2]
    edges = np.roll(corners, -1, axis=0) - corners
    squares = np.maximum((edges * edges).sum(axis=1), _TINY)
    along = np.clip((from_corners * edges).sum(axis=2) / squares, 0, 1)
    away = from_corners - along[..., None] * edges
    distance = np.sqrt((away * away).sum(axis=2).min(axis=1))
    below = from_corners[..., 1] >= 0
    spans = below != np.roll(below, -1, axis=1)
    slopes = edges[:, 0] / np.where(edges[:, 1] == 0, _TINY, edges[:, 1])
    is_left = from_corners[..., 0] < from_corners[..., 1] * slopes
    inside = np.count_nonzero(spans & is_left, axis=1) % 2 == 1
    signed: list[float] = np.where(inside, distance, -distance).tolist()
    return signed
