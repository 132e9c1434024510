"""When an object came to rest, or set out: told from all its boxes around that time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actors.analytics.events import Box

_STEP_S = 0.02
_CERTAIN = 25.0  # how much more than noise a way must be: five standard deviations, squared


def stopped_s(times_s: Sequence[float], boxes: Sequence[Box]) -> float:
    """When an object that stands at the end of some boxes came to rest.

    Who brakes evenly has a way before it that shrinks with the square of the time that is left. So
    each side of its box is p + v max(0, t - time)^2, and of all t the one is taken that leaves the
    smallest squared error (a least squares fit with a change point, Quandt 1958). Boxes that say
    nothing but noise give the first time: it has stood all along.
    """
    times, sides = np.array(times_s), np.array(boxes)
    stops = np.arange(times[0], times[-1], _STEP_S)
    if len(times) < 4:
        return float(times[0])
    ways = np.maximum(stops[:, None] - times, 0.0) ** 2
    ways -= ways.mean(axis=1, keepdims=True)
    sides -= sides.mean(axis=0)
    square = np.maximum((ways**2).sum(axis=1), 1e-9)
    explained = ((ways @ sides) ** 2).sum(axis=1) / square
    best = int(explained.argmax())
    noise = ((sides**2).sum() - explained[best]) / sides.size
    return float(stops[best] if explained[best] > _CERTAIN * noise else times[0])


def started_s(times_s: Sequence[float], boxes: Sequence[Box]) -> float:
    """When an object that stands at the beginning of some boxes set out: the same backwards."""
    return -stopped_s([-t_s for t_s in reversed(times_s)], boxes[::-1])
