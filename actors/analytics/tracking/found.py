"""The detections of several pictures, one after the other, as the tracker needs them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from actors.analytics.tracking import boxes
from engines.detections import Detections

Indices = NDArray[np.intp]
Looks = NDArray[np.float32]

_NONE = np.float32(np.inf)
CONFIDENCE = boxes.MORE.start


class Found:
    """Detections that are not ignored.

    Args:
        pictures: Detections of each picture.
        low_confidence: Those below are ignored.
        looks: Of each picture float32 [d, n], embeddings of unit length.

    Attributes:
        picture: intp [n], number of the picture of each, ascending.
        xyxy: float32 [n, 4], as they came.
        confidence: float32 [n].
        class_id: int32 [n].
        least: The lowest confidence.
        looks: float32 [d, n]; d is 0 where none are compared.
        table: float64 [14, n], a column a detection: its box (see ``boxes``), and its confidence.
        num_classes: The highest class and one.
    """

    def __init__(
        self, pictures: Sequence[Detections], low_confidence: float, looks: Sequence[Looks]
    ) -> None:
        if len(pictures) == 1:
            one = pictures[0]
            self.picture = np.zeros(len(one), dtype=np.intp)
            self.xyxy, self.confidence, self.class_id = one.xyxy, one.confidence, one.class_id
            self.looks = looks[0]
        else:
            self.picture = numbers([len(each) for each in pictures])
            self.xyxy = np.concatenate([each.xyxy for each in pictures])
            self.confidence = np.concatenate([each.confidence for each in pictures])
            self.class_id = np.concatenate([each.class_id for each in pictures])
            self.looks = np.concatenate(looks, axis=1)
        self.least = _least(self.confidence)
        if not self.least >= low_confidence:
            self._ignore(self.confidence < low_confidence)
        self.table = boxes.of_corners(self.xyxy.T.astype(np.float64))
        self.table[CONFIDENCE] = self.confidence
        class_id = self.class_id
        self.num_classes = int(class_id[class_id.argmax()]) + 1 if len(class_id) else 0

    def _ignore(self, some: NDArray[np.bool_]) -> None:
        left = (~some).nonzero()[0]
        self.picture, self.xyxy = self.picture.take(left), self.xyxy[left]
        self.confidence, self.class_id = self.confidence.take(left), self.class_id.take(left)
        self.looks = self.looks.take(left, axis=1)
        self.least = _least(self.confidence)

    def __len__(self) -> int:
        return len(self.picture)


def _least(values: NDArray[np.float32]) -> np.float32:
    """The lowest value, above all others if there is none; it is faster than ``min``."""
    least: np.float32 = values[values.argmin()] if len(values) else _NONE
    return least


def numbers(counts: Sequence[int]) -> Indices:
    """Number of the picture of each thing, where each picture has so many, [sum of counts]."""
    return np.arange(len(counts)).repeat(counts)


@lru_cache(maxsize=256)
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
