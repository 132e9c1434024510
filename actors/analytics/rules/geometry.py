"""Plane geometry of rules, in pixels: y points down."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Point = tuple[float, float]

_TINY = 1e-12


def to_pixels(points: Sequence[Point], size: tuple[int, int]) -> list[Point]:
    """Points given as fractions of width and height, in pixels."""
    return [(x * size[0], y * size[1]) for x, y in points]


class Line:
    """The endless line through a and b."""

    def __init__(self, a: Point, b: Point) -> None:
        self._a = a
        self._run, self._rise = b[0] - a[0], b[1] - a[1]
        self._length = math.dist(a, b)

    def distance(self, point: Point) -> float:
        """Distance of a point from the line; its sign is that of cross(b - a, p - a)."""
        cross = self._run * (point[1] - self._a[1]) - self._rise * (point[0] - self._a[0])
        return cross / self._length

    def is_beside(self, point: Point) -> bool:
        """Whether the point's nearest place on the line lies between a and b."""
        along = (point[0] - self._a[0]) * self._run + (point[1] - self._a[1]) * self._rise
        return 0 <= along <= self._run**2 + self._rise**2


class Polygon:
    """A polygon; what does not depend on the points that are asked for is worked out once."""

    def __init__(self, corners: Sequence[Point]) -> None:
        self._corners = np.array(corners, dtype=np.float64).T[:, :, None]  # [2, m, 1]
        self._ends = np.roll(self._corners, -1, axis=1)
        self._edges = self._ends - self._corners
        run, rise = self._edges
        # times a way from the corner: the part of the edge that it covers
        self._parts = self._edges / np.maximum(run * run + rise * rise, _TINY)
        self._slopes = run / np.where(rise == 0, _TINY, rise)

    def distances(self, points: Floats) -> list[float]:
        """Distances of points [2, n] from the border: positive inside, negative outside.

        A point is inside where a ray to the right meets an odd number of edges (even-odd rule).
        """
        from_corners = points[:, None] - self._corners  # [2, m, n]
        right, below = from_corners
        products = from_corners * self._parts
        along = (products[0] + products[1]).clip(0, 1)
        away = from_corners - along * self._edges
        away *= away
        distance = np.sqrt((away[0] + away[1]).min(axis=0))
        spans = (below >= 0) != (points[1] >= self._ends[1])
        inside = np.logical_xor.reduce(spans & (right < below * self._slopes), axis=0)
        signed: list[float] = np.where(inside, distance, -distance).tolist()
        return signed


def between(p: Point, q: Point, fraction: float) -> Point:
    """The point at a fraction of the way from p to q."""
    return p[0] + fraction * (q[0] - p[0]), p[1] + fraction * (q[1] - p[1])
