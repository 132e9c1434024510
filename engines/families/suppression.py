"""Non-maximum suppression: of detections that overlap, the best stays.

Those of two classes may have another limit: a detector that cannot decide what a thing is gives it
two boxes in one place, where two things of one class are seldom so close. And what is large may get
a box for a part of it, as a lorry for its cab: that overlaps the whole a little, but lies inside.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.spec import ModelSpec

BLOCK = 128
"""So many boxes are compared with all the rest at a time."""
OUTWARD = np.array([[-1], [-1], [1], [1]], np.float32)
"""Signs with which left, top, right and bottom grow as a box does."""
PART_SHARE = 0.7
"""A box is taken for a part of another thing if more than this share of it lies inside."""


class Overlaps(NamedTuple):
    """When the weaker of two boxes goes.

    Attributes:
        iou: Intersection over union above which it goes, of two boxes of one class.
        across: The same of two classes; 1 lets all stay.
        parts: Classes whose things may be taken apart: of two boxes of these, of one class or two,
            it goes if the intersection is more than ``PART_SHARE`` of the smaller one.
    """

    iou: float
    across: float = 1.0
    parts: tuple[int, ...] = ()

    @classmethod
    def of(cls, spec: ModelSpec) -> Overlaps:
        """What a model says of its boxes."""
        parts = tuple(map(spec.labels.index, spec.part_labels))
        return cls(spec.iou, spec.iou_across, parts)


def suppress(
    sides: NDArray[np.float32],
    class_id: NDArray[np.integer],
    overlaps: Overlaps,
    max_kept: int,
) -> list[int]:
    """Greedy class-aware suppression of boxes that are sorted best first.

    A box is kept unless a kept, better box overlaps it by more than the limit.

    Args:
        sides: float32 [4, n], left, top, right and bottom, best first.
        class_id: [n].
        overlaps: When the weaker of two boxes goes.
        max_kept: Stop at so many.

    Returns:
        Indices of the boxes that stay, best first.
    """
    kept: list[int] = []
    rest = np.arange(len(class_id))
    while len(rest) and len(kept) < max_kept:
        beats = _overlapping(sides.take(rest, axis=1), class_id.take(rest), overlaps)
        stays = np.ones(len(rest), bool)
        for row, index in enumerate(rest[:BLOCK].tolist()):
            if stays[row]:
                kept.append(index)
                stays[beats[row]] = False
        rest = rest[BLOCK:][stays[BLOCK:]]
    return kept[:max_kept]


def _overlapping(
    sides: NDArray[np.float32], class_id: NDArray[np.integer], overlaps: Overlaps
) -> NDArray[np.bool_]:
    """[block, n], whether a box of the first block and any box overlap too much to be two things.

    Intersection / union > iou is written without a division.
    """
    outward = sides * OUTWARD
    iou, across, parts = overlaps
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
    is_large = np.isin(class_id, parts) if parts else np.zeros(0, bool)
    if np.count_nonzero(is_large) > 1:
        is_part = intersection > PART_SHARE * np.minimum.outer(area[:BLOCK], area)
        overlapping |= is_part & np.logical_and.outer(is_large[:BLOCK], is_large)
    return overlapping
