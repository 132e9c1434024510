"""When an object came to rest, or set out: told from all its boxes around that time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actors.analytics.events import Box

Floats = NDArray[np.float64]

_STEP_S = 0.02
_BRAKES_S = np.array([2.5, 3.0, 4.0, np.inf])[:, None, None]  # before that it came evenly
_LAW = 0.15  # share of its way up to which an object keeps to any law
_LEAST_PX = 0.05
_CERTAIN = 25.0  # how much more than noise a way must be: five standard deviations, squared


def stopped_s(times_s: Sequence[float], boxes: Sequence[Box]) -> float:
    """When an object that stands at the end of some boxes came to rest.

    Who brakes evenly has a way before it that shrinks with the square of the time that is left, and
    before it began to brake with the time alone. So each side of its box is p + v way(t - time),
    and of all t and all times of braking those are taken that leave the smallest squared error (a
    least squares fit with change points, Quandt 1958). The farther away a box was, the less it
    counts: nobody brakes that evenly. Boxes that say nothing but noise give the first time: it has
    stood all along.
    """
    times, sides = np.array(times_s), np.array(boxes)
    if len(times) < 4:
        return float(times[0])
    stops = np.arange(times[0], times[-1], _STEP_S)
    weights, ways = _weights(sides), _ways(stops, times)
    ways -= (ways @ weights)[:, None]
    sides -= weights @ sides
    square = np.maximum(ways**2 @ weights, 1e-9)
    explained = (((ways * weights) @ sides) ** 2).sum(axis=1) / square
    best = int(explained.argmax())
    noise = ((weights @ sides**2).sum() - explained[best]) / sides.size
    return float(stops[best % len(stops)] if explained[best] > _CERTAIN * noise else times[0])


def started_s(times_s: Sequence[float], boxes: Sequence[Box]) -> float:
    """When an object that stands at the beginning of some boxes set out: the same backwards."""
    return -stopped_s([-t_s for t_s in reversed(times_s)], boxes[::-1])


def _weights(sides: Floats) -> Floats:
    """What each box counts, of 1 in all: the error of its place is noise and a share of its way."""
    rest = sides[-max(len(sides) // 4, 3) :]
    squared = ((sides - np.median(rest, axis=0)) ** 2).mean(axis=1)
    noise = max(float(squared[-len(rest) :].mean()), _LEAST_PX**2)
    weights = noise / (noise + _LAW**2 * squared)
    return np.asarray(weights / weights.sum())


def _ways(stops: Floats, times: Floats) -> Floats:
    """Ways of all times of braking before all stops, at some times [brakes x stops, times]."""
    left_s = np.maximum(stops[:, None] - times, 0.0)
    braking_s = np.minimum(left_s, _BRAKES_S)
    return np.asarray(braking_s * (2 * left_s - braking_s)).reshape(-1, len(times))
