"""The tracks of a stream as a struct of arrays: motion, identity and the votes on their class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import kalman
from engines.detections import Detections

Indices = NDArray[np.intp]
TENTATIVE = 0


class Tracks:
    """All tracks that are alive; arrays of one length n, tracks in the order of their birth.

    Attributes:
        state: float64 [6, 4, n], see ``kalman``.
        identity: int64 [n], from 1; ``TENTATIVE`` until the track is confirmed.
        num_hits: int64 [n], observations.
        seen_s: float64 [n], time of the last observation.
        patience_s: float64 [n], for how long the track may go unseen.
        born_s: float64 [n], time of the first observation.
        first_xyxy: float32 [n, 4], box of the first observation.
        first_confidence: float32 [n], its confidence.
        votes: float64 [n, k], sum of confidences for each class.
        class_id: int32 [n], the class with the most votes.
    """

    def __init__(self) -> None:
        self.state = np.empty((kalman.NUM_ROWS, 4, 0))
        self.identity = np.empty(0, dtype=np.int64)
        self.num_hits = np.empty(0, dtype=np.int64)
        self.seen_s = np.empty(0)
        self.patience_s = np.empty(0)
        self.born_s = np.empty(0)
        self.first_xyxy = np.empty((0, 4), dtype=np.float32)
        self.first_confidence = np.empty(0, dtype=np.float32)
        self.votes = np.empty((0, 1))
        self.class_id = np.empty(0, dtype=np.int32)

    def __len__(self) -> int:
        return len(self.identity)

    def begin(self, found: Detections, boxes: kalman.Floats, t_s: float, patience_s: float) -> None:
        """Add a tentative track for each detection; ``boxes`` [4, m] are centre and size."""
        num = len(found)
        self._grow_votes(found.class_id)
        votes = np.zeros((num, self.votes.shape[1]))
        votes[np.arange(num), found.class_id] = found.confidence
        self.state = np.concatenate([self.state, kalman.begin(boxes)], axis=2)
        self.identity = np.concatenate([self.identity, np.full(num, TENTATIVE)])
        self.num_hits = np.concatenate([self.num_hits, np.ones(num, dtype=np.int64)])
        self.seen_s = np.concatenate([self.seen_s, np.full(num, t_s)])
        self.patience_s = np.concatenate([self.patience_s, np.full(num, patience_s)])
        self.born_s = np.concatenate([self.born_s, np.full(num, t_s)])
        self.first_xyxy = np.concatenate([self.first_xyxy, found.xyxy])
        self.first_confidence = np.concatenate([self.first_confidence, found.confidence])
        self.votes = np.concatenate([self.votes, votes])
        self.class_id = np.concatenate([self.class_id, found.class_id])

    def observe(
        self,
        rows: Indices,
        boxes: kalman.Floats,
        confidence: NDArray[np.float32],
        class_id: NDArray[np.int32],
        t_s: float,
    ) -> None:
        """Correct the tracks ``rows`` by one box each, given as centre and size [4, m]."""
        self._grow_votes(class_id)
        seen = self.state.take(rows, axis=2)
        kalman.correct(seen, boxes)
        self.state[:, :, rows] = seen
        self.num_hits[rows] += 1
        self.seen_s[rows] = t_s
        # The flat view: one index is half the price of two.
        self.votes.reshape(-1)[rows * self.votes.shape[1] + class_id] += confidence
        self.class_id = self.votes.argmax(axis=1).astype(np.int32)

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Forget the tracks that the mask does not select."""
        self.state = self.state[:, :, mask]
        self.identity = self.identity[mask]
        self.num_hits = self.num_hits[mask]
        self.seen_s = self.seen_s[mask]
        self.patience_s = self.patience_s[mask]
        self.born_s = self.born_s[mask]
        self.first_xyxy = self.first_xyxy[mask]
        self.first_confidence = self.first_confidence[mask]
        self.votes = self.votes[mask]
        self.class_id = self.class_id[mask]

    def _grow_votes(self, class_id: NDArray[np.int32]) -> None:
        missing = max(class_id.tolist()) + 1 - self.votes.shape[1]
        if missing > 0:
            self.votes = np.pad(self.votes, ((0, 0), (0, missing)))
