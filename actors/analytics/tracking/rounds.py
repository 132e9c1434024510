"""The rounds of matching: likeness of tracks and detections, and who belongs to whom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actors.analytics.pairing import pairs
from actors.analytics.tracking import kalman
from actors.analytics.tracking.association import Matching, directions, overlaps
from actors.analytics.tracking.config import MAX_GATE, Likeness, Round, Stage, TrackerConfig
from actors.analytics.tracking.found import Found
from actors.analytics.tracking.tracks import (
    CLASS_ID,
    IDENTITY,
    LAST_XYXY,
    SEEN_S,
    TENTATIVE,
    TRAIL,
    Tracks,
)

Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]
_Pairs = tuple[Indices, Indices, kalman.Floats]
_Overlaps = tuple[Indices, Indices, kalman.Floats, kalman.Floats]


class Rounds:
    """Shares the detections of some pictures out among the tracks.

    Args:
        tracks: As they are predicted.
        found: Detections.
        t_s: Time of each picture, seconds.
        config: Which rounds, and what is sure.

    Attributes:
        matching: Who belongs to whom so far.
    """

    def __init__(
        self, tracks: Tracks, found: Found, t_s: kalman.Floats, config: TrackerConfig
    ) -> None:
        self.matching = Matching(tracks.picture, len(found))
        self._tracks, self._found, self._config = tracks, found, config
        self._t_s = t_s
        self._overlaps: _Overlaps | None = None
        self._sure = found.confidence >= config.high_confidence
        self._confirmed = tracks.table[IDENTITY] != TENTATIVE

    def play(self) -> None:
        """Hold all rounds."""
        if not len(self._tracks) or not len(self._found):
            return
        for each in self._config.rounds:
            left = self.matching.row_of < 0
            if not np.count_nonzero(left):
                break
            cols = left & (self._sure if each.sure else ~self._sure)
            if np.count_nonzero(cols):
                rows = self._matchable_rows(each)
                if np.count_nonzero(rows):
                    self._match(each, rows, cols)

    def _matchable_rows(self, round_: Round) -> Mask:
        rows = self.matching.is_free
        if round_.stage is not Stage.ALL:
            confirmed = self._confirmed
            rows = rows & (confirmed if round_.stage is Stage.CONFIRMED else ~confirmed)
        if round_.max_age_s < np.inf:
            age_s = self._t_s[self._tracks.picture] - self._tracks.table[SEEN_S]
            rows = rows & (age_s <= round_.max_age_s)
        return rows

    def _match(self, round_: Round, rows: Mask, cols: Mask) -> None:
        if round_.likeness in (Likeness.OVERLAP, Likeness.SHAPE):
            i, j, likeness = self._of_overlap(round_, rows, cols)
            least = round_.least
        else:
            i, j = self._left(rows.nonzero()[0], cols.nonzero()[0])
            i, j, likeness = self._of_left(round_, i, j)
            least = 0.0 if round_.likeness is Likeness.MOTION else round_.least
        good = (likeness >= least).nonzero()[0]
        self.matching.add(i[good], j[good], likeness[good] - (least - 1e-6))

    def _of_overlap(self, round_: Round, rows: Mask, cols: Mask) -> _Pairs:
        i, j, overlap, height = self._all_overlaps()
        good = (rows[i] & cols[j]).nonzero()[0]
        i, j, likeness = i[good], j[good], overlap[good]
        confidence = self._found.confidence[j]
        if round_.likeness is Likeness.SHAPE:
            likeness *= np.sqrt(height[good])
            likeness *= confidence
        if round_.direction:
            trail, ahead = self._tracks.table[TRAIL], self._tracks.state[kalman.POSITION, :2]
            cosine = directions(trail, ahead, self._found.boxes[:2], i, j)
            likeness += round_.direction * confidence * cosine
        return i, j, likeness

    def _left(self, rows: Indices, cols: Indices) -> tuple[Indices, Indices]:
        """All pairs of some tracks and some detections, of the same picture."""
        num_pictures = len(self._t_s)
        i, j = pairs(self._tracks.picture[rows], self._found.picture[cols], num_pictures)
        return rows[i], cols[j]

    def _of_left(self, round_: Round, i: Indices, j: Indices) -> _Pairs:
        tracks, found = self._tracks, self._found
        if round_.likeness is Likeness.LAST_BOX:
            i, j, overlap, _ = overlaps(tracks.table[LAST_XYXY], found.corners, i, j)
            return i, j, self._of_class(i, j, overlap)
        distance = kalman.squared_distance(
            tracks.state.take(i, axis=2), found.boxes.take(j, axis=1)
        )
        if round_.likeness is Likeness.LOOKS:
            near = (distance <= MAX_GATE).nonzero()[0]
            i, j = i[near], j[near]
            cosine = (tracks.looks[:, i] * found.looks[:, j]).sum(axis=0, dtype=np.float64)
            return i, j, cosine
        same = (tracks.table[CLASS_ID, i] == found.class_id[j]).nonzero()[0]
        return i[same], j[same], round_.least - distance[same]

    def _of_class(self, i: Indices, j: Indices, overlap: kalman.Floats) -> kalman.Floats:
        other = self._tracks.table[CLASS_ID, i] != self._found.class_id[j]
        if np.count_nonzero(other):
            overlap[other] *= self._config.class_penalty
        return overlap

    def _all_overlaps(self) -> _Overlaps:
        """Pairs whose predicted and found boxes overlap; see ``overlaps``."""
        if self._overlaps is None:
            tracks, found = self._tracks, self._found
            boxes = kalman.to_corners(tracks.state[kalman.POSITION])
            i, j = pairs(tracks.picture, found.picture, len(self._t_s))
            i, j, overlap, height = overlaps(boxes, found.corners, i, j)
            self._overlaps = i, j, self._of_class(i, j, overlap), height
        return self._overlaps
