"""Kalman filter over all boxes at once: constant velocity in seconds, not in frames.

Centre and size are four coordinates with noise of their own, so a track's covariance is four 2x2
blocks, and every step is closed arithmetic on arrays. A state is float64 [n, 5, 4]: the rows are
position, velocity, variance of position, covariance, variance of velocity; the columns are centre
x, centre y, width, height, in pixels and seconds. Noise grows with the size of the box.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

POSITION, VELOCITY, VAR_POSITION, COVARIANCE, VAR_VELOCITY = range(5)

# Standard deviations as fractions of the geometric mean of width and height.
_MEASURED = np.array([0.075, 0.075, 0.1, 0.1])
_FIRST_VELOCITY = np.array([5.0, 5.0, 0.5, 0.5])  # per second
_VELOCITY_WALK = np.array([0.3, 0.3, 0.1, 0.1])  # per second and square root of a second
_MIN_SIZE_PX = 1.0


def begin(boxes: Floats) -> Floats:
    """States of tracks that were seen once: boxes [n, 4] as centre and size."""
    state = np.zeros((len(boxes), 5, 4))
    scale = _scale(boxes)
    state[:, POSITION] = boxes
    state[:, VAR_POSITION] = (scale * _MEASURED) ** 2
    state[:, VAR_VELOCITY] = (scale * _FIRST_VELOCITY) ** 2
    return state


def predict(state: Floats, dt_s: float) -> None:
    """Move all states ``dt_s`` ahead, in place.

    White noise acceleration (Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2).
    """
    walk = (_scale(state[:, POSITION]) * _VELOCITY_WALK) ** 2 * dt_s
    state[:, POSITION] += dt_s * state[:, VELOCITY]
    np.maximum(state[:, POSITION, 2:], _MIN_SIZE_PX, out=state[:, POSITION, 2:])
    state[:, VAR_POSITION] += dt_s * (
        2 * state[:, COVARIANCE] + dt_s * (state[:, VAR_VELOCITY] + walk / 3)
    )
    state[:, COVARIANCE] += dt_s * (state[:, VAR_VELOCITY] + walk / 2)
    state[:, VAR_VELOCITY] += walk


def correct(state: Floats, boxes: Floats) -> Floats:
    """States after seeing ``boxes`` [n, 4], one for each state, as centre and size."""
    innovation = boxes - state[:, POSITION]
    variance = state[:, VAR_POSITION] + (_scale(boxes) * _MEASURED) ** 2
    gain = state[:, VAR_POSITION] / variance
    gain_velocity = state[:, COVARIANCE] / variance
    corrected = np.empty_like(state)
    corrected[:, POSITION] = state[:, POSITION] + gain * innovation
    corrected[:, VELOCITY] = state[:, VELOCITY] + gain_velocity * innovation
    corrected[:, VAR_POSITION] = (1 - gain) * state[:, VAR_POSITION]
    corrected[:, COVARIANCE] = (1 - gain) * state[:, COVARIANCE]
    corrected[:, VAR_VELOCITY] = state[:, VAR_VELOCITY] - gain_velocity * state[:, COVARIANCE]
    return corrected


def squared_distance(state: Floats, boxes: Floats) -> Floats:
    """Squared Mahalanobis distance [n, m] of states [n] and measured boxes [m, 4]."""
    variance = state[:, VAR_POSITION] + (_scale(state[:, POSITION]) * _MEASURED) ** 2
    difference = state[:, None, POSITION] - boxes[None]
    return np.asarray((difference * difference / variance[:, None]).sum(axis=2))


def to_centre(xyxy: NDArray[np.floating]) -> Floats:
    """Corners [n, 4] as centre and size [n, 4]."""
    corners = xyxy.astype(np.float64)
    size = corners[:, 2:] - corners[:, :2]
    return np.concatenate([corners[:, :2] + size / 2, size], axis=1)


def to_corners(boxes: Floats) -> Floats:
    """Centre and size [n, 4] as corners [n, 4]."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _scale(boxes: Floats) -> Floats:
    """Geometric mean of width and height, [n, 1], pixels."""
    return np.sqrt(np.maximum(boxes[:, 2] * boxes[:, 3], _MIN_SIZE_PX))[:, None]
