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


# What time adds to the three variances, as fractions of the area, by its power: white noise
# acceleration (Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2), and a random walk.
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
def _noise(step_us: int) -> Floats:
    """What a step of so many microseconds adds to the variances [3, 4, 1] for an area of one."""
    step_s = step_us * 1e-6
    return np.asarray(step_s * (_NOISE[1] + step_s * (_NOISE[2] + step_s * _NOISE[3])))


def predict(state: Floats, steps_s: Sequence[float], picture: NDArray[np.intp]) -> None:
    """Take states ahead, in place.

    Args:
        state: [5, 4, n].
        steps_s: By how much those of each picture are taken ahead.
        picture: Which picture each state belongs to, [n].
    """
    dt_s, area = np.array(steps_s), _area(state[POSITION])
    noises = [_noise(round(1e6 * step_s)) for step_s in steps_s]  # cameras repeat their steps
    noise = noises[0]
    if len(noises) > 1:
        dt_s, noise = dt_s.take(picture), np.concatenate(noises, axis=2).take(picture, axis=2)
    state[:COVARIANCE:2] += dt_s * state[VELOCITY:VAR_VELOCITY:2]
    state[COVARIANCE] += dt_s * state[VAR_VELOCITY]
    state[VAR_POSITION] += dt_s * state[COVARIANCE]
    state[VAR_POSITION:] += noise * area
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
