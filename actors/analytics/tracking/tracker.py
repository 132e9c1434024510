"""A tracker of the ByteTrack kind that measures motion in seconds, for rates from 1 to 30 a second.

After Zhang et al., "ByteTrack" (2022): sure detections are matched to predicted boxes first, unsure
ones then keep tracks alive. Added here: time in seconds, votes on the class, and a third round
which gives small fast objects that overlap nothing to the track whose motion explains them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import kalman
from actors.analytics.tracking.association import Indices, Matching, best_assignment, overlap
from actors.analytics.tracking.config import TrackerConfig
from actors.analytics.tracking.tracks import TENTATIVE, Tracks
from engines.detections import Detections


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
        self._config = config or TrackerConfig()
        self._tracks = Tracks()
        self._next_identity = 1
        self._t_s: float | None = None
        self.births: dict[int, Birth] = {}
        self.ended: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Number of confirmed tracks, seen or lost."""
        return int(np.count_nonzero(self._tracks.identity))

    def update(self, detections: Detections, t_s: float) -> Detections:
        """Track one frame's detections.

        Args:
            detections: What the model found; of any confidence.
            t_s: Time of the frame, seconds, later than that of the frame before.

        Returns:
            The detections of confirmed tracks in their order, with the boxes and confidences they
            came with, ``track_id``, and the class that the track has by vote.

        Raises:
            ValueError: if time does not advance.
        """
        self._advance(t_s)
        found = self._worthy(detections)
        corners = np.array(found.xyxy.T, dtype=np.float64, order="C")
        boxes = kalman.to_centre(corners)
        row_of = self._match(found, corners, boxes, t_s)
        self._observe(found, boxes, row_of, t_s)
        self._begin(found, boxes, row_of, t_s)
        self._confirm()
        tracked = self._tracked(found, row_of)
        self._end(t_s)
        return tracked

    def _advance(self, t_s: float) -> None:
        if self._t_s is not None:
            if t_s <= self._t_s:
                raise ValueError(f"time must advance: {t_s} s came after {self._t_s} s")
            self._tracks.state = kalman.predict(self._tracks.state, t_s - self._t_s)
        self._t_s = t_s

    def _worthy(self, detections: Detections) -> Detections:
        """Those that are not ignored."""
        worthy = detections.confidence >= self._config.low_confidence
        return detections if np.count_nonzero(worthy) == len(worthy) else detections[worthy]

    def _match(
        self, found: Detections, corners: kalman.Floats, boxes: kalman.Floats, t_s: float
    ) -> Indices:
        """Row of the track of each detection, -1 where there is none."""
        tracks, config = self._tracks, self._config
        matching = Matching(len(tracks), len(found))
        if not len(tracks) or not len(found):
            return matching.row_of
        similarity = overlap(kalman.to_corners(tracks.state[kalman.POSITION]), corners)
        other_class = tracks.class_id[:, None] != found.class_id
        np.multiply(similarity, config.class_penalty, out=similarity, where=other_class)
        sure = found.confidence >= config.high_confidence
        rows, cols = np.arange(len(tracks)), sure.nonzero()[0]
        confident = similarity.take(cols, axis=1) * found.confidence[cols].astype(np.float64)
        matching.add(rows, cols, confident, config.min_iou)
        cols = matching.free_cols(~sure)
        if len(cols):
            rows = matching.free_rows(tracks.identity != TENTATIVE)
            matching.add(rows, cols, similarity[rows[:, None], cols], config.min_iou_low)
        cols = matching.free_cols(sure)
        if len(cols):
            rows = matching.free_rows(t_s - tracks.seen_s <= config.max_gate_s)
            distance = kalman.squared_distance(tracks.state[:, :, rows], boxes[:, cols])
            near = np.where(other_class[rows[:, None], cols], -1.0, config.max_gate - distance)
            matching.add(rows, cols, near, 0.0)
        return matching.row_of

    def _observe(
        self, found: Detections, boxes: kalman.Floats, row_of: Indices, t_s: float
    ) -> None:
        cols = (row_of >= 0).nonzero()[0]
        if len(cols):
            confidence, class_id = found.confidence[cols], found.class_id[cols]
            boxes = boxes.take(cols, axis=1)
            self._tracks.observe(row_of[cols], boxes, confidence, class_id, t_s)

    def _begin(self, found: Detections, boxes: kalman.Floats, row_of: Indices, t_s: float) -> None:
        """Add tracks for sure detections that have none, and enter their rows."""
        new = (row_of < 0) & (found.confidence >= self._config.begin_confidence)
        if np.count_nonzero(new):
            num_before = len(self._tracks)
            self._tracks.begin(found[new], boxes[:, new], t_s, self._config.max_tentative_s)
            row_of[new] = np.arange(num_before, len(self._tracks))

    def _confirm(self) -> None:
        tracks, self.births = self._tracks, {}
        enough = (tracks.identity == TENTATIVE) & (tracks.num_hits >= self._config.min_hits)
        for row in enough.nonzero()[0].tolist():
            tracks.identity[row] = self._next_identity
            tracks.patience_s[row] = self._config.max_lost_s
            self.births[self._next_identity] = Birth(
                tracks.first_xyxy[row].astype(np.float64),
                float(tracks.first_confidence[row]),
                float(tracks.born_s[row]),
            )
            self._next_identity += 1

    def _tracked(self, found: Detections, row_of: Indices) -> Detections:
        """The detections that belong to confirmed tracks."""
        tracks = self._tracks
        if not len(tracks):
            return Detections.empty()
        identity = tracks.identity[row_of]  # that of the last track where there is none
        of_track = (row_of >= 0) & (identity != TENTATIVE)
        tracked = Detections(found.xyxy, found.confidence, tracks.class_id[row_of], identity)
        return tracked if np.count_nonzero(of_track) == len(found) else tracked[of_track]

    def _end(self, t_s: float) -> None:
        tracks, self.ended = self._tracks, ()
        over = t_s - tracks.seen_s > tracks.patience_s
        if np.count_nonzero(over):
            identities = tracks.identity[over].tolist()
            self.ended = tuple(i for i in identities if i != TENTATIVE)
            tracks.keep(~over)
