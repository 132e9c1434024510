"""Tracks as the columns of a table, so that those of several streams are joined in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import boxes, kalman
from actors.analytics.tracking.association import Matching
from actors.analytics.tracking.found import CONFIDENCE, Found, Looks, numbers, unit
from actors.analytics.tracking.pairing import spans

Indices = NDArray[np.intp]
Table = NDArray[np.float64]

TENTATIVE = 0

# The rows of a table. Counts, identities and classes are exact in it, too.
_NUM_STATE = 4 * kalman.NUM_ROWS
FIRST_XYXY = slice(_NUM_STATE, _NUM_STATE + 4)
LAST_XYXY = slice(_NUM_STATE + 4, _NUM_STATE + 8)
TRAIL = slice(_NUM_STATE + 8, _NUM_STATE + 10)
VOTES = _NUM_STATE + 17  # from here on, a row a class
FIRST_CONFIDENCE, BORN_S, SEEN_S, PATIENCE_S, IDENTITY, NUM_HITS, CLASS_ID = range(
    _NUM_STATE + 10, VOTES
)

_TRAIL_RATE = np.array(-1 / 0.2)  # per second: how fast the trail follows the centre
_ONE, _NONE = np.array(1.0), np.array(0)
_OLD_LOOKS = 0.9  # share of what was known, when the object is seen again


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


def checked_looks(looks: NDArray[Any], table: Table) -> Looks:
    """The embeddings of tracks that were tracked elsewhere.

    Raises:
        ValueError: if they are not those of the table's tracks.
    """
    if looks.dtype != np.int8 or looks.ndim != 2 or looks.shape[1] != table.shape[1]:
        raise ValueError(
            f"embeddings of tracks are {looks.dtype} {list(looks.shape)}: expected int8 "
            f"[d, {table.shape[1]}]"
        )
    return unit(looks.astype(np.float32))


class Tracks:
    """The tracks of some pictures, those of a picture in the order of their birth.

    Args:
        tables: Of each picture's stream; they are copied.
        num_classes: Classes that votes may come for.

    Attributes:
        table: float64 [37 + k, n], a column a track: state (see ``kalman``), first and last box,
            the centre that trails behind, confidence of the first box, times of the first and the
            last observation, for how long it may go unseen, identity (from 1, or ``TENTATIVE``),
            number of observations, the class with the most votes, and of each of k classes the sum
            of its confidences.
        state: float64 [5, 4, n], a view of the first rows, of the tracks from earlier pictures.
        looks: float32 [d, n], embeddings of unit length, zero where there is none.
        picture: intp [n], number of the picture that each belongs to, ascending.
        num_pictures: How many pictures there are.
    """

    def __init__(self, tables: Sequence[Table], looks: Sequence[Looks], num_classes: int) -> None:
        num_rows = max(VOTES + num_classes, *map(len, tables))
        self.num_pictures = len(tables)
        if self.num_pictures == 1:
            self.table = _padded(tables[0], num_rows).copy()
            self.looks = looks[0].copy() if len(looks[0]) else looks[0]
            self.picture = np.zeros(self.table.shape[1], dtype=np.intp)
        else:
            wide = [_padded(each, num_rows) for each in tables]
            self.table, self.looks = np.concatenate(wide, axis=1), np.concatenate(looks, axis=1)
            self.picture = numbers([t.shape[1] for t in tables])
        self.state = self.table[:_NUM_STATE].reshape(kalman.NUM_ROWS, 4, -1)

    def __len__(self) -> int:
        return len(self.picture)

    @property
    def has_classes(self) -> bool:
        """Whether more than one class has been seen."""
        return len(self.table) > VOTES + 1

    def of_each(self, values: kalman.Floats) -> kalman.Floats:
        """Of each track the value of its picture, [n]; one picture's value stays alone, []."""
        return values.reshape(()) if self.num_pictures == 1 else values.take(self.picture)

    def predict(self, passed_s: Sequence[float]) -> None:
        """Take the tracks of each picture ahead by the time since the picture before."""
        kalman.predict(self.state, passed_s, self.picture)

    def counts(self, rows: Indices) -> Indices:
        """How many of some tracks each picture has."""
        if self.num_pictures == 1:
            return np.array([len(rows)])
        return np.bincount(self.picture.take(rows), minlength=self.num_pictures)

    def shift(self, shifts: kalman.Floats, weights: kalman.Floats) -> None:
        """Move the tracks of each picture along with its camera.

        Args:
            shifts: [2, pictures], pixels.
            weights: How much of it is taken for speed, [pictures], per second.
        """
        by = shifts if self.num_pictures == 1 else shifts.take(self.picture, axis=1)
        self.state[kalman.POSITION, :2] += by
        self.table[TRAIL] += by
        self.state[kalman.VELOCITY, :2] += by * self.of_each(weights)

    def expire(self, picture: int) -> None:
        """Let the tracks of a picture end with it."""
        self.table[SEEN_S, self.picture == picture] = -np.inf

    def observe(
        self, found: Found, matching: Matching, t_s: kalman.Floats, straight_s: float
    ) -> None:
        """Let each track that is matched see its detection.

        All tracks see one, and who has none is put back: a table is faster than some columns of it.

        Args:
            found: Detections.
            matching: Who belongs to whom.
            t_s: Time of each picture.
            straight_s: Tracks that were hidden for longer take the speed of the straight way.
        """
        col_of, table, now_s, kept = matching.col_of, self.table, self.of_each(t_s), None
        seen = found.table.take(col_of, axis=1)
        if matching.num_pairs < len(col_of):
            unseen = (col_of < _NONE).nonzero()[0]
            kept = table.take(unseen, axis=1)
        gap_s = now_s - table[SEEN_S]
        kalman.correct(self.state, seen)
        if straight_s < np.inf:
            way = seen[boxes.CENTRE] - boxes.of_corners(table[LAST_XYXY])[boxes.CENTRE]
            velocity = self.state[kalman.VELOCITY, :2]
            np.copyto(velocity, way / gap_s, where=gap_s > straight_s)
        table[LAST_XYXY], table[SEEN_S] = seen[boxes.XYXY], now_s
        trail, num_hits = table[TRAIL], table[NUM_HITS]
        trail += (trail - seen[boxes.CENTRE]) * np.expm1(gap_s * _TRAIL_RATE)
        num_hits += _ONE
        _vote(table, seen, found, col_of)
        if kept is not None:
            table[:, unseen] = kept
        if len(self.looks):
            rows, cols = matching.pairs()
            mixed = _OLD_LOOKS * self.looks[:, rows] + (1 - _OLD_LOOKS) * found.looks[:, cols]
            self.looks[:, rows] = unit(mixed)

    def begin(self, found: Found, cols: Indices, t_s: kalman.Floats, patience_s: float) -> None:
        """Add a tentative track behind all others for each of some detections."""
        seen, picture = found.table.take(cols, axis=1), found.picture[cols]
        new = np.zeros((len(self.table), len(cols)))
        new[:_NUM_STATE] = kalman.begin(seen[boxes.BOXES]).reshape(_NUM_STATE, -1)
        new[FIRST_XYXY] = new[LAST_XYXY] = seen[boxes.XYXY]
        new[TRAIL] = seen[boxes.CENTRE]
        new[FIRST_CONFIDENCE] = seen[CONFIDENCE]
        new[BORN_S] = new[SEEN_S] = t_s[picture]
        new[PATIENCE_S] = patience_s
        new[NUM_HITS] = 1
        _vote(new, seen, found, cols)
        self.table = np.concatenate([self.table, new], axis=1)
        self.looks = np.concatenate([self.looks, found.looks[:, cols]], axis=1)
        self.picture = np.concatenate([self.picture, picture])

    def part(self, keep: NDArray[np.bool_]) -> tuple[list[Table], list[Looks]]:
        """The tables and looks of the pictures, with the tracks that are kept."""
        rows = keep.nonzero()[0]
        rows = rows[self.picture[rows].argsort(kind="stable")]
        table, looks = self.table.take(rows, axis=1), self.looks.take(rows, axis=1)
        own = spans(self.picture.take(rows), self.num_pictures)
        return [table[:, each] for each in own], [looks[:, each] for each in own]


def _vote(table: Table, seen: Table, found: Found, cols: Indices) -> None:
    """Count what class each track's detection has."""
    confidence = seen[CONFIDENCE]
    if len(table) == VOTES + 1:
        votes = table[VOTES]
        votes += confidence
        return
    num = table.shape[1]
    votes = table[VOTES:].reshape(-1)
    votes[found.class_id.take(cols) * num + np.arange(num)] += confidence
    table[CLASS_ID] = table[VOTES:].argmax(axis=0)


def _padded(table: Table, num_rows: int) -> Table:
    """The same with more rows."""
    num_more = num_rows - len(table)
    return np.pad(table, ((0, num_more), (0, 0))) if num_more else table
