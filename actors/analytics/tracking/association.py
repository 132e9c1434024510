"""Which detection belongs to which track: overlaps, and the best assignment round by round."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]


def overlap(a: Floats, b: Floats) -> Floats:
    """Intersection over union of boxes xyxy [n, 4] and [m, 4], as [n, m]."""
    size = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    np.maximum(size, 0, out=size)
    common = size[..., 0] * size[..., 1]
    union = area(a)[:, None] + area(b)[None] - common
    return np.asarray(common / np.maximum(union, 1e-9))


def area(boxes: Floats) -> Floats:
    """Areas [n] of boxes xyxy [n, 4], square pixels."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


class Matching:
    """Pairs of tracks and detections, found in rounds: what is taken is out of the next ones.

    Attributes:
        row_of: Row of the track of each detection, -1 where there is none yet.
    """

    def __init__(self, num_rows: int, num_cols: int) -> None:
        self.row_of = np.full(num_cols, -1, dtype=np.intp)
        self._free_row = np.ones(num_rows, dtype=np.bool_)

    def is_open(self, cols: Mask) -> bool:
        """Whether another round over ``cols`` could find a pair."""
        return bool(self._free_row.any() and (self.row_of[cols] < 0).any())

    def add(
        self, similarity: Floats, least: float, *, rows: Mask | None = None, cols: Mask
    ) -> None:
        """Match what is free, of the given rows and columns; ``similarity`` is [rows, cols]."""
        free_row = self._free_row if rows is None else self._free_row & rows
        free_col = cols & (self.row_of < 0)
        allowed = free_row[:, None] & free_col[None] & (similarity >= least)
        if allowed.any():
            from scipy.optimize import linear_sum_assignment  # slow to load, see `Tracker`

            value = np.where(allowed, similarity - least + 1e-6, 0.0)
            found_rows, found_cols = linear_sum_assignment(value, maximize=True)
            good = allowed[found_rows, found_cols]
            self.row_of[found_cols[good]] = found_rows[good]
            self._free_row[found_rows[good]] = False
