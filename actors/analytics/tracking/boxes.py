"""Boxes as columns of a table with a row for each way to say them: whoever compares finds all.

The rows are sums and differences of what a box is given by, so one product of matrices makes them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

XYXY = slice(0, 4)
EDGES = slice(2, 6)
"""Right, bottom, left and top, the last two negated: a box ends where the edge is greatest."""
BOXES = slice(6, 10)
"""Centre and size, as the filter knows them."""
CENTRE = slice(6, 8)
_WIDTH, _HEIGHT, AREA = 8, 9, 10
EXTENT = slice(10, 12)
"""Area, and the height once more: what two boxes may have in common."""
MORE = slice(12, 14)
"""For what else the owner of a table knows of each box."""

_OF_CORNERS = np.array(
    [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [-1, 0, 0, 0],
        [0, -1, 0, 0],
        [0.5, 0, 0.5, 0],
        [0, 0.5, 0, 0.5],
        [-1, 0, 1, 0],
        [0, -1, 0, 1],
        [0, 0, 0, 0],
        [0, -1, 0, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
)
_OF_CENTRES = _OF_CORNERS @ [[1, 0, -0.5, 0], [0, 1, 0, -0.5], [1, 0, 0.5, 0], [0, 1, 0, 0.5]]


def of_corners(corners: Floats) -> Floats:
    """The table [14, n] of corners [4, n]."""
    return _with_area(_OF_CORNERS.dot(corners))


def of_centres(centres: Floats) -> Floats:
    """The table [14, n] of boxes that are given by centre and size, [4, n]."""
    return _with_area(_OF_CENTRES.dot(centres))


def _with_area(table: Floats) -> Floats:
    np.multiply(table[_WIDTH], table[_HEIGHT], table[AREA])
    return table
