"""Non-maximum suppression: of detections of one class that overlap, the best stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def suppress(
    xyxy: NDArray[np.float32], class_id: NDArray[np.integer], iou: float
) -> NDArray[np.bool_]:
    """Greedy class-aware suppression of boxes that are sorted best first.

    A box is kept unless a kept, better box of its class overlaps it by more than ``iou``.
    ``keep[j] = not any(keep[i] and beats[i, j] for i < j)`` has exactly one solution, the greedy
    one; iterating from all true settles at least one further box each time, in practice most.

    Args:
        xyxy: float32 [n, 4], best first.
        class_id: [n].
        iou: Intersection over union above which the weaker box goes.

    Returns:
        bool [n], which boxes stay.
    """
    beats = _overlaps(xyxy, iou)
    beats &= class_id[:, None] == class_id
    beats = np.triu(beats, 1)
    keep: NDArray[np.bool_] = np.ones(len(xyxy), bool)
    while True:
        kept = np.logical_not(beats[keep].any(axis=0))
        if np.array_equal(kept, keep):
            return keep
        keep = kept


def _overlaps(xyxy: NDArray[np.float32], iou: float) -> NDArray[np.bool_]:
    """[n, n], whether intersection / union > iou, written without a division."""
    left, top, right, bottom = xyxy.T
    width = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    height = np.minimum.outer(bottom, bottom) - np.maximum.outer(top, top)
    intersection = np.maximum(width, 0) * np.maximum(height, 0)
    area = (right - left) * (bottom - top)
    overlapping: NDArray[np.bool_] = intersection * (1 + iou) > iou * np.add.outer(area, area)
    return overlapping
