"""How results cross from the engine to analytics: the detections of all frames of a call together.

An array costs about the same whatever it holds, and there would be four of them for each frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import accumulate, pairwise
from operator import attrgetter

import numpy as np

from actors.messages import FrameResult, Rows
from engines.detections import Detections

_XYXY, _CONFIDENCE = attrgetter("xyxy"), attrgetter("confidence")
_CLASS_ID, _TRACK_ID = attrgetter("class_id"), attrgetter("track_id")
_PARTS = (_XYXY, _CONFIDENCE, _CLASS_ID, _TRACK_ID)
_NAMES = [each.name for each in fields(FrameResult)]
_PLACE = _NAMES.index("detections")
_VALUES = attrgetter(*_NAMES[:_PLACE], *_NAMES[_PLACE + 1 :])


class ResultBatch(tuple[FrameResult, ...]):
    """Results of one call; the other process gets a plain tuple."""

    __slots__ = ()

    def __reduce__(self) -> tuple[object, ...]:
        found = [result.detections for result in self]
        joined = [np.concatenate(list(map(part, found))) for part in _PARTS] if found else []
        lengths = tuple(map(len, found))
        return _results, (tuple(map(_VALUES, self)), lengths, [each.tobytes() for each in joined])


def _results(rows: Rows, lengths: Sequence[int], joined: Sequence[bytes]) -> tuple[object, ...]:
    results = []
    for row, found in zip(rows, _detections(lengths, joined), strict=True):
        values = list(row)
        values.insert(_PLACE, found)
        results.append(FrameResult(*values))
    return tuple(results)


def _detections(lengths: Sequence[int], joined: Sequence[bytes]) -> Iterator[Detections]:
    if not lengths:
        return
    xyxy = np.frombuffer(joined[0], np.float32).reshape(-1, 4)
    confidence = np.frombuffer(joined[1], np.float32)
    class_id = np.frombuffer(joined[2], np.int32)
    track_id = np.frombuffer(joined[3], np.int64)
    for a, b in pairwise(accumulate(lengths, initial=0)):
        yield Detections(xyxy[a:b], confidence[a:b], class_id[a:b], track_id[a:b])
