"""What all objects of a picture do at once: the camera moved, not they.

A camera that shakes, turns or is carried moves every box alike. Frames that are far apart show it
most: a shift of half a box a frame leaves the overlap of nobody above a threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MIN_OBJECTS = 3
_MIN_RATIO = 4.0  # of the squared shift to its squared error: twice its error


def common_shift(residuals: Floats) -> tuple[float, float]:
    """By how much a picture is shifted against what was predicted; 0 where nothing shows it.

    The median, shrunk by how uncertain it is (James and Stein, 1961): an error as large as half of
    the shift leaves none of it, and objects that move each on their own give none.

    Args:
        residuals: Where objects are less where they should be, [2, n], pixels; it is overwritten.
    """
    num = residuals.shape[1]
    if num < _MIN_OBJECTS:
        return 0.0, 0.0
    middle = num // 2
    ordered = residuals.copy()
    ordered.sort(axis=1)
    x, y = ordered[:, middle].tolist()
    residuals -= ordered[:, middle : middle + 1]
    residuals *= residuals
    spread = residuals[0] + residuals[1]
    spread.sort()
    squared = x * x + y * y
    error = float(spread[middle]) * _MIN_RATIO / num
    if squared <= error:
        return 0.0, 0.0
    share = 1 - error / squared
    return share * x, share * y
