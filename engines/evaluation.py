"""How good detections are against a known truth: matching, average precision, mAP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engines.detections import Detections


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The objects that are really in one picture.

    Attributes:
        xyxy: float32 [n, 4], left, top, right, bottom, in pixels.
        class_id: int32 [n].
        ignore: bool [n], objects or regions that need not be found and may be.
    """

    xyxy: NDArray[np.float32]
    class_id: NDArray[np.int32]
    ignore: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        xyxy: NDArray[np.floating],
        class_id: NDArray[np.integer],
        ignore: NDArray[np.bool_] | None = None,
    ) -> Truth:
        """Build from arrays of any numeric type; without ``ignore`` every object counts."""
        return cls(
            np.asarray(xyxy, np.float32).reshape(-1, 4),
            np.asarray(class_id, np.int32),
            np.zeros(len(class_id), bool) if ignore is None else np.asarray(ignore, bool),
        )


class Outcome(IntEnum):
    """What a detection turned out to be."""

    FALSE_POSITIVE = 0
    TRUE_POSITIVE = 1
    IGNORED = 2


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Precision and recall of one class as the confidence threshold falls.

    Attributes:
        confidence: float [n], descending.
        precision: float [n], of all detections down to that confidence.
        recall: float [n].
        num_truth: Objects that count.
    """

    confidence: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    num_truth: int

    @property
    def average_precision(self) -> float:
        """Area under the curve with precision made monotone, at every recall (PASCAL VOC 2010+)."""
        if not len(self.recall):
            return 0.0
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float(np.sum(np.diff(self.recall, prepend=0.0) * envelope))

    def at(self, confidence: float) -> tuple[float, float]:
        """(precision, recall) of the detections at or above a confidence; precision 1 if none."""
        num = int(np.count_nonzero(self.confidence >= confidence))
        return (float(self.precision[num - 1]), float(self.recall[num - 1])) if num else (1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Curves of the classes that occur in the truth, by class id."""

    curves: dict[int, Curve]

    @property
    def mean_average_precision(self) -> float:
        """Mean of the classes' average precisions; 0 where there is no truth."""
        values = [curve.average_precision for curve in self.curves.values()]
        return sum(values) / len(values) if values else 0.0


def iou_matrix(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of boxes [n, 4] and [m, 4]: [n, m], 0 for boxes without area."""
    intersection = _intersections(a, b)
    union = np.add.outer(_areas(a), _areas(b)) - intersection
    overlaps: NDArray[np.float32] = intersection / np.maximum(union, np.finfo(np.float32).tiny)
    return overlaps


def match(detections: Detections, truth: Truth, *, iou: float = 0.5) -> NDArray[np.int8]:
    """Judge the detections of one picture, best first, each object being found once.

    A detection finds the free object of its class that it overlaps most, if by at least ``iou``.
    One that finds none is ignored where at least that share of its own area lies in an ignored
    object or region of its class, as COCO does with crowds; else it is a false positive.

    Returns:
        int8 [n], an ``Outcome`` for each detection, in their order.
    """
    same_class = detections.class_id[:, None] == truth.class_id
    overlaps = np.where(same_class & ~truth.ignore, iou_matrix(detections.xyxy, truth.xyxy), 0)
    outcomes: NDArray[np.int8] = np.full(len(detections), Outcome.FALSE_POSITIVE, np.int8)
    outcomes[_lies_within(detections.xyxy, truth, same_class, iou)] = Outcome.IGNORED
    if not len(truth.class_id):
        return outcomes
    for index in np.argsort(-detections.confidence, kind="stable"):
        found = overlaps[index].argmax()
        if overlaps[index, found] >= iou:
            outcomes[index] = Outcome.TRUE_POSITIVE
            overlaps[:, found] = 0
    return outcomes


def evaluate(pictures: Iterable[tuple[Detections, Truth]], *, iou: float = 0.5) -> Evaluation:
    """Judge many pictures; one curve for each class of the truth.

    Args:
        pictures: What was found and what is there, a picture each. For a faithful average
            precision the detections must reach down to a low confidence.
        iou: Overlap from which a detection has found an object.
    """
    confidence, class_id, outcomes, counted = [], [], [], []
    for detections, truth in pictures:
        confidence.append(detections.confidence)
        class_id.append(detections.class_id)
        outcomes.append(match(detections, truth, iou=iou))
        counted.append(truth.class_id[~truth.ignore])
    if not counted:
        return Evaluation({})
    scores, classes = np.concatenate(confidence), np.concatenate(class_id)
    judged = np.concatenate(outcomes)
    classes_of_truth, numbers = np.unique(np.concatenate(counted), return_counts=True)
    return Evaluation(
        {
            int(one): _curve(scores[classes == one], judged[classes == one], int(num))
            for one, num in zip(classes_of_truth, numbers, strict=True)
        }
    )


def _curve(confidence: NDArray[np.float32], outcomes: NDArray[np.int8], num_truth: int) -> Curve:
    counts = outcomes != Outcome.IGNORED
    order = np.argsort(-confidence[counts], kind="stable")
    hits = np.cumsum(outcomes[counts][order] == Outcome.TRUE_POSITIVE)
    return Curve(
        confidence[counts][order].astype(np.float64),
        hits / np.arange(1, len(hits) + 1),
        hits / num_truth,
        num_truth,
    )


def _lies_within(
    xyxy: NDArray[np.float32], truth: Truth, same_class: NDArray[np.bool_], share: float
) -> NDArray[np.bool_]:
    covered = _intersections(xyxy, truth.xyxy) >= share * _areas(xyxy)[:, None]
    return np.asarray((covered & same_class & truth.ignore).any(axis=1), bool)


def _intersections(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    size = np.maximum(high - low, 0)
    product: NDArray[np.float32] = size[..., 0] * size[..., 1]
    return product


def _areas(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    product: NDArray[np.float32] = size[:, 0] * size[:, 1]
    return product
