"""Crops that analytics has asked for, until the next frame of their stream is there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from actors.crop_messages import CropRequest
from engines.detections import Detections

MAX_AGE_S = 1.0
"""An object that was asked for longer ago may be anywhere."""
MAX_REQUESTS = 64
"""Of one stream; what is too much of the oldest goes."""
MIN_OVERLAP = 0.3
"""Intersection over union of where an object should be and where one of its class was found."""

_Key = tuple[str, int]  # secondary and track


@dataclass(slots=True)
class _Waiting:
    """Of one stream, the oldest first."""

    asked_at: float
    requests: dict[_Key, CropRequest] = field(default_factory=dict)


class CropDesk:
    """Keeps requests by stream: the newest for each track and secondary, a few, not for long."""

    def __init__(self) -> None:
        self._streams: dict[str, _Waiting] = {}

    def __len__(self) -> int:
        return sum(len(waiting.requests) for waiting in self._streams.values())

    def __bool__(self) -> bool:
        return bool(self._streams)

    def put(self, requests: Iterable[CropRequest], now: float) -> None:
        """Take requests; those of streams that bring no frames are forgotten."""
        self._forget(now)
        for request in requests:
            waiting = self._streams.setdefault(request.stream, _Waiting(now))
            waiting.asked_at = now
            key = request.secondary, request.track
            waiting.requests.pop(key, None)
            waiting.requests[key] = request
            while len(waiting.requests) > MAX_REQUESTS:
                del waiting.requests[next(iter(waiting.requests))]

    def take(self, stream: str, session: int, now: float) -> tuple[CropRequest, ...]:
        """Hand out what waits for a frame of a stream; of another source session nothing."""
        waiting = self._streams.pop(stream, None)
        if waiting is None or now - waiting.asked_at > MAX_AGE_S:
            return ()
        return tuple(r for r in waiting.requests.values() if r.session == session)

    def _forget(self, now: float) -> None:
        old = [name for name, w in self._streams.items() if now - w.asked_at > MAX_AGE_S]
        for name in old:
            del self._streams[name]


def rows_of(requests: Sequence[CropRequest], ts: float, found: Detections) -> NDArray[np.intp]:
    """Which detection of a frame each request means; -1 for none.

    Args:
        requests: What is asked for.
        ts: When the frame was taken: UTC, seconds.
        found: Its detections.
    """
    if not requests or not len(found):
        return np.full(len(requests), -1)
    boxes = np.array([r.box for r in requests])
    velocity = np.array([r.velocity_px_s for r in requests])
    passed_s = np.clip(ts - np.array([r.ts for r in requests]), 0, MAX_AGE_S)
    overlap = _overlaps(boxes + velocity * passed_s[:, None], found.xyxy.astype(np.float64))
    overlap[np.array([r.class_id for r in requests])[:, None] != found.class_id] = 0
    best = overlap.argmax(axis=1)
    return np.where(overlap[np.arange(len(requests)), best] >= MIN_OVERLAP, best, -1)


def _overlaps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of each box [m, 4] with each [n, 4]: [m, n]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    areas = [np.maximum(box[:, 2:] - box[:, :2], 0).prod(axis=1) for box in (a, b)]
    union = np.add.outer(*areas) - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def first_of_each(counts: Sequence[int], limit: int) -> list[int]:
    """How many of each list to take where all together may be ``limit``: turn by turn."""
    taken, left = [0] * len(counts), limit
    while left > 0:
        open_ = [number for number, count in enumerate(counts) if taken[number] < count]
        if not open_:
            break
        for number in open_[:left]:
            taken[number] += 1
        left -= len(open_[:left])
    return taken
