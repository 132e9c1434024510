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


# What a step makes of the rows, and of the area for the variances, by power of its time: white
# noise acceleration (Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2), and a random walk.
_ROWS = np.zeros((4, NUM_ROWS, NUM_ROWS))
_ROWS[0] = np.eye(NUM_ROWS)
_ROWS[1, [POSITION, VAR_POSITION, COVARIANCE], [VELOCITY, COVARIANCE, VAR_VELOCITY]] = 1, 2, 1
_ROWS[2, VAR_POSITION, VAR_VELOCITY] = 1
_NOISE = np.zeros((4, 3, 4, 1))
_NOISE[1, 0], _NOISE[1, 2] = _POSITION_WALK, _VELOCITY_WALK
_NOISE[2, 1], _NOISE[3, 0] = _VELOCITY_WALK / 2, _VELOCITY_WALK / 3


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
    powers = (dt_us * 1e-6) ** np.arange(4.0)
    return np.tensordot(powers, _ROWS, 1), np.tensordot(powers, _NOISE, 1)


def predict(state: Floats, steps_s: Sequence[float], ends: Sequence[int]) -> None:
    """Take states ahead, in place; time counts to the microsecond.

    All is linear in rows and area, so a step is a product with a matrix. Cameras repeat their
    steps.

    Args:
        state: [5, 4, n].
        steps_s: By how much those of each picture are taken ahead.
        ends: Where the states of each picture begin, and where the last one's end.
    """
    area = _area(state[POSITION])
    for step_s, (a, b) in zip(steps_s, pairwise(ends), strict=True):
        of_rows, noise = _step(round(1e6 * step_s))
        part = state[:, :, a:b]
        part[:] = (of_rows @ part.reshape(NUM_ROWS, -1)).reshape(part.shape)
        part[VAR_POSITION:] += noise * area[a:b]
    size = state[POSITION, 2:]
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


def to_edges(boxes: Floats) -> Floats:
    """Centre and size [4, n] as edges [4, n]: left and top negated, right, bottom."""
    half, edges = boxes[2:] / 2, np.empty_like(boxes)
    np.subtract(half, boxes[:2], out=edges[:2])
    np.add(half, boxes[:2], out=edges[2:])
    return edges


def of_edges(edges: Floats) -> Floats:
    """Edges [4, n] as centre and size [4, n]."""
    boxes = np.empty_like(edges)
    np.add(edges[2:], edges[:2], out=boxes[2:])
    np.subtract(edges[2:], edges[:2], out=boxes[:2])
    boxes[:2] *= 0.5
    return boxes


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
