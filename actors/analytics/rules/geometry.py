"""Plane geometry of rules, in pixels: y points down."""

from __future__ import annotations

import math
from collections.abc import Sequence

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

    def is_beside(self, point: Point) -> bool:
        """Whether the point's nearest place on the line lies between a and b."""
        along = (point[0] - self._a[0]) * self._run + (point[1] - self._a[1]) * self._rise
        return 0 <= along <= self._run**2 + self._rise**2


class Polygon:
    """A polygon; distances from its border are positive inside, negative outside."""

    def __init__(self, corners: Sequence[Point]) -> None:
        self._edges: list[tuple[float, ...]] = []
        for (x, y), (end_x, end_y) in zip(corners, [*corners[1:], corners[0]], strict=True):
            run, rise = end_x - x, end_y - y
            squared = max(run * run + rise * rise, _TINY)
            # times a way from the corner: the part of the edge that it covers
            part_x, part_y = run / squared, rise / squared
            self._edges.append((x, y, run, rise, part_x, part_y, end_y, run / (rise or _TINY)))

    def distance(self, point: Point) -> float:
        """Signed distance of a point from the border.

        It is inside where a ray to the right meets an odd number of edges (even-odd rule).
        """
        at_x, at_y = point
        least, inside = math.inf, False
        for x, y, run, rise, part_x, part_y, end_y, slope in self._edges:
            right, below = at_x - x, at_y - y
            along = right * part_x + below * part_y
            along = 0.0 if along < 0 else 1.0 if along > 1 else along
            away_x, away_y = right - along * run, below - along * rise
            squared = away_x * away_x + away_y * away_y
            if squared < least:
                least = squared
            if (below >= 0) != (at_y >= end_y) and right < below * slope:
                inside = not inside
        return math.sqrt(least) if inside else -math.sqrt(least)

    def met(self, p: Point, q: Point) -> float | None:
        """Where the way from p to q meets the border for the last time, as a fraction of that way.

        None where it does not. Distances do not tell that: they may be from different edges.
        """
        along_x, along_y = q[0] - p[0], q[1] - p[1]
        last = None
        for x, y, run, rise, *_ in self._edges:
            cross = along_x * rise - along_y * run or _TINY
            way = ((x - p[0]) * rise - (y - p[1]) * run) / cross
            edge = ((x - p[0]) * along_y - (y - p[1]) * along_x) / cross
            if 0 <= way <= 1 and 0 <= edge <= 1 and (last is None or way > last):
                last = way
        return last


def between(p: Point, q: Point, fraction: float) -> Point:
    """The point at a fraction of the way from p to q."""
    return p[0] + fraction * (q[0] - p[0]), p[1] + fraction * (q[1] - p[1])
