"""A tracker of the ByteTrack kind that measures motion in seconds, for rates from 1 to 30 a second.

After Zhang et al., "ByteTrack" (2022): sure detections are matched to predicted boxes first, unsure
ones then keep tracks alive. Added here: time in seconds, votes on the class, and a third round
which gives small fast objects that overlap nothing to the track whose motion explains them.

An operation on a small array costs the same whatever it does, so pictures of several streams are
tracked together: their tracks and detections lie one after the other in the same arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.analytics.pairing import pairs
from actors.analytics.tracking import kalman
from actors.analytics.tracking.association import Matching, best_assignment, overlaps
from actors.analytics.tracking.config import TrackerConfig
from actors.analytics.tracking.found import Found
from actors.analytics.tracking.tracks import (
    BORN_S,
    CLASS_ID,
    FIRST_CONFIDENCE,
    FIRST_XYXY,
    IDENTITY,
    NUM_HITS,
    PATIENCE_S,
    SEEN_S,
    TENTATIVE,
    Tracks,
    checked,
    no_tracks,
)
from engines.detections import Detections

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Birth:
    """The first observation of a track that has now been confirmed."""

    xyxy: NDArray[np.float64]
    confidence: float
    t_s: float


class Tracker:
    """Tracks the objects of one stream session. Identities count up from 1.

    Attributes:
        births: First observations of the tracks that the last update confirmed, by identity.
        ended: Identities that ended with the last update.
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        best_assignment()  # loaded now, not with the first frame
        self.births: dict[int, Birth] = {}
        self.ended: tuple[int, ...] = ()
        self._config = config or TrackerConfig()
        self._table = no_tracks()
        self._num_identities = 0
        self._t_s: float | None = None

    def __len__(self) -> int:
        """Number of confirmed tracks, seen or lost."""
        return int(np.count_nonzero(self._table[IDENTITY]))

    def update(self, detections: Detections, t_s: float) -> Detections:
        """Track one frame; see ``update_all``."""
        return Tracker.update_all([(self, detections, t_s)])[0]

    @staticmethod
    def update_all(frames: Sequence[tuple[Tracker, Detections, float]]) -> list[Detections]:
        """Track one frame of each of several streams.

        Args:
            frames: Of each stream its tracker, all with the same configuration; what the model
                found, of any confidence; and the time of the frame, seconds, later than that of
                the frame before.

        Returns:
            Of each stream the detections of confirmed tracks in their order, with the boxes and
            confidences they came with, ``track_id``, and the class that the track has by vote.

        Raises:
            ValueError: if time does not advance.
        """
        step = _Step(frames)
        step.match()
        step.observe()
        step.begin()
        step.confirm()
        tracked = step.tracked()
        step.end()
        return tracked

    def state(self) -> dict[str, Any]:
        """All that the next update needs, as plain values and arrays."""
        return {"table": self._table, "num_identities": self._num_identities, "t_s": self._t_s}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave of a tracker with the same configuration.

        Raises:
            KeyError: if a value is missing.
            ValueError: if the tracks are not a table of this tracker's.
        """
        self._table = checked(state["table"])
        self._num_identities = int(state["num_identities"])
        self._t_s = None if state["t_s"] is None else float(state["t_s"])
        self.births, self.ended = {}, ()

    def _advance(self, t_s: float) -> float:
        """Take the time of a frame; how long it is after the one before, seconds."""
        before_s = self._t_s
        if before_s is not None and t_s <= before_s:
            raise ValueError(f"time must advance: {t_s} s came after {before_s} s")
        self._t_s = t_s
        return 0.0 if before_s is None else t_s - before_s

    def _identify(self) -> int:
        self._num_identities += 1
        return self._num_identities


class _Step:
    """One frame of each of some streams."""

    def __init__(self, frames: Sequence[tuple[Tracker, Detections, float]]) -> None:
        self._trackers = [tracker for tracker, _, _ in frames]
        self._config = self._trackers[0]._config
        self._found = Found.of([found for _, found, _ in frames], self._config.low_confidence)
        tables = [tracker._table for tracker in self._trackers]
        self._tracks = Tracks(tables, self._found.num_classes)
        self._t_s = np.array([t_s for _, _, t_s in frames])
        passed_s = np.array([tracker._advance(t_s) for tracker, _, t_s in frames])
        if len(self._tracks):
            kalman.predict(self._tracks.state, passed_s[self._tracks.picture])
        self._matching = Matching(self._tracks.picture, len(self._found))

    def match(self) -> None:
        """Find the detection of each track, in three rounds."""
        tracks, found, config = self._tracks, self._found, self._config
        if not len(tracks) or not len(found):
            return
        boxes = kalman.to_corners(tracks.state[kalman.POSITION])
        rows, cols = pairs(tracks.picture, found.picture, len(self._trackers))
        rows, cols, similarity = overlaps(boxes, found.corners, rows, cols)
        other_class = tracks.table[CLASS_ID, rows] != found.class_id[cols]
        similarity[other_class] *= config.class_penalty
        sure = found.confidence >= config.high_confidence
        confident = similarity * found.confidence[cols].astype(np.float64)
        self._add(rows, cols, confident, config.min_iou, sure[cols])
        if np.count_nonzero(sure) < len(sure):
            known = tracks.table[IDENTITY, rows] != TENTATIVE
            self._add(rows, cols, similarity, config.min_iou_low, known & ~sure[cols])
        self._match_far(sure)

    def _match_far(self, sure: NDArray[np.bool_]) -> None:
        """The third round: sure detections that are left, by the motion of tracks that are left."""
        tracks, found, config = self._tracks, self._found, self._config
        cols = (sure & (self._matching.row_of < 0)).nonzero()[0]
        if len(cols):
            age_s = self._t_s[tracks.picture] - tracks.table[SEEN_S]
            rows = (self._matching.is_free & (age_s <= config.max_gate_s)).nonzero()[0]
            i, j = pairs(tracks.picture[rows], found.picture[cols], len(self._trackers))
            rows, cols = rows[i], cols[j]
            same = (tracks.table[CLASS_ID, rows] == found.class_id[cols]).nonzero()[0]
            rows, cols = rows[same], cols[same]
            state, boxes = tracks.state.take(rows, axis=2), found.boxes.take(cols, axis=1)
            near = config.max_gate - kalman.squared_distance(state, boxes)
            self._add(rows, cols, near, 0.0, True)

    def _add(
        self,
        rows: Indices,
        cols: Indices,
        likeness: kalman.Floats,
        least: float,
        allowed: NDArray[np.bool_] | bool,
    ) -> None:
        """Match the free ones of the allowed pairs that are alike enough."""
        free = self._matching.is_free[rows] & (self._matching.row_of[cols] < 0)
        good = (free & allowed & (likeness >= least)).nonzero()[0]
        self._matching.add(rows[good], cols[good], likeness[good] - (least - 1e-6))

    def observe(self) -> None:
        """Correct the tracks that have a detection."""
        cols = (self._matching.row_of >= 0).nonzero()[0]
        if len(cols):
            self._tracks.observe(self._matching.row_of[cols], self._found, cols, self._t_s)

    def begin(self) -> None:
        """Add tracks for sure detections that have none."""
        found, row_of = self._found, self._matching.row_of
        new = (row_of < 0) & (found.confidence >= self._config.begin_confidence)
        cols = new.nonzero()[0]
        if len(cols):
            row_of[cols] = len(self._tracks) + np.arange(len(cols))
            self._tracks.begin(found, cols, self._t_s, self._config.max_tentative_s)

    def confirm(self) -> None:
        """Give identities to tracks that were seen often enough."""
        table, config = self._tracks.table, self._config
        for tracker in self._trackers:
            tracker.births = {}
        enough = (table[IDENTITY] == TENTATIVE) & (table[NUM_HITS] >= config.min_hits)
        for row in enough.nonzero()[0].tolist():
            tracker = self._trackers[self._tracks.picture[row]]
            table[IDENTITY, row] = identity = tracker._identify()
            table[PATIENCE_S, row] = config.max_lost_s
            tracker.births[identity] = Birth(
                table[FIRST_XYXY, row].copy(),
                float(table[FIRST_CONFIDENCE, row]),
                float(table[BORN_S, row]),
            )

    def tracked(self) -> list[Detections]:
        """The detections that belong to confirmed tracks, of each picture."""
        found, row_of = self._found, self._matching.row_of
        cols = (row_of >= 0).nonzero()[0]
        identity = self._tracks.table[IDENTITY, row_of[cols]].astype(np.int64)
        known = identity != TENTATIVE
        cols, identity = cols[known], identity[known]
        class_id = self._tracks.table[CLASS_ID, row_of[cols]].astype(np.int32)
        xyxy, confidence = found.xyxy[cols], found.confidence[cols]
        ends = found.picture[cols].searchsorted(np.arange(len(self._trackers) + 1)).tolist()
        return [
            Detections(xyxy[a:b], confidence[a:b], class_id[a:b], identity[a:b])
            for a, b in pairwise(ends)
        ]

    def end(self) -> None:
        """Forget tracks that were not seen for too long; give each tracker its own."""
        tracks = self._tracks
        for tracker in self._trackers:
            tracker.ended = ()
        over = self._t_s[tracks.picture] - tracks.table[SEEN_S] > tracks.table[PATIENCE_S]
        for row in over.nonzero()[0].tolist():
            if identity := int(tracks.table[IDENTITY, row]):
                self._trackers[tracks.picture[row]].ended += (identity,)
        parts = tracks.part(~over, len(self._trackers))
        for tracker, table in zip(self._trackers, parts, strict=True):
            tracker._table = table
