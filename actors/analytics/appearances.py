"""What objects look like, for trackers that compare it: whom to ask for, and what has come. Pure.

Embeddings cost too much to have one of each detection. A track is asked for every ``again_s``.
While one is out of sight, each detection that belongs to none is asked for: it may be that one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from actors.analytics.crop_budget import CropBudget
from actors.cascade_specs import SecondarySpec
from actors.crop_messages import CropAnswer
from engines.detections import Detections
from engines.readings import Embeddings


class Appearances:
    """Embeddings of one source session.

    Args:
        spec: Of the secondary that gives them: it says of which classes and sizes, and how often.
        labels: Class names of the detector, in class order.
    """

    def __init__(self, spec: SecondarySpec, labels: Sequence[str]) -> None:
        self.name = spec.name
        self._spec = spec
        wanted = [not spec.classes or label in spec.classes for label in labels]
        self._wanted: NDArray[np.bool_] = np.array(wanted, bool)
        self._asked_s: dict[int, float] = {}
        self._budget = CropBudget(spec.max_rate)
        self._num_values = 0

    def take(self, answers: Sequence[CropAnswer], num: int) -> NDArray[np.float32]:
        """What has come with a frame of ``num`` detections.

        Returns:
            float32 [num, d], zero where nothing came; d is 0 before the first answer.
        """
        own = [answer for answer in answers if answer.secondary == self.name]
        for answer in own:
            for track in answer.missed:
                self._asked_s.pop(track, None)  # due at once
            if isinstance(answer.readings, Embeddings):
                self._num_values = answer.readings.vectors.shape[1]
        looks = np.zeros((num, self._num_values), np.float32)
        for answer in own:
            if isinstance(answer.readings, Embeddings):
                looks[list(answer.rows)] = answer.readings.vectors
        return looks

    def due(self, tracked: Detections, strangers: Detections, at_s: float) -> Detections:
        """Objects of a frame whose crops are wanted, and are on their way from now on.

        Args:
            tracked: Detections with their tracks.
            strangers: Detections without, if one of them may be a track that is out of sight.
            at_s: Time of the frame, of a clock that never goes back.

        Returns:
            Strangers first, with numbers below 0 for identities; then tracks, those that were asked
            for longest ago first.
        """
        self._budget.refill(at_s)
        found = strangers[self._fits(strangers)]
        found = found[: self._budget.take(len(found))]
        numbers = -1 - np.arange(len(found))
        known = tracked[self._fits(tracked)]
        asked_s = [self._asked_s.get(track, -np.inf) for track in known.track_id.tolist()]
        rows = np.argsort(asked_s, kind="stable")
        rows = rows[np.array(asked_s)[rows] <= at_s - self._spec.again_s]
        known = known[rows[: self._budget.take(len(rows))]]
        self._asked_s.update(dict.fromkeys(known.track_id.tolist(), at_s))
        return _joined(Detections(found.xyxy, found.confidence, found.class_id, numbers), known)

    def forget(self, tracks: Collection[int]) -> None:
        """These tracks have ended."""
        for track in tracks:
            self._asked_s.pop(track, None)

    def _fits(self, objects: Detections) -> NDArray[np.bool_]:
        """Which of them are of the classes and sizes that are looked at."""
        sides = (objects.xyxy[:, 2:] - objects.xyxy[:, :2]).min(axis=1, initial=np.inf)
        known = objects.class_id < len(self._wanted)
        wanted = self._wanted[np.where(known, objects.class_id, 0)] if len(self._wanted) else known
        return np.asarray(known & wanted & (sides >= self._spec.min_size_px))


def _joined(one: Detections, other: Detections) -> Detections:
    return Detections(
        np.concatenate([one.xyxy, other.xyxy]),
        np.concatenate([one.confidence, other.confidence]),
        np.concatenate([one.class_id, other.class_id]),
        np.concatenate([one.track_id, other.track_id]),
    )
