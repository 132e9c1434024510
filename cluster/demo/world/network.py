"""A view's routes, prepared for traffic: speeds in bends, and where routes come near each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cluster.demo.world.geometry import Polyline
from cluster.demo.world.layout import Route, View


@dataclass(frozen=True, slots=True)
class Network:
    """A view's routes, prepared: how far along one route the samples of another lie."""

    routes: tuple[Route, ...]
    lines: tuple[Polyline, ...]
    limits: tuple[list[float], ...]
    # tables[i][j]: for each sample of route j its arc length on route i and its distance to it
    tables: tuple[dict[int, list[tuple[float, float]]], ...]

    @classmethod
    def of(cls, view: View) -> Network:
        """Prepare the routes of a view."""
        lines = tuple(Polyline(route.points) for route in view.routes)
        tables: list[dict[int, list[tuple[float, float]]]] = []
        for mine, route in zip(lines, view.routes, strict=True):
            table = {}
            for j, (other, line) in enumerate(zip(view.routes, lines, strict=True)):
                at, distance = mine.nearest(line.points)
                if _meets(route, other) and float(distance.min()) < 3.0:
                    table[j] = list(zip(at.tolist(), distance.tolist(), strict=True))
            tables.append(table)
        limits = tuple(
            _bend_limits(line, route) for line, route in zip(lines, view.routes, strict=True)
        )
        return cls(view.routes, lines, limits, tuple(tables))


def _meets(mine: Route, other: Route) -> bool:
    """Tell whether users of one route mind those of another: walkers mind only their own file."""
    return mine is other if mine.kind == "walk" else True


def _bend_limits(line: Polyline, route: Route) -> list[float]:
    """Return the highest speed at each sample: 2 m/s2 sideways, reached by braking gently."""
    if route.kind == "walk":
        return [route.speed_mps * 2] * len(line.points)
    turn = np.diff(line.headings, axis=0, append=line.headings[-1:])
    bend = np.sqrt((turn * turn).sum(axis=1)) / Polyline.STEP_M
    limits: list[float] = np.maximum(np.sqrt(2.0 / np.maximum(bend, 1e-3)), 3.2).tolist()
    for i in range(len(limits) - 2, -1, -1):
        limits[i] = min(limits[i], math.sqrt(limits[i + 1] * limits[i + 1] + 1.6 * Polyline.STEP_M))
    return limits
