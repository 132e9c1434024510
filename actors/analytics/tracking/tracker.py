"""Trackers that measure motion in seconds, for rates from 1 to 30 a second.

All kinds work alike: tracks are predicted, rounds share the detections out among them, and sure
detections that are left begin new tracks. A kind is its rounds and its thresholds (``kinds.py``).
The default is of the kind of Zhang et al., "ByteTrack" (2022). Added there: time in seconds, votes
on the class, shape and direction, and a round that gives small fast objects that overlap nothing to
the track whose motion explains them.

An operation on a small array costs the same whatever it does, so pictures of several streams are
tracked together: their tracks and detections lie one after the other in the same arrays.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking.association import best_assignment
from actors.analytics.tracking.config import BYTETRACK, TrackerConfig
from actors.analytics.tracking.found import Found, Looks, no_looks, packed, unit
from actors.analytics.tracking.leaving import border_of, borders_of
from actors.analytics.tracking.pairing import spans
from actors.analytics.tracking.rounds import Rounds
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
    checked_looks,
    no_tracks,
)
from engines.detections import Detections

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Birth:
    """The first observation of a track that has now been confirmed."""

    xyxy: NDArray[np.float64]
    confidence: float
    t_s: float


class Tracker:
    """Tracks the objects of one stream session. Identities count up from 1.

    Args:
        config: What kind of tracker it is; ByteTrack without it.
        size: (width, height) of the pictures in pixels. Without it nobody is known to leave them.

    Attributes:
        config: Another one may be set between two frames; the tracks stay.
        births: First observations of the tracks that the last update confirmed, by identity.
        ended: Identities that ended with the last update.
    """

    def __init__(
        self, config: TrackerConfig | None = None, size: tuple[int, int] | None = None
    ) -> None:
        best_assignment()  # loaded now, not with the first frame
        self.births: dict[int, Birth] = {}
        self.ended: tuple[int, ...] = ()
        self.config = config or BYTETRACK
        self._border = border_of(size)
        self._table = no_tracks()
        self._looks = no_looks()
        self._is_told = False
        self._num_identities = 0
        self._t_s: float | None = None
        self._due_s = -math.inf  # no track ends before

    def __len__(self) -> int:
        """Number of confirmed tracks, seen or lost."""
        return int(np.count_nonzero(self._table[IDENTITY]))

    def update(
        self, detections: Detections, t_s: float, embeddings: Looks | None = None
    ) -> Detections:
        """Track one frame; see ``update_all``."""
        looks = self._look(detections, embeddings)
        return _Step([self], [detections], [t_s], [looks]).run()[0]

    @staticmethod
    def update_all(
        frames: Sequence[tuple[Tracker, Detections, float]],
        embeddings: Sequence[Looks | None] = (),
    ) -> list[Detections]:
        """Track one frame of each of several streams; those of one configuration in one go.

        Args:
            frames: Of each stream its tracker; what the model found, of any confidence; and the
                time of the frame, seconds, later than that of the frame before.
            embeddings: Of each stream float32 [n, d], what its detections look like, for kinds that
                compare it; without them these go by motion alone, and say so in the log.

        Returns:
            Of each stream the detections of confirmed tracks in their order, with the boxes and
            confidences they came with, ``track_id``, and the class that the track has by vote.

        Raises:
            ValueError: if time does not advance, or embeddings are not one for each detection.
        """
        if len(frames) == 1:
            return [frames[0][0].update(*frames[0][1:], *embeddings)]
        alike: dict[tuple[int, int], list[int]] = {}
        looks = []
        for n, (tracker, found, _) in enumerate(frames):
            looks.append(tracker._look(found, embeddings[n] if embeddings else None))
            alike.setdefault((id(tracker.config), len(looks[n])), []).append(n)
        tracked = [Detections.empty()] * len(frames)
        for numbers in alike.values():
            trackers, pictures, t_s = zip(*(frames[n] for n in numbers), strict=True)
            step = _Step(trackers, pictures, t_s, [looks[n] for n in numbers])
            for n, own in zip(numbers, step.run(), strict=True):
                tracked[n] = own
        return tracked

    def state(self) -> dict[str, Any]:
        """All that the next update needs, as plain values and arrays."""
        return {
            "table": self._table,
            "looks": packed(self._looks),
            "num_identities": self._num_identities,
            "t_s": self._t_s,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave of a tracker of any kind.

        Raises:
            KeyError: if a value is missing.
            ValueError: if the tracks are not a table of this tracker's.
        """
        self._table = checked(state["table"])
        self._looks = checked_looks(state["looks"], self._table)
        self._num_identities = int(state["num_identities"])
        self._t_s = None if state["t_s"] is None else float(state["t_s"])
        self._due_s = -math.inf
        self.births, self.ended = {}, ()

    def _look(self, found: Detections, embeddings: Looks | None) -> Looks:
        """Embeddings [d, n] as tracks compare them; d is 0 where they are not compared."""
        if not self.config.wants_looks:
            if not len(self._looks):
                return no_looks(len(found))
            embeddings = None
        elif embeddings is None and not self._is_told:
            logger.warning("no embeddings come with the detections: tracking by motion alone")
            self._is_told = True
        if embeddings is None:
            looks = no_looks(len(found))
        elif embeddings.ndim != 2 or len(embeddings) != len(found):
            shape = list(embeddings.shape)
            raise ValueError(f"embeddings {shape}: expected [{len(found)}, d], one a detection")
        else:
            looks = unit(embeddings.T)
        if self.config.wants_looks and not len(looks):  # none came with this frame
            looks = np.zeros((len(self._looks), len(found)), dtype=np.float32)
        if len(looks) != len(self._looks):
            self._looks = np.zeros((len(looks), self._table.shape[1]), dtype=np.float32)
        return looks

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
    """One frame of each of some streams whose trackers are alike."""

    def __init__(
        self,
        trackers: Sequence[Tracker],
        pictures: Sequence[Detections],
        t_s: Sequence[float],
        looks: Sequence[Looks],
    ) -> None:
        self._trackers, self._config = trackers, trackers[0].config
        self._found = Found(pictures, self._config.low_confidence, looks)
        self._t_s = np.array(t_s)
        passed_s = list(map(Tracker._advance, trackers, t_s))
        tables, known = [each._table for each in trackers], [each._looks for each in trackers]
        self._tracks = Tracks(tables, known, self._found.num_classes)
        if len(self._tracks):
            self._tracks.predict(passed_s)
        borders = borders_of([each._border for each in trackers])
        self._rounds = Rounds(self._tracks, self._found, self._t_s, passed_s, self._config, borders)
        self._row_of = self._rounds.matching.row_of
        self._num_new = 0

    def run(self) -> list[Detections]:
        """Take the frames; the detections that belong to confirmed tracks, of each picture."""
        self._rounds.play()
        self.observe()
        self.begin()
        for tracker in self._trackers:
            tracker.births, tracker.ended = {}, ()
        if self._num_new or self._rounds.num_tentative:
            self.confirm()
        tracked = self.tracked()
        self.end()
        return tracked

    def observe(self) -> None:
        """Correct the tracks that have a detection."""
        if self._rounds.matching.num_pairs:
            matching, straight_s = self._rounds.matching, self._config.straight_s
            self._tracks.observe(self._found, matching, self._t_s, straight_s)

    def begin(self) -> None:
        """Add tracks for sure detections that have none."""
        if self._rounds.matching.num_pairs == len(self._row_of):
            return
        new = (self._row_of < 0) & (self._found.confidence >= self._config.begin_confidence)
        cols = new.nonzero()[0]
        self._num_new = len(cols)
        if len(cols):
            self._row_of[cols] = len(self._tracks) + np.arange(len(cols))
            self._tracks.begin(self._found, cols, self._t_s, self._config.max_tentative_s)

    def confirm(self) -> None:
        """Give identities to tracks that were seen often enough."""
        table, config = self._tracks.table, self._config
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
        found, table, rows = self._found, self._tracks.table, self._row_of
        xyxy, confidence, cols = found.xyxy, found.confidence, None
        if self._rounds.num_tentative or self._rounds.matching.num_pairs < len(rows):
            cols = (rows >= 0).nonzero()[0]
            cols = cols[table[IDENTITY].take(rows.take(cols)) != TENTATIVE]
            xyxy, confidence, rows = xyxy[cols], confidence.take(cols), rows.take(cols)
        identity = table[IDENTITY].take(rows).astype(np.int64)
        class_id = table[CLASS_ID].take(rows).astype(np.int32)
        everything = Detections(xyxy, confidence, class_id, identity)
        if len(self._trackers) == 1:
            return [everything]
        picture = found.picture if cols is None else found.picture.take(cols)
        return [everything[own] for own in spans(picture, len(self._trackers))]

    def end(self) -> None:
        """Forget tracks that were not seen for too long; give each tracker its own."""
        tracks, first = self._tracks, self._trackers[0]
        is_alone = len(self._trackers) == 1
        if is_alone and not self._num_new and self._t_s[0] <= first._due_s:
            first._table, first._looks = tracks.table, tracks.looks
            return
        last_s = tracks.table[SEEN_S] + tracks.table[PATIENCE_S]
        over = tracks.of_each(self._t_s) > last_s
        for row in over.nonzero()[0].tolist():
            if identity := int(tracks.table[IDENTITY, row]):
                self._trackers[tracks.picture[row]].ended += (identity,)
        tables, looks = tracks.part(~over)
        for tracker, table, known in zip(self._trackers, tables, looks, strict=True):
            tracker._table, tracker._looks = table, known
            tracker._due_s = -math.inf
        if is_alone:
            first._due_s = float(last_s[~over].min(initial=math.inf))
