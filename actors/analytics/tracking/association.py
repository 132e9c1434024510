"""Which detection belongs to which track: overlaps, and the best assignment round by round.

Tracks and detections of several pictures lie one after the other; pairs are of one picture.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]


def overlaps(
    a: Floats, b: Floats, i: Indices, j: Indices
) -> tuple[Indices, Indices, Floats, Floats]:
    """Those of the pairs that overlap, and by how much: intersection over union, above 0.

    Args:
        a: Boxes [4, n] as left, top, right, bottom.
        b: Boxes [4, m].
        i: Box of ``a`` of each pair.
        j: Box of ``b`` of each pair.

    Returns:
        The pairs, the overlap of their boxes, and that of their heights alone.
    """
    a, b = a.take(i, axis=1), b.take(j, axis=1)
    size = np.minimum(a[2:], b[2:])
    size -= np.maximum(a[:2], b[:2])
    meet = (np.minimum(size[0], size[1]) > 0).nonzero()[0]
    i, j, size = i[meet], j[meet], size.take(meet, axis=1)
    sizes = (a[2:] - a[:2]).take(meet, axis=1), (b[2:] - b[:2]).take(meet, axis=1)
    common = size[0] * size[1]
    either = sizes[0][0] * sizes[0][1] + sizes[1][0] * sizes[1][1] - common
    return i, j, common / either, size[1] / (sizes[0][1] + sizes[1][1] - size[1])


def directions(trail: Floats, ahead: Floats, there: Floats, i: Indices, j: Indices) -> Floats:
    """Cosine of the angle between where an object goes and where each detection of it would be.

    Args:
        trail: Where each object was a moment ago [2, n].
        ahead: Where it should be now [2, n].
        there: Centres of the detections [2, m].
        i: Object of each pair.
        j: Detection of each pair.
    """
    way = ahead - trail
    way /= np.maximum(np.hypot(way[0], way[1]), 1e-6)
    step = there.take(j, axis=1)
    step -= trail.take(i, axis=1)
    cosine = (step * way.take(i, axis=1)).sum(axis=0)
    return np.asarray(cosine / np.maximum(np.hypot(step[0], step[1]), 1e-6))


@cache
def best_assignment() -> Callable[..., tuple[Indices, Indices]]:
    """SciPy's solver; it is slow to load, so only who tracks loads it."""
    from scipy.optimize import linear_sum_assignment

    solve: Callable[..., tuple[Indices, Indices]] = linear_sum_assignment
    return solve


class Matching:
    """Pairs of tracks and detections, found in rounds: what is taken is out of the next ones.

    Args:
        picture: Of each track, ascending.
        num_cols: How many detections there are.

    Attributes:
        row_of: Row of the track of each detection, -1 where there is none yet.
        is_free: Whether each track has no detection yet.
    """

    def __init__(self, picture: Indices, num_cols: int) -> None:
        self.row_of = np.full(num_cols, -1, dtype=np.intp)
        self.is_free = np.ones(len(picture), dtype=np.bool_)
        self._picture = picture

    def add(self, rows: Indices, cols: Indices, worth: Floats) -> None:
        """Match so that the sum of ``worth`` is greatest.

        Args:
            rows: Tracks of pairs that may be matched, ascending; all are free.
            cols: Their detections; all are free.
            worth: What each pair is worth, above 0.
        """
        if not len(rows):
            return
        # What is worth more than all that its track and its detection could have instead belongs
        # to every best assignment: that settles nearly all, for all pictures at once.
        of_row, of_col = np.bincount(rows, worth), np.bincount(cols, worth)
        clear = of_row[rows] + of_col[cols] < 3 * worth
        self._take(rows[clear], cols[clear])
        left = (self.is_free[rows] & (self.row_of[cols] < 0)).nonzero()[0]
        if len(left):
            rows, cols, worth = rows[left], cols[left], worth[left]
            ends = np.diff(self._picture[rows]).nonzero()[0] + 1
            for part in np.split(np.arange(len(left)), ends):
                self._take(*_solved(rows[part], cols[part], worth[part]))

    def _take(self, rows: Indices, cols: Indices) -> None:
        self.row_of[cols] = rows
        self.is_free[rows] = False


def _solved(rows: Indices, cols: Indices, worth: Floats) -> tuple[Indices, Indices]:
    """The best assignment of one picture's pairs."""
    first_row, first_col = rows.min(), cols.min()
    rows, cols = rows - first_row, cols - first_col
    table = np.zeros((rows.max() + 1, cols.max() + 1))
    table[rows, cols] = worth
    i, j = best_assignment()(table, maximize=True)
    good = table[i, j] > 0
    return i[good] + first_row, j[good] + first_col
