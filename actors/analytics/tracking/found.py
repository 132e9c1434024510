"""The detections of several pictures, one after the other, as the tracker needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import kalman
from engines.detections import Detections

Indices = NDArray[np.intp]
Looks = NDArray[np.float32]
_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Detections that are not ignored.

    Attributes:
        picture: intp [n], number of the picture of each, ascending.
        xyxy: float32 [n, 4], as they came.
        confidence: float32 [n].
        class_id: int32 [n].
        edges: float64 [4, n], left and top negated, right, bottom.
        boxes: float64 [4, n], centre and size.
        looks: float32 [d, n], embeddings of unit length; d is 0 where none are compared.
        num_classes: The highest class and one.
    """

    picture: Indices
    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int32]
    edges: kalman.Floats
    boxes: kalman.Floats
    looks: Looks
    num_classes: int

    @classmethod
    def of(
        cls,
        pictures: Sequence[Detections],
        low_confidence: float,
        looks: Sequence[Looks],
    ) -> Found:
        """Take the detections of each picture, but not those below a confidence."""
        if len(pictures) == 1:
            one = pictures[0]
            picture = np.zeros(len(one), dtype=np.intp)
            xyxy, confidence, class_id = one.xyxy.T, one.confidence, one.class_id
            appearance = looks[0]
        else:
            picture = numbers([len(each) for each in pictures])
            confidence = joined([each.confidence for each in pictures])
            xyxy = joined([each.xyxy.T for each in pictures])
            class_id = joined([each.class_id for each in pictures])
            appearance = joined(looks)
        worthy = confidence >= low_confidence
        if np.count_nonzero(worthy) < len(worthy):
            picture, confidence = picture[worthy], confidence[worthy]
            xyxy, class_id, appearance = xyxy[:, worthy], class_id[worthy], appearance[:, worthy]
        edges = kalman.negated(xyxy.astype(np.float64, order="C"))
        num_classes = int(class_id[class_id.argmax()]) + 1 if len(class_id) else 0
        boxes = kalman.of_edges(edges)
        return cls(picture, xyxy.T, confidence, class_id, edges, boxes, appearance, num_classes)

    def __len__(self) -> int:
        return len(self.picture)

    def part(self, cols: Indices) -> Found:
        """Some of them, in ascending order."""
        if len(cols) == len(self):
            return self
        return Found(
            self.picture.take(cols),
            self.xyxy[cols],
            self.confidence.take(cols),
            self.class_id.take(cols),
            self.edges.take(cols, axis=1),
            self.boxes.take(cols, axis=1),
            self.looks.take(cols, axis=1),
            self.num_classes,
        )


def joined(parts: Sequence[NDArray[_Number]]) -> NDArray[_Number]:
    """The parts one after the other along the last axis; a part that is alone is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def numbers(counts: Sequence[int]) -> Indices:
    """Number of the picture of each thing, where each picture has so many, [sum of counts]."""
    if len(counts) == 1:
        return np.zeros(counts[0], dtype=np.intp)
    return np.arange(len(counts)).repeat(counts)


def no_looks(num: int = 0) -> Looks:
    """Embeddings of objects of which nothing is known but their boxes."""
    return np.empty((0, num), dtype=np.float32)


def unit(looks: Looks) -> Looks:
    """Embeddings [d, n] at unit length; what is zero stays so."""
    length = np.sqrt((looks * looks).sum(axis=0))
    return np.asarray(looks / np.maximum(length, 1e-12), dtype=np.float32)


def packed(looks: Looks) -> NDArray[np.int8]:
    """Embeddings in a byte a value, of any length; their cosines are off by less than 0.001."""
    most = np.abs(looks).max(axis=0, initial=1e-12)
    return np.asarray(np.rint(looks * (127 / most)), dtype=np.int8)
