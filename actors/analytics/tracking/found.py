"""The detections of several pictures, one after the other, as the tracker needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import kalman
from engines.detections import Detections

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Detections that are not ignored.

    Attributes:
        picture: intp [n], number of the picture of each, ascending.
        xyxy: float32 [n, 4], as they came.
        confidence: float32 [n].
        class_id: int32 [n].
        corners: float64 [4, n], left, top, right, bottom.
        boxes: float64 [4, n], centre and size.
        num_classes: The highest class and one.
    """

    picture: Indices
    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int32]
    corners: kalman.Floats
    boxes: kalman.Floats
    num_classes: int

    @classmethod
    def of(cls, pictures: Sequence[Detections], low_confidence: float) -> Found:
        """Take the detections of each picture, but not those below a confidence."""
        picture = np.arange(len(pictures)).repeat([len(each) for each in pictures])
        confidence = np.concatenate([each.confidence for each in pictures])
        xyxy = np.concatenate([each.xyxy for each in pictures])
        class_id = np.concatenate([each.class_id for each in pictures])
        worthy = confidence >= low_confidence
        if np.count_nonzero(worthy) < len(worthy):
            picture, confidence = picture[worthy], confidence[worthy]
            xyxy, class_id = xyxy[worthy], class_id[worthy]
        corners = np.array(xyxy.T, dtype=np.float64, order="C")
        num_classes = int(class_id.max(initial=-1)) + 1
        boxes = kalman.to_centre(corners)
        return cls(picture, xyxy, confidence, class_id, corners, boxes, num_classes)

    def __len__(self) -> int:
        return len(self.picture)
