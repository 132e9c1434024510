"""From the picture to the ground: the homography that point pairs define, in metres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Matrix = NDArray[np.float64]

_LEAST_SPREAD = 1e-3  # of the second smallest singular value to the largest


class DegeneratePlaneError(ValueError):
    """The point pairs do not define a plane."""


def homography(image: Sequence[Point], ground_m: Sequence[Point]) -> Matrix:
    """The matrix [3, 3] that takes picture points to the ground, by least squares.

    The normalised direct linear transform: Hartley and Zisserman, "Multiple View Geometry" (2004),
    algorithm 4.2.

    Args:
        image: Four or more points of the picture, in any unit.
        ground_m: Where each is on the ground, metres.

    Raises:
        DegeneratePlaneError: if so many of the points lie on one line that no plane is defined.
    """
    from_image, to_ground = _normaliser(image), _normaliser(ground_m)
    pairs = zip(_moved(from_image, image), _moved(to_ground, ground_m), strict=True)
    rows = [row for (x, y), (u, v) in pairs for row in _equations(x, y, u, v)]
    _, spread, directions = np.linalg.svd(np.array(rows))
    found = directions[-1].reshape(3, 3)
    turns = np.linalg.svd(found, compute_uv=False)
    if spread[7] < _LEAST_SPREAD * spread[0] or turns[2] < _LEAST_SPREAD * turns[0]:
        raise DegeneratePlaneError("too many of the points lie on one line")
    matrix: Matrix = np.linalg.inv(to_ground) @ found @ from_image
    return np.asarray(matrix / np.abs(matrix).max())


def to_ground(matrix: Matrix, point: Point) -> Point | None:
    """Where a picture point is on the ground, metres; None at and beyond the horizon.

    The side of the horizon on which the ground lies is the one with a positive third coordinate,
    see ``facing``.
    """
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    x, y = point
    depth = g * x + h * y + i
    if depth <= 1e-9:
        return None
    return (a * x + b * y + c) / depth, (d * x + e * y + f) / depth


def facing(matrix: Matrix, image: Sequence[Point]) -> Matrix | None:
    """The matrix with the sign that makes the depths of all points positive; None for none."""
    depths = np.array([(x, y, 1.0) for x, y in image]) @ matrix[2]
    if (depths > 0).all():
        return matrix
    return -matrix if (depths < 0).all() else None


def _normaliser(points: Sequence[Point]) -> Matrix:
    """Moves the middle of the points to 0 and their mean distance from it to the root of 2."""
    values = np.array(points, dtype=np.float64)
    middle = values.mean(axis=0)
    distance = float(np.linalg.norm(values - middle, axis=1).mean())
    if distance < 1e-9:
        raise DegeneratePlaneError("the points are all the same")
    scale = 2**0.5 / distance
    x, y = -scale * middle
    return np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]])


def _moved(matrix: Matrix, points: Sequence[Point]) -> list[Point]:
    scale, x, y = matrix[0, 0], matrix[0, 2], matrix[1, 2]
    return [(scale * u + x, scale * v + y) for u, v in points]


def _equations(x: float, y: float, u: float, v: float) -> tuple[list[float], list[float]]:
    return (
        [-x, -y, -1, 0, 0, 0, u * x, u * y, u],
        [0, 0, 0, -x, -y, -1, v * x, v * y, v],
    )
