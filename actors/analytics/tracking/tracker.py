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
from actors.analytics.tracking.association import Indices, Matching, overlap
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
        import scipy.optimize  # noqa: F401 - loaded now, not with the first frame

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
        found = detections[detections.confidence >= self._config.low_confidence]
        sure = found.confidence >= self._config.high_confidence
        row_of = self._match(found, sure, t_s)
        seen = row_of >= 0
        self._observe(found[seen], row_of[seen], t_s)
        num_before = len(self._tracks)
        new = ~seen & (found.confidence >= self._config.begin_confidence)
        self._begin(found[new], t_s)
        row_of[new] = np.arange(num_before, len(self._tracks))
        self._confirm()
        tracked = self._tracked(found, row_of)
        self._end(t_s)
        return tracked

    def _advance(self, t_s: float) -> None:
        if self._t_s is not None:
            if t_s <= self._t_s:
                raise ValueError(f"time must advance: {t_s} s came after {self._t_s} s")
            kalman.predict(self._tracks.state, t_s - self._t_s)
        self._t_s = t_s

    def _match(self, found: Detections, sure: NDArray[np.bool_], t_s: float) -> Indices:
        """Row of the track of each detection, -1 where there is none."""
        tracks, config = self._tracks, self._config
        matching = Matching(len(tracks), len(found))
        if not len(tracks) or not len(found):
            return matching.row_of
        predicted = tracks.state[:, kalman.POSITION]
        overlaps = overlap(kalman.to_corners(predicted), found.xyxy.astype(np.float64))
        same_class = tracks.class_id[:, None] == found.class_id[None]
        similarity = np.where(same_class, overlaps, config.class_penalty * overlaps)
        matching.add(similarity * found.confidence, config.min_iou, cols=sure)
        if not sure.all():
            steady = tracks.identity != TENTATIVE
            matching.add(similarity, config.min_iou_low, rows=steady, cols=~sure)
        if matching.is_open(sure):
            distance = kalman.squared_distance(tracks.state, kalman.to_centre(found.xyxy))
            near = np.where(same_class, config.max_gate - distance, -1.0)
            recent = t_s - tracks.seen_s <= config.max_gate_s
            matching.add(near, 0.0, rows=recent, cols=sure)
        return matching.row_of

    def _observe(self, found: Detections, rows: Indices, t_s: float) -> None:
        if len(rows):
            centres = kalman.to_centre(found.xyxy)
            self._tracks.observe(rows, centres, found.confidence, found.class_id, t_s)

    def _begin(self, found: Detections, t_s: float) -> None:
        if len(found):
            self._tracks.begin(found.xyxy, found.confidence, found.class_id, t_s)

    def _confirm(self) -> None:
        tracks = self._tracks
        rows = np.nonzero(
            (tracks.identity == TENTATIVE) & (tracks.num_hits >= self._config.min_hits)
        )[0]
        tracks.identity[rows] = np.arange(self._next_identity, self._next_identity + len(rows))
        self._next_identity += len(rows)
        self.births = {
            int(tracks.identity[row]): Birth(
                tracks.first_xyxy[row],
                float(tracks.first_confidence[row]),
                float(tracks.born_s[row]),
            )
            for row in rows
        }

    def _tracked(self, found: Detections, row_of: Indices) -> Detections:
        """The detections that belong to confirmed tracks."""
        has_track = row_of >= 0
        has_track[has_track] = self._tracks.identity[row_of[has_track]] != TENTATIVE
        rows = row_of[has_track]
        return Detections(
            found.xyxy[has_track],
            found.confidence[has_track],
            self._tracks.class_id[rows].astype(np.int32),
            self._tracks.identity[rows],
        )

    def _end(self, t_s: float) -> None:
        tracks, config = self._tracks, self._config
        tentative = tracks.identity == TENTATIVE
        patience_s = np.where(tentative, config.max_tentative_s, config.max_lost_s)
        alive = t_s - tracks.seen_s <= patience_s
        self.ended = tuple(tracks.identity[~alive & ~tentative].tolist())
        if not alive.all():
            tracks.keep(alive)
