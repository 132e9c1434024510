"""Kalman filter over all boxes at once: constant velocity in seconds, not in frames.

Centre and size are four coordinates with noise of their own, so a track's covariance is four 2x2
blocks, and every step is closed arithmetic on arrays. A state is float64 [5, 4, n]: the rows are
position, velocity, variance of position, covariance and variance of velocity; then come centre x,
centre y, width, height, in pixels and seconds; tracks are last, since arithmetic is fastest along
the last axis. Noise grows with the size of the box.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NUM_ROWS = 5
POSITION, VELOCITY, VAR_POSITION, COVARIANCE, VAR_VELOCITY = range(NUM_ROWS)

# Variances as fractions of width times height, [4, 1].
_MEASURED = np.array([[0.045], [0.045], [0.1], [0.1]]) ** 2
_POSITION_WALK = np.array([[0.1], [0.1], [0.0], [0.0]]) ** 2  # per second: cameras shake
_FIRST_VELOCITY = np.array([[5.0], [5.0], [0.5], [0.5]]) ** 2  # per second squared
_VELOCITY_WALK = np.array([[0.3], [0.3], [0.1], [0.1]]) ** 2  # per second cubed
_MIN_SIZE_PX = np.array(1.0)  # an array: NumPy takes longer over a number


def _powers() -> Floats:
    """What a step is made of: by power of its time, all rows of a state from all rows and the area.

    White noise acceleration (Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2), and a random walk.
    """
    one = np.eye(4)
    parts = np.zeros((4, NUM_ROWS, 4, NUM_ROWS * 4 + 1))

    def add(power: int, row: int, source: int, share: float) -> None:
        parts[power, row, :, 4 * source : 4 * source + 4] += share * one

    for row in range(NUM_ROWS):
        add(0, row, row, 1.0)
    add(1, POSITION, VELOCITY, 1.0)
    add(1, VAR_POSITION, COVARIANCE, 2.0)
    add(2, VAR_POSITION, VAR_VELOCITY, 1.0)
    add(1, COVARIANCE, VAR_VELOCITY, 1.0)
    parts[1, VAR_POSITION, :, -1:] = _POSITION_WALK
    parts[3, VAR_POSITION, :, -1:] = _VELOCITY_WALK / 3
    parts[2, COVARIANCE, :, -1:] = _VELOCITY_WALK / 2
    parts[1, VAR_VELOCITY, :, -1:] = _VELOCITY_WALK
    return parts.reshape(4, -1)


_POWERS = _powers()


def begin(boxes: Floats) -> Floats:
    """States of tracks that were seen once: boxes [4, n] as centre and size."""
    state = np.zeros((NUM_ROWS, *boxes.shape))
    area = _area(boxes)
    state[POSITION] = boxes
    state[VAR_POSITION] = _MEASURED * area
    state[VAR_VELOCITY] = _FIRST_VELOCITY * area
    return state


@lru_cache(maxsize=64)
def _step(dt_us: int) -> tuple[Floats, Floats]:
    """What a step of so many microseconds makes of the rows of a state, and of the area."""
    dt_s = dt_us * 1e-6
    step = (np.array([1.0, dt_s, dt_s**2, dt_s**3]) @ _POWERS).reshape(NUM_ROWS * 4, -1)
    return step[:, :-1].copy(), step[:, -1:].copy()


def predict(state: Floats, steps_s: Sequence[float], ends: Sequence[int]) -> None:
    """Take states ahead, in place; time counts to the microsecond.

    Each row is linear in all rows and in the area, so a step is a product with a matrix. Cameras
    repeat their steps.

    Args:
        state: [5, 4, n].
        steps_s: By how much those of each picture are taken ahead.
        ends: Where the states of each picture begin, and where the last one's end.
    """
    area = _area(state[POSITION])
    rows = state.reshape(NUM_ROWS * 4, -1)
    for step_s, (a, b) in zip(steps_s, pairwise(ends), strict=True):
        of_rows, of_area = _step(round(1e6 * step_s))
        ahead = of_rows @ rows[:, a:b]
        ahead += of_area * area[a:b]
        rows[:, a:b] = ahead
    size = rows[2:4]
    np.maximum(size, _MIN_SIZE_PX, out=size)


def correct(state: Floats, boxes: Floats) -> None:
    """Let all states see ``boxes`` [4, n], one for each, as centre and size; in place."""
    variances = state[VAR_POSITION:VAR_VELOCITY]  # of position, and covariance
    gains = variances / (state[VAR_POSITION] + _MEASURED * _area(boxes))
    state[:VAR_POSITION] += gains * (boxes - state[POSITION])
    state[VAR_VELOCITY] -= gains[1] * state[COVARIANCE]
    variances -= gains[0] * variances


def squared_distance(state: Floats, boxes: Floats) -> Floats:
    """Squared Mahalanobis distance [n] of states [n] and measured boxes [4, n], one for each."""
    position = state[POSITION]
    difference = position - boxes
    difference *= difference
    difference /= state[VAR_POSITION] + _MEASURED * _area(position)
    return np.asarray(difference.sum(axis=0))


def to_centre(corners: Floats) -> Floats:
    """Corners [4, n] as centre and size [4, n]."""
    boxes: Floats = corners.copy()
    boxes[2:] -= corners[:2]
    boxes[:2] += boxes[2:] / 2
    return boxes


def to_corners(boxes: Floats) -> Floats:
    """Centre and size [4, n] as corners [4, n]."""
    corners: Floats = boxes.copy()
    corners[:2] -= boxes[2:] / 2
    corners[2:] += corners[:2]
    return corners


def to_edges(boxes: Floats) -> Floats:
    """Centre and size [4, n] as edges [4, n]: left and top negated, right, bottom."""
    half, edges = boxes[2:] / 2, np.empty_like(boxes)
    np.subtract(half, boxes[:2], out=edges[:2])
    np.add(half, boxes[:2], out=edges[2:])
    return edges


def negated(corners: Floats) -> Floats:
    """Corners [4, n] as edges."""
    edges: Floats = corners.copy()
    np.negative(edges[:2], out=edges[:2])
    return edges


def _area(boxes: Floats) -> Floats:
    """Width times height, [n], square pixels."""
    area: Floats = boxes[2] * boxes[3]
    np.maximum(area, _MIN_SIZE_PX, out=area)
    return area
