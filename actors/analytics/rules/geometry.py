"""Plane geometry of rules, in pixels: y points down."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Point = tuple[float, float]

_TINY = 1e-12


class Line:
    """The endless line through a and b; distances have the sign of cross(b - a, p - a)."""

    def __init__(self, a: Point, b: Point) -> None:
        self._a = a
        self._run, self._rise = b[0] - a[0], b[1] - a[1]
        self._length = math.dist(a, b)

    def distance(self, point: Point) -> float:
        """Signed distance of a point from the line."""
        cross = self._run * (point[1] - self._a[1]) - self._rise * (point[0] - self._a[0])
        return cross / self._length

    @staticmethod
    def distances(lines: Sequence[Line], i: Indices, points: Floats) -> Floats:
        """Signed distances [n] of points [2, n], each from the line of its number in ``i``."""
        of_lines = np.array([(*line._a, line._run, line._rise, line._length) for line in lines])
        x, y, run, rise, length = of_lines.T.take(i, axis=1)
        cross = run * (points[1] - y) - rise * (points[0] - x)
        return np.asarray(cross / length)

    def is_beside(self, point: Point) -> bool:
        """Whether the point's nearest place on the line lies between a and b."""
        along = (point[0] - self._a[0]) * self._run + (point[1] - self._a[1]) * self._rise
        return 0 <= along <= self._run**2 + self._rise**2


class Polygon:
    """A polygon; distances from its border are positive inside, negative outside."""

    def __init__(self, corners: Sequence[Point]) -> None:
        starts = np.array(corners, dtype=np.float64).T
        ends = np.roll(starts, -1, axis=1)
        edges = ends - starts
        run, rise = edges
        # times a way from the corner: the part of the edge that it covers
        parts = edges / np.maximum(run * run + rise * rise, _TINY)
        slopes = run / np.where(rise == 0, _TINY, rise)
        self._edges = np.concatenate([starts, edges, parts, ends[1:], slopes[None]])  # [8, m]

    def distance(self, point: Point) -> float:
        """Signed distance of a point from the border."""
        points = np.array(point)[:, None]
        return float(Polygon.distances([self], np.zeros(1, dtype=np.intp), points)[0])

    def met(self, p: Point, q: Point) -> float | None:
        """Where the way from p to q meets the border for the last time, as a fraction of that way.

        None where it does not. Distances do not tell that: they may be from different edges.
        """
        x, y, run, rise = self._edges[:4]
        along_x, along_y = q[0] - p[0], q[1] - p[1]
        cross = along_x * rise - along_y * run
        cross = np.where(cross == 0, _TINY, cross)
        way = ((x - p[0]) * rise - (y - p[1]) * run) / cross
        edge = ((x - p[0]) * along_y - (y - p[1]) * along_x) / cross
        meets = way[(way >= 0) & (way <= 1) & (edge >= 0) & (edge <= 1)]
        return float(meets.max()) if len(meets) else None

    @staticmethod
    def distances(polygons: Sequence[Polygon], i: Indices, points: Floats) -> Floats:
        """Signed distances [n] of points [2, n], each from the polygon of its number in ``i``.

        A point is inside where a ray to the right meets an odd number of edges (even-odd rule).
        """
        if not len(i):
            return np.empty(0)
        num_edges = np.array([polygon._edges.shape[1] for polygon in polygons])
        first_edge = num_edges.cumsum() - num_edges
        each = num_edges[i]
        begins = each.cumsum() - each  # where the edges of each point begin
        of_point = np.arange(len(i)).repeat(each)
        number = np.arange(len(of_point)) + (first_edge[i] - begins)[of_point]
        edges = np.concatenate([polygon._edges for polygon in polygons], axis=1)
        start, edge, part, (end_y, slope) = edges.take(number, axis=1).reshape(4, 2, -1)
        at = points.take(of_point, axis=1)
        right, below = from_start = at - start
        products = from_start * part
        along = (products[0] + products[1]).clip(0, 1)
        away = from_start - along * edge
        away *= away
        distance = np.sqrt(np.minimum.reduceat(away[0] + away[1], begins))
        spans = (below >= 0) != (at[1] >= end_y)
        inside = np.logical_xor.reduceat(spans & (right < below * slope), begins)
        return np.where(inside, distance, -distance)


Border = Line | Polygon


def between(p: Point, q: Point, fraction: float) -> Point:
    """The point at a fraction of the way from p to q."""
    return p[0] + fraction * (q[0] - p[0]), p[1] + fraction * (q[1] - p[1])
