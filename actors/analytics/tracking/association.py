"""Which detection belongs to which track: overlaps, and the best assignment round by round.

Tracks and detections of several pictures lie one after the other; pairs are of one picture.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import boxes

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]
Meeting = tuple[Indices, Indices, Floats]
"""Pairs of boxes that overlap, and area and height of what they have in common [2, p]."""

_FAR, _APART = np.array(1e6), np.array(3e6)  # pixels: no picture is so large
_LARGE = 2500  # cells of a table; the solver takes longer over a larger one than over its parts

# Arrays: NumPy takes longer over a number.
_NOTHING, _NONE, _THRICE, _NO_LENGTH = np.array(0.0), np.array(0), np.array(3.0), np.array(1e-6)


def beside(a: Floats, b: Floats, of_a: Indices, of_b: Indices) -> tuple[Indices, Indices]:
    """Pairs of boxes of the same picture that may overlap, few of those that do not.

    A sweep from left to right over all pictures, laid side by side: a box meets none that begins
    where it has ended, and none of those before which all have ended where it begins.

    Args:
        a: Edges of boxes [4, n], see ``boxes``.
        b: The same [4, m].
        of_a: Picture of each box.
        of_b: The same.
    """
    (begin_a, end_a), (begin_b, end_b) = _side_by_side(a, of_a), _side_by_side(b, of_b)
    order = begin_b.argsort()
    ended = np.maximum.accumulate(end_b.take(order))
    first = ended.searchsorted(begin_a, side="right")
    num = begin_b.take(order).searchsorted(end_a) - first
    np.maximum(num, _NONE, out=num)
    i = np.arange(len(num)).repeat(num)
    first -= num.cumsum() - num
    return i, order.take(np.arange(len(i)) + first.take(i))


def _side_by_side(edges: Floats, picture: Indices) -> tuple[Floats, Floats]:
    """Left and right of boxes where pictures lie side by side.

    What is not finite, or far beyond all pictures, is brought near: it spoils no other picture.
    """
    right, left = np.fmax(np.fmin(edges[:3:2], _FAR), -_FAR)  # left is negated
    at = picture * _APART
    return at - left, at + right


def meeting_of(a: Floats, b: Floats, i: Indices, j: Indices) -> Meeting:
    """Those of some pairs that overlap.

    Args:
        a: Edges of boxes [4, n].
        b: The same [4, m].
        i: Box of ``a`` of each pair.
        j: Box of ``b`` of each pair.
    """
    common = _common(np.minimum(a.take(i, axis=1), b.take(j, axis=1)))
    meet = common[0].nonzero()[0]
    return i.take(meet), j.take(meet), common.take(meet, axis=1)


def _common(edges: Floats) -> Floats:
    """Area and height of boxes [2, ...] with these edges [4, ...], which are overwritten."""
    common, width = edges[:2], edges[0]
    common += edges[2:]
    np.maximum(common, _NOTHING, out=common)
    width *= edges[1]
    return common


def overlaps(a: Floats, b: Floats, common: Floats) -> Floats:
    """Intersection over union of boxes, and that of their heights alone; above 0, [2, p].

    Args:
        a: Table of the one box of each pair.
        b: Table of the other.
        common: Area and height of what they have in common, [2, p]; it is overwritten.
    """
    either = a[boxes.EXTENT] + b[boxes.EXTENT]
    either -= common
    common /= either
    return common


def directions(trail: Floats, ahead: Floats, there: Floats) -> Floats:
    """Cosine of the angle between where an object goes and where its detection would be.

    Args:
        trail: Where the object of each pair was a moment ago [2, p].
        ahead: Where it should be now.
        there: Where its detection is.
    """
    way, step = ahead - trail, there - trail
    length = np.hypot(way[0], way[1])
    length *= np.hypot(step[0], step[1])
    np.maximum(length, _NO_LENGTH, out=length)
    step *= way
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
        col_of: The detection of each track, -1 where there is none yet.
        num_pairs: How many were found.
    """

    def __init__(self, picture: Indices, num_cols: int) -> None:
        self.row_of = np.empty(num_cols, dtype=np.intp)
        self.col_of = np.empty(len(picture), dtype=np.intp)
        self._picture = picture
        self._pairs: tuple[Indices, Indices] | None = None
        self.undo()

    def pairs(self) -> tuple[Indices, Indices]:
        """Tracks, which ascend, and their detections."""
        if self._pairs is None:
            rows = (self.col_of >= _NONE).nonzero()[0]
            self._pairs = rows, self.col_of.take(rows)
        return self._pairs

    def undo(self) -> None:
        """Forget all pairs."""
        self.row_of.fill(-1)
        self.col_of.fill(-1)
        self.num_pairs, self._pairs = 0, None

    def part(self, rows: Mask, cols: Mask) -> None:
        """Forget the pairs of some tracks and detections that had none but each other."""
        self.row_of[cols], self.col_of[rows] = -1, -1
        self.num_pairs, self._pairs = int(np.count_nonzero(self.row_of >= _NONE)), None

    def add(self, rows: Indices, cols: Indices, worth: Floats, most: int) -> int:
        """Match so that the sum of ``worth`` is greatest; how many were matched.

        Args:
            rows: Tracks of pairs that may be matched, ascending; all are free.
            cols: Their detections; all are free.
            worth: What each pair is worth, above 0.
            most: There are no more detections that may be matched.
        """
        num = 0
        while len(rows):
            # What is worth more than all that its track and its detection could have instead
            # belongs to every best assignment: that settles nearly all, for all pictures at once.
            instead = np.bincount(rows, worth).take(rows)
            instead += np.bincount(cols, worth).take(cols)
            clear = (instead < _THRICE * worth).nonzero()[0]
            if len(clear) == len(rows):
                return num + self._take(rows, cols)
            if not len(clear):
                return num + self._solve(rows, cols, worth)
            num += self._take(rows.take(clear), cols.take(clear))
            if num == most:
                return num
            taken = np.maximum(self.col_of.take(rows), self.row_of.take(cols))
            left = (taken < _NONE).nonzero()[0]
            rows, cols, worth = rows.take(left), cols.take(left), worth.take(left)
        return num

    def _solve(self, rows: Indices, cols: Indices, worth: Floats) -> int:
        """Match where it is not clear: what several pictures leave in one table, if it is small."""
        some_rows, i = np.unique(rows, return_inverse=True)
        some_cols, j = np.unique(cols, return_inverse=True)
        picture = self._picture.take(rows)
        if len(some_rows) * len(some_cols) > _LARGE and picture[0] < picture[-1]:
            middle = picture[len(picture) // 2]
            cut = picture.searchsorted(middle, "right" if middle == picture[0] else "left")
            first, last = slice(None, cut), slice(cut, None)
            num = self._solve(rows[first], cols[first], worth[first])
            return num + self._solve(rows[last], cols[last], worth[last])
        table = np.zeros((len(some_rows), len(some_cols)))
        table[i, j] = worth
        i, j = best_assignment()(table, maximize=True)
        good = (table[i, j] > 0).nonzero()[0]
        return self._take(some_rows[i[good]], some_cols[j[good]])

    def _take(self, rows: Indices, cols: Indices) -> int:
        self.row_of[cols], self.col_of[rows] = rows, cols
        self._pairs = None if self.num_pairs else (rows, cols)
        self.num_pairs += len(rows)
        return len(rows)
