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
Meeting = tuple[Indices, Indices, Floats]
"""Pairs of boxes that overlap, and width and height of what they have in common [2, p]."""

_NO_LENGTH = np.array(1e-6)


def meeting(a: Floats, b: Floats) -> Meeting:
    """Those of all pairs of one picture that overlap.

    Args:
        a: Boxes [4, n] as edges: left and top negated, right, bottom.
        b: Boxes [4, m].
    """
    edges = np.minimum(a[:, :, None], b[:, None])
    size = edges[:2]
    size += edges[2:]
    meet = (np.minimum(size[0], size[1]) > 0).ravel().nonzero()[0]
    i, j = np.divmod(meet, max(b.shape[1], 1))
    return i, j, size.reshape(2, -1).take(meet, axis=1)


def meeting_of(a: Floats, b: Floats, i: Indices, j: Indices) -> Meeting:
    """Those of some pairs that overlap.

    Args:
        a: Boxes [4, n] as edges.
        b: Boxes [4, m].
        i: Box of ``a`` of each pair.
        j: Box of ``b`` of each pair.
    """
    edges = np.minimum(a.take(i, axis=1), b.take(j, axis=1))
    size = edges[:2]
    size += edges[2:]
    meet = (np.minimum(size[0], size[1]) > 0).nonzero()[0]
    return i[meet], j[meet], size.take(meet, axis=1)


def overlaps(a: Floats, b: Floats, pairs: Meeting) -> tuple[Floats, Floats]:
    """Intersection over union of pairs of boxes, and that of their heights alone; above 0.

    Args:
        a: Width and height of boxes [2, n].
        b: The same [2, m].
        pairs: Which overlap.
    """
    i, j, size = pairs
    a, b = a.take(i, axis=1), b.take(j, axis=1)
    common = size[0] * size[1]
    either = a[0] * a[1]
    either += b[0] * b[1]
    either -= common
    height = a[1] + b[1]
    height -= size[1]
    return common / either, size[1] / height


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
    length = np.hypot(way[0], way[1]).take(i)
    step = there.take(j, axis=1)
    step -= trail.take(i, axis=1)
    length *= np.hypot(step[0], step[1])
    np.maximum(length, _NO_LENGTH, out=length)
    step *= way.take(i, axis=1)
    cosine: Floats = step[0] + step[1]
    cosine /= length
    return cosine


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
        num_pairs: How many were found.
    """

    def __init__(self, picture: Indices, num_cols: int) -> None:
        self.row_of = np.empty(num_cols, dtype=np.intp)
        self.row_of.fill(-1)
        self.num_pairs = 0
        self._picture = picture
        self._pairs: tuple[Indices, Indices] | None = None

    def pairs(self) -> tuple[Indices, Indices]:
        """Tracks and their detections, which ascend."""
        if self._pairs is None or len(self._pairs[0]) != self.num_pairs:
            cols = (self.row_of >= 0).nonzero()[0]
            self._pairs = self.row_of.take(cols), cols
        return self._pairs

    def is_free(self) -> Mask:
        """Whether each track has no detection yet."""
        free = np.ones(len(self._picture), dtype=np.bool_)
        free[self.pairs()[0]] = False
        return free

    def undo(self) -> None:
        """Forget all pairs."""
        self.row_of.fill(-1)
        self.num_pairs, self._pairs = 0, None

    def part(self, cols: Mask) -> None:
        """Forget the pairs of some detections."""
        self.row_of[cols] = -1
        self.num_pairs, self._pairs = int(np.count_nonzero(self.row_of >= 0)), None

    def add(self, rows: Indices, cols: Indices, worth: Floats) -> int:
        """Match so that the sum of ``worth`` is greatest; how many were matched.

        Args:
            rows: Tracks of pairs that may be matched, ascending; all are free.
            cols: Their detections; all are free.
            worth: What each pair is worth, above 0.
        """
        if not len(rows):
            return 0
        before = self.num_pairs
        # What is worth more than all that its track and its detection could have instead belongs
        # to every best assignment: that settles nearly all, for all pictures at once.
        instead = np.bincount(rows, worth).take(rows)
        instead += np.bincount(cols, worth).take(cols)
        clear = instead < 3 * worth
        if np.count_nonzero(clear) == len(clear):
            self._take(rows, cols)
            return self.num_pairs - before
        sure = rows[clear], cols[clear]
        self._take(*sure)
        taken = np.zeros(len(self._picture), dtype=np.bool_)
        taken[sure[0]] = True
        left = (~taken[rows] & (self.row_of[cols] < 0)).nonzero()[0]
        if len(left):
            rows, cols, worth = rows[left], cols[left], worth[left]
            ends = np.diff(self._picture[rows]).nonzero()[0] + 1
            for part in np.split(np.arange(len(left)), ends):
                self._take(*_solved(rows[part], cols[part], worth[part]))
        return self.num_pairs - before

    def _take(self, rows: Indices, cols: Indices) -> None:
        self.row_of[cols] = rows
        self.num_pairs += len(rows)


def _solved(rows: Indices, cols: Indices, worth: Floats) -> tuple[Indices, Indices]:
    """The best assignment of one picture's pairs."""
    first_row, first_col = rows.min(), cols.min()
    rows, cols = rows - first_row, cols - first_col
    table = np.zeros((rows.max() + 1, cols.max() + 1))
    table[rows, cols] = worth
    i, j = best_assignment()(table, maximize=True)
    good = table[i, j] > 0
    return i[good] + first_row, j[good] + first_col
