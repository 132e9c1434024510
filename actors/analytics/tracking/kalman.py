"""Kalman filter over all boxes at once: constant velocity in seconds, not in frames.

Centre and size are four coordinates with noise of their own, so a track's covariance is four 2x2
blocks, and every step is closed arithmetic on arrays. A state is float64 [5, 4, n]: the rows are
position, velocity, variance of position, covariance and variance of velocity; then come centre x,
centre y, width, height, in pixels and seconds; tracks are last, since arithmetic is fastest along
the last axis. Noise grows with the size of the box.
"""

from __future__ import annotations

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


def begin(boxes: Floats) -> Floats:
    """States of tracks that were seen once: boxes [4, n] as centre and size."""
    state = np.zeros((NUM_ROWS, *boxes.shape))
    area = _area(boxes)
    state[POSITION] = boxes
    state[VAR_POSITION] = _MEASURED * area
    state[VAR_VELOCITY] = _FIRST_VELOCITY * area
    return state


def predict(state: Floats, dt_s: Floats) -> None:
    """Take each state ``dt_s`` [n] ahead, in place.

    White noise acceleration (Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2), and a random walk.
    """
    position, velocity, var_position, covariance, var_velocity = state
    noise = _area(position) * dt_s
    walk = _VELOCITY_WALK * noise
    position += velocity * dt_s
    var_position += dt_s * (2 * covariance + dt_s * (var_velocity + walk / 3))
    var_position += _POSITION_WALK * noise
    covariance += dt_s * (var_velocity + walk / 2)
    var_velocity += walk
    size = position[2:]
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


def _area(boxes: Floats) -> Floats:
    """Width times height, [n], square pixels."""
    return np.asarray(np.maximum(boxes[2] * boxes[3], _MIN_SIZE_PX))
