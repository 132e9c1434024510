"""The tracks of a stream as a struct of arrays: motion, identity and the votes on their class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import kalman

Indices = NDArray[np.intp]
TENTATIVE = 0


class Tracks:
    """All tracks that are alive; arrays of one length n, tracks in the order of their birth.

    Attributes:
        state: float64 [n, 5, 4], see ``kalman``.
        identity: int64 [n], from 1; ``TENTATIVE`` until the track is confirmed.
        num_hits: int64 [n], observations.
        seen_s: float64 [n], time of the last observation.
        born_s: float64 [n], time of the first observation.
        first_xyxy: float64 [n, 4], box of the first observation.
        first_confidence: float64 [n], its confidence.
        votes: float64 [n, k], sum of confidences for each class.
    """

    def __init__(self) -> None:
        self.state = np.empty((0, 5, 4))
        self.identity = np.empty(0, dtype=np.int64)
        self.num_hits = np.empty(0, dtype=np.int64)
        self.seen_s = np.empty(0)
        self.born_s = np.empty(0)
        self.first_xyxy = np.empty((0, 4))
        self.first_confidence = np.empty(0)
        self.votes = np.empty((0, 1))

    def __len__(self) -> int:
        return len(self.identity)

    @property
    def class_id(self) -> NDArray[np.intp]:
        """The class with the most votes, [n]."""
        return np.asarray(self.votes.argmax(axis=1), dtype=np.intp)

    def begin(
        self,
        xyxy: NDArray[np.float32],
        confidence: NDArray[np.float32],
        class_id: NDArray[np.int32],
        t_s: float,
    ) -> None:
        """Add a tentative track for each box."""
        num = len(xyxy)
        self._grow_votes(class_id)
        votes = np.zeros((num, self.votes.shape[1]))
        votes[np.arange(num), class_id] = confidence
        self.state = np.concatenate([self.state, kalman.begin(kalman.to_centre(xyxy))])
        self.identity = np.concatenate([self.identity, np.full(num, TENTATIVE)])
        self.num_hits = np.concatenate([self.num_hits, np.ones(num, dtype=np.int64)])
        self.seen_s = np.concatenate([self.seen_s, np.full(num, t_s)])
        self.born_s = np.concatenate([self.born_s, np.full(num, t_s)])
        self.first_xyxy = np.concatenate([self.first_xyxy, xyxy])
        self.first_confidence = np.concatenate([self.first_confidence, confidence])
        self.votes = np.concatenate([self.votes, votes])

    def observe(
        self,
        rows: Indices,
        centres: kalman.Floats,
        confidence: NDArray[np.float32],
        class_id: NDArray[np.int32],
        t_s: float,
    ) -> None:
        """Correct the tracks ``rows`` by one box each, given as centre and size [m, 4]."""
        self._grow_votes(class_id)
        self.state[rows] = kalman.correct(self.state[rows], centres)
        self.num_hits[rows] += 1
        self.seen_s[rows] = t_s
        self.votes[rows, class_id] += confidence

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Forget the tracks that the mask does not select."""
        self.state = self.state[mask]
        self.identity = self.identity[mask]
        self.num_hits = self.num_hits[mask]
        self.seen_s = self.seen_s[mask]
        self.born_s = self.born_s[mask]
        self.first_xyxy = self.first_xyxy[mask]
        self.first_confidence = self.first_confidence[mask]
        self.votes = self.votes[mask]

    def _grow_votes(self, class_id: NDArray[np.int32]) -> None:
        missing = int(class_id.max(initial=0)) + 1 - self.votes.shape[1]
        if missing > 0:
            self.votes = np.pad(self.votes, ((0, 0), (0, missing)))
