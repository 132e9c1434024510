"""The best sight of each track as a small JPEG, for the summary at its end. Pure.

A sight is as good as it is large and sure. One is asked for when the object looks clearly better
than it did, so that few are taken in the life of a track. They do not move with the stream.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from actors.analytics.crop_budget import CropBudget
from engines.detections import Detections

BETTER = 1.2
"""Times as good as what was taken before."""
AGAIN_S = 0.5
"""Seconds between two crops of a track."""
MAX_RATE = 4.0
"""Crops a second of a stream."""
MAX_TRACKS = 64
"""Crops that are kept of a stream; the oldest go."""
_MIN_SIZE_PX = 16


@dataclass(slots=True)
class _Best:
    """Of one track."""

    asked_s: float = -np.inf
    value: float = 0.0
    jpeg: bytes = b""


class BestCrops:
    """Best crops of one source session."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Best] = {}
        self._budget = CropBudget(MAX_RATE)

    def __len__(self) -> int:
        return sum(1 for best in self._tracks.values() if best.jpeg)

    def due(self, tracked: Detections, at_s: float) -> Detections:
        """Tracks that look better now than in the crop that there is, the most improved first."""
        self._budget.refill(at_s)
        values, wanted = _values(tracked), []
        for row, track in enumerate(tracked.track_id.tolist()):
            best = self._tracks.get(track) or self._tracks.setdefault(track, _Best())
            gain = values[row] / max(best.value, 1e-9)
            if values[row] > 0 and gain >= BETTER and at_s - best.asked_s >= AGAIN_S:
                wanted.append((-gain, row))
        rows = [row for _, row in sorted(wanted)[: self._budget.take(len(wanted))]]
        for track in tracked.track_id[rows].tolist():
            self._tracks[track].asked_s = at_s
        return tracked[np.array(rows, np.intp)]

    def take(self, tracks: Iterable[int], jpegs: Iterable[bytes], tracked: Detections) -> None:
        """Keep what came of these tracks, where they look better than before in this frame."""
        values = dict(zip(tracked.track_id.tolist(), _values(tracked), strict=True))
        for track, jpeg in zip(tracks, jpegs, strict=True):
            best, value = self._tracks.get(track), values.get(track, 0.0)
            if best is not None and jpeg and value > best.value:
                best.value, best.jpeg = value, jpeg
        kept = [track for track, best in self._tracks.items() if best.jpeg]
        for track in kept[:-MAX_TRACKS]:
            self._tracks[track].jpeg = b""

    def of(self, track: int) -> bytes:
        """The best crop of a track; empty where there is none."""
        best = self._tracks.get(track)
        return b"" if best is None else best.jpeg

    def forget(self, tracks: Collection[int]) -> None:
        """These tracks have ended."""
        for track in tracks:
            self._tracks.pop(track, None)


def _values(tracked: Detections) -> list[float]:
    """How good each sight is: the root of its area times its confidence; 0 if it is too small."""
    sides = np.maximum(tracked.xyxy[:, 2:] - tracked.xyxy[:, :2], 0)
    large = sides.min(axis=1, initial=np.inf) >= _MIN_SIZE_PX
    values: list[float] = (np.sqrt(sides.prod(axis=1)) * tracked.confidence * large).tolist()
    return values
