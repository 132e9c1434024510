"""Tracks as the columns of a table, so that those of several streams are joined in one call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import kalman
from actors.analytics.tracking.found import Found

Indices = NDArray[np.intp]
Table = NDArray[np.float64]

TENTATIVE = 0

# The rows of a table. Counts, identities and classes are exact in it, too.
_NUM_STATE = 4 * kalman.NUM_ROWS
FIRST_XYXY = slice(_NUM_STATE, _NUM_STATE + 4)
VOTES = _NUM_STATE + 11  # from here on, a row a class
FIRST_CONFIDENCE, BORN_S, SEEN_S, PATIENCE_S, IDENTITY, NUM_HITS, CLASS_ID = range(
    _NUM_STATE + 4, VOTES
)


def no_tracks() -> Table:
    """The table of a stream without tracks."""
    return np.empty((VOTES, 0))


def checked(table: Table) -> Table:
    """The table of a stream that was tracked elsewhere.

    Raises:
        ValueError: if it is none.
    """
    if table.dtype != np.float64 or table.ndim != 2 or len(table) < VOTES:
        raise ValueError(
            f"tracks of {table.dtype} {list(table.shape)}: expected float64 [{VOTES} or more, n]"
        )
    if not np.isfinite(table).all():
        raise ValueError("tracks hold values that are not finite")
    return table


class Tracks:
    """The tracks of some pictures, those of a picture in the order of their birth.

    Args:
        tables: Of each picture's stream; they are copied.
        num_classes: Classes that votes may come for.

    Attributes:
        table: float64 [31 + k, n], a column a track: state (see ``kalman``), first box and its
            confidence, times of the first and the last observation, for how long it may go unseen,
            identity (from 1, or ``TENTATIVE``), number of observations, the class with the most
            votes, and of each of k classes the sum of its confidences.
        picture: intp [n], number of the picture that each belongs to, ascending.
    """

    def __init__(self, tables: Sequence[Table], num_classes: int) -> None:
        num_rows = max(VOTES + num_classes, *map(len, tables))
        wide = [t if len(t) == num_rows else _padded(t, num_rows) for t in tables]
        self.table = np.concatenate(wide, axis=1)
        self.picture = np.arange(len(tables)).repeat([t.shape[1] for t in tables])

    def __len__(self) -> int:
        return len(self.picture)

    @property
    def state(self) -> kalman.Floats:
        """float64 [5, 4, n], a view."""
        return self.table[:_NUM_STATE].reshape(kalman.NUM_ROWS, 4, -1)

    def observe(self, rows: Indices, found: Found, cols: Indices, t_s: kalman.Floats) -> None:
        """Let each track of ``rows`` see one detection; ``t_s`` is the time of each picture."""
        table = self.table
        seen = self.state.take(rows, axis=2)
        kalman.correct(seen, found.boxes.take(cols, axis=1))
        self.state[:, :, rows] = seen
        table[NUM_HITS, rows] += 1
        table[SEEN_S, rows] = t_s[self.picture[rows]]
        table[VOTES + found.class_id[cols], rows] += found.confidence[cols]
        table[CLASS_ID] = table[VOTES:].argmax(axis=0)

    def begin(self, found: Found, cols: Indices, t_s: kalman.Floats, patience_s: float) -> None:
        """Add a tentative track behind all others for each of the detections ``cols``."""
        new = np.zeros((len(self.table), len(cols)))
        picture, class_id = found.picture[cols], found.class_id[cols]
        new[:_NUM_STATE] = kalman.begin(found.boxes[:, cols]).reshape(_NUM_STATE, -1)
        new[FIRST_XYXY] = found.corners[:, cols]
        new[FIRST_CONFIDENCE] = found.confidence[cols]
        new[BORN_S] = new[SEEN_S] = t_s[picture]
        new[PATIENCE_S] = patience_s
        new[NUM_HITS] = 1
        new[CLASS_ID] = class_id
        new[VOTES + class_id, np.arange(len(cols))] = found.confidence[cols]
        self.table = np.concatenate([self.table, new], axis=1)
        self.picture = np.concatenate([self.picture, picture])

    def part(self, keep: NDArray[np.bool_], num_pictures: int) -> list[Table]:
        """The tables of the pictures, with the tracks that are kept."""
        rows = keep.nonzero()[0]
        picture = self.picture[rows]
        order = picture.argsort(kind="stable")
        ends = picture[order].searchsorted(np.arange(num_pictures + 1)).tolist()
        table = self.table.take(rows[order], axis=1)
        return [table[:, a:b] for a, b in pairwise(ends)]


def _padded(table: Table, num_rows: int) -> Table:
    return np.pad(table, ((0, num_rows - len(table)), (0, 0)))
