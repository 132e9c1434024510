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

from actors.analytics.tracking.boxes import AREA, BOXES

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

NUM_ROWS = 5
POSITION, VELOCITY, VAR_POSITION, COVARIANCE, VAR_VELOCITY = range(NUM_ROWS)

# Variances as fractions of width times height, [4, 1].
_MEASURED = np.array([[0.045], [0.045], [0.1], [0.1]]) ** 2
_POSITION_WALK = np.array([[0.1], [0.1], [0.0], [0.0]]) ** 2  # per second: cameras shake
_FIRST_VELOCITY = np.array([[5.0], [5.0], [0.5], [0.5]]) ** 2  # per second squared
_VELOCITY_WALK = np.array([[0.3], [0.3], [0.1], [0.1]]) ** 2  # per second cubed
_MIN_SIZE_PX = np.array(1.0)  # an array: NumPy takes longer over a number


def _steps() -> Floats:
    """What time makes of a state and the area of its box, by its power: [4, 20, 21].

    Noise is that of acceleration (Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2), and a random
    walk.
    """
    steps, noise = np.zeros((4, NUM_ROWS, NUM_ROWS)), np.zeros((4, NUM_ROWS, 4, 1))
    steps[0] = np.eye(NUM_ROWS)
    steps[1, POSITION, VELOCITY] = steps[1, COVARIANCE, VAR_VELOCITY] = 1
    steps[1, VAR_POSITION, COVARIANCE] = 2
    steps[2, VAR_POSITION, VAR_VELOCITY] = 1
    noise[1, VAR_POSITION], noise[1, VAR_VELOCITY] = _POSITION_WALK, _VELOCITY_WALK
    noise[2, COVARIANCE], noise[3, VAR_POSITION] = _VELOCITY_WALK / 2, _VELOCITY_WALK / 3
    each = [np.kron(step, np.eye(4)) for step in steps]
    return np.concatenate([each, noise.reshape(4, -1, 1)], axis=2)


_STEPS = _steps()


def begin(boxes: Floats) -> Floats:
    """States of tracks that were seen once: boxes [4, n] as centre and size."""
    state = np.zeros((NUM_ROWS, *boxes.shape))
    area = _area(boxes)
    state[POSITION] = boxes
    state[VAR_POSITION] = _MEASURED * area
    state[VAR_VELOCITY] = _FIRST_VELOCITY * area
    return state


@lru_cache(maxsize=64)
def _step(step_ns: int) -> Floats:
    """What a step of so many nanoseconds makes of a state and the area of its box, [20, 21]."""
    step_s = step_ns * 1e-9
    powers = _STEPS[2] + step_s * _STEPS[3]
    return np.asarray(_STEPS[0] + step_s * (_STEPS[1] + step_s * powers))


def predict(state: Floats, steps_s: Sequence[float], picture: Indices) -> None:
    """Take states ahead, in place.

    Args:
        state: [5, 4, n].
        steps_s: By how much those of each picture are taken ahead.
        picture: Number of the picture that each belongs to, [n].
    """
    if len(steps_s) == 1:
        _predict_alike(state, steps_s[0])
    else:
        _predict_each(state, np.array(steps_s).take(picture))
    size = state[POSITION, 2:]
    np.maximum(size, _MIN_SIZE_PX, out=size)


def _predict_alike(state: Floats, step_s: float) -> None:
    """Take all by the same: one product of matrices is faster than arithmetic on few columns."""
    rows = state.reshape(len(_STEPS[0]), -1)
    given = np.empty((len(rows) + 1, rows.shape[1]))
    given[:-1], area, size = rows, given[-1], rows[2:4]
    np.multiply(size[0], size[1], out=area)
    np.maximum(area, _MIN_SIZE_PX, out=area)
    _step(round(1e9 * step_s)).dot(given, rows)  # cameras repeat their steps


def _predict_each(state: Floats, step_s: Floats) -> None:
    """Take each by its own step [n]: what ``_steps`` says, written out."""
    position, velocity, var_position, covariance, var_velocity = state
    passed = step_s * _area(position)
    grown = _VELOCITY_WALK * passed
    position += step_s * velocity
    before = covariance.copy()
    covariance += step_s * (var_velocity + grown / 2)
    before += covariance
    before -= step_s * grown / 6
    var_position += step_s * before + _POSITION_WALK * passed
    var_velocity += grown


def correct(state: Floats, seen: Floats) -> None:
    """Let all states see a box, one for each of the table ``seen``; in place."""
    position, velocity = state[POSITION], state[VELOCITY]
    var_position, covariance = state[VAR_POSITION], state[COVARIANCE]
    noise = _MEASURED * np.maximum(seen[AREA], _MIN_SIZE_PX)
    total = noise + var_position
    gain, gain_velocity = var_position / total, covariance / total
    surprise = seen[BOXES] - position
    position += gain * surprise
    velocity += gain_velocity * surprise
    var_velocity = state[VAR_VELOCITY]
    var_velocity -= gain_velocity * covariance
    np.multiply(gain, noise, out=var_position)
    np.multiply(gain_velocity, noise, out=covariance)


def squared_distance(state: Floats, boxes: Floats) -> Floats:
    """Squared Mahalanobis distance [n] of states [n] and measured boxes [4, n], one for each."""
    position = state[POSITION]
    difference = position - boxes
    difference *= difference
    difference /= state[VAR_POSITION] + _MEASURED * _area(position)
    return np.asarray(difference.sum(axis=0))


def _area(boxes: Floats) -> Floats:
    """Width times height, [n], square pixels."""
    area: Floats = boxes[2] * boxes[3]
    np.maximum(area, _MIN_SIZE_PX, out=area)
    return area
