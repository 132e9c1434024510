"""Plane geometry of rules, in pixels: y points down."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]


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


def polygon_distance(point: Point, corners: NDArray[np.float64]) -> float:
    """Distance from the border of a polygon [m, 2]: positive inside, negative outside.

    A point is inside where a ray to the right meets an odd number of edges (even-odd rule).
    """
    starts = corners - point
    ends = np.roll(starts, -1, axis=0)
    edges = ends - starts
    along = -(starts * edges).sum(axis=1) / np.maximum((edges * edges).sum(axis=1), 1e-12)
    nearest = starts + np.clip(along, 0, 1)[:, None] * edges
    distance = float(np.sqrt((nearest * nearest).sum(axis=1).min()))
    spans = (starts[:, 1] > 0) != (ends[:, 1] > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        meets_x = starts[:, 0] - starts[:, 1] * edges[:, 0] / edges[:, 1]
    inside = np.count_nonzero(spans & (meets_x > 0)) % 2 == 1
    return distance if inside else -distance
