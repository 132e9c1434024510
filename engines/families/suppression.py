"""Non-maximum suppression: of detections that overlap, the best stays.

Those of two classes may have another limit: a detector that cannot decide what a thing is gives it
two boxes in one place, where two things of one class are seldom so close.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 128
"""So many boxes are compared with all the rest at a time."""
OUTWARD = np.array([[-1], [-1], [1], [1]], np.float32)
"""Signs with which left, top, right and bottom grow as a box does."""


def suppress(
    sides: NDArray[np.float32],
    class_id: NDArray[np.integer],
    overlaps: tuple[float, float],
    max_kept: int,
) -> list[int]:
    """Greedy class-aware suppression of boxes that are sorted best first.

    A box is kept unless a kept, better box overlaps it by more than the limit.

    Args:
        sides: float32 [4, n], left, top, right and bottom, best first.
        class_id: [n].
        overlaps: Intersection over union above which the weaker box goes, of two boxes of one class
            and of two classes; 1 lets all stay.
        max_kept: Stop at so many.

    Returns:
        Indices of the boxes that stay, best first.
    """
    kept: list[int] = []
    rest = np.arange(len(class_id))
    while len(rest) and len(kept) < max_kept:
        beats = _overlapping(sides.take(rest, axis=1), class_id.take(rest), *overlaps)
        stays = np.ones(len(rest), bool)
        for row, index in enumerate(rest[:BLOCK].tolist()):
            if stays[row]:
                kept.append(index)
                stays[beats[row]] = False
        rest = rest[BLOCK:][stays[BLOCK:]]
    return kept[:max_kept]


def _overlapping(
    sides: NDArray[np.float32], class_id: NDArray[np.integer], iou: float, across: float
) -> NDArray[np.bool_]:
    """[block, n], whether a box of the first block and any box overlap too much to be two things.

    Intersection / union > iou is written without a division.
    """
    outward = sides * OUTWARD
    # The intersection ends at the side that is the less far out.
    inner = np.minimum(outward[:, :BLOCK, None], outward[:, None])
    size, inner_size = outward[:2] + outward[2:], inner[:2] + inner[2:]
    # With no width below 0, a product above 0 has no height below 0 either.
    intersection = np.maximum(inner_size[0], 0, out=inner_size[0])
    intersection *= inner_size[1]
    area = size[0] * size[1]
    areas = np.add.outer(area[:BLOCK], area)
    is_same = class_id[:BLOCK, None] == class_id
    overlapping: NDArray[np.bool_] = intersection * (1 + iou) > iou * areas
    overlapping &= is_same
    if across < 1:
        overlapping |= (intersection * (1 + across) > across * areas) & ~is_same
    return overlapping
