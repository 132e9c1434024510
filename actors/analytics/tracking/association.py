"""Which detection belongs to which track: overlaps, and the best assignment round by round."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]


def overlap(a: Floats, b: Floats) -> Floats:
    """Intersection over union of boxes [4, n] and [4, m] (left, top, right, bottom), as [n, m].

    The boxes of ``a`` must have an area, so that every union has one.
    """
    size = np.minimum(a[2:, :, None], b[2:, None])
    size -= np.maximum(a[:2, :, None], b[:2, None])
    np.maximum(size, 0, out=size)
    common = size[0] * size[1]
    union = area(a)[:, None] + area(b)
    union -= common
    common /= union
    return np.asarray(common)


def area(boxes: Floats) -> Floats:
    """Areas [n] of boxes [4, n], square pixels."""
    size = boxes[2:] - boxes[:2]
    return np.asarray(size[0] * size[1])


@cache
def best_assignment() -> Callable[..., tuple[Indices, Indices]]:
    """SciPy's solver; it is slow to load, so only who tracks loads it."""
    from scipy.optimize import linear_sum_assignment

    solve: Callable[..., tuple[Indices, Indices]] = linear_sum_assignment
    return solve


class Matching:
    """Pairs of tracks and detections, found in rounds: what is taken is out of the next ones.

    Attributes:
        row_of: Row of the track of each detection, -1 where there is none yet.
    """

    def __init__(self, num_rows: int, num_cols: int) -> None:
        self.row_of = np.full(num_cols, -1, dtype=np.intp)
        self._taken_row = np.zeros(num_rows, dtype=np.bool_)

    def free_rows(self, mask: Mask) -> Indices:
        """The tracks of a mask that have no detection yet."""
        return (mask & ~self._taken_row).nonzero()[0]

    def free_cols(self, mask: Mask) -> Indices:
        """The detections of a mask that have no track yet."""
        return (mask & (self.row_of < 0)).nonzero()[0]

    def add(self, rows: Indices, cols: Indices, similarity: Floats, least: float) -> None:
        """Match free rows [n] and columns [m] where their ``similarity`` [n, m] is enough."""
        allowed = similarity >= least
        if np.count_nonzero(allowed):
            value = (similarity - (least - 1e-6)) * allowed
            i, j = best_assignment()(value, maximize=True)
            good = allowed[i, j]
            found = rows[i[good]]
            self.row_of[cols[j[good]]] = found
            self._taken_row[found] = True
