"""SSD and its like: decoded boxes and scores of every anchor, to be suppressed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.families.detector import Candidates, Detector, best_first, sides_of
from engines.families.tensors import (
    activate,
    check_image,
    check_probabilities,
    wrong_outputs,
)
from engines.signature import Signature, TensorInfo
from engines.spec import Activation, BoxLayout, ModelSpec

NUM_BOX_COLUMNS = 4
MAX_FRACTION = 8.0
"""Boxes that reach further than so many widths of the input are not fractions of it."""

Array = NDArray[np.float32]


class Ssd(Detector):
    """Models that give boxes [N, A, 4] and scores [N, A, classes].

    Boxes are fractions of the input, in the order that ``boxes`` says. With one class more than
    there are labels the first is the background (Liu et al., SSD, arXiv 1512.02325). Each anchor
    counts for its best class.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self._boxes = self._scores = 0

    def check_signature(self, signature: Signature) -> None:
        """See ``FamilyAdapter.check_signature``."""
        check_image(signature, self._spec.input, "SSD")
        outputs = signature.outputs
        if len(outputs) != 2 or any(len(output.shape) != 3 for output in outputs):
            raise self._wrong(signature)
        widths = [output.shape[2] for output in outputs]
        named = [index for index, output in enumerate(outputs) if "box" in output.name.lower()]
        if NUM_BOX_COLUMNS not in widths:
            raise self._wrong(signature)
        is_clear = widths.count(NUM_BOX_COLUMNS) == 1 or len(named) != 1
        self._boxes = widths.index(NUM_BOX_COLUMNS) if is_clear else named[0]
        self._scores = 1 - self._boxes
        self._check_labels(outputs[self._scores])

    def check_outputs(self, outputs: Sequence[Array]) -> None:
        """See ``FamilyAdapter.check_outputs``."""
        boxes, scores = outputs[self._boxes], outputs[self._scores]
        self._check_labels(TensorInfo("scores", "float32", scores.shape))
        exclusive = self._has_background(scores.shape[2])
        is_sigmoid = self._spec.activation is Activation.SIGMOID
        check_probabilities(scores, self._spec.activation, sums_to_one=exclusive and not is_sigmoid)
        reach = float(np.abs(boxes).max(initial=0))
        if not reach <= MAX_FRACTION:
            raise ModelError(
                f"boxes reach {reach:.0f}, they are no fractions of the input",
                field="boxes",
                remedy="Export the graph with its boxes decoded and divided by the input's size.",
            )

    def candidates(self, outputs: Sequence[Array]) -> Candidates:
        """See ``Detector.candidates``."""
        scores = activate(outputs[self._scores], self._spec.activation)
        if self._has_background(scores.shape[1]):
            scores = scores[:, 1:]
        score = scores.max(axis=1)
        order = best_first(score, self._spec.confidence)
        class_id = scores.take(order, axis=0).argmax(axis=1)
        sides = self._sides(outputs[self._boxes].take(order, axis=0).T)
        return Candidates(sides, score.take(order), class_id)

    def _sides(self, boxes: Array) -> Array:
        """Left, top, right and bottom in input pixels [4, n] of fractions [4, n]."""
        size = np.array([[self._spec.input.width], [self._spec.input.height]], np.float32)
        match self._spec.boxes:
            case BoxLayout.XYXY:
                return boxes * np.tile(size, (2, 1))
            case BoxLayout.YXYX:
                return boxes.take([1, 0, 3, 2], axis=0) * np.tile(size, (2, 1))
            case BoxLayout.CXCYWH:
                return sides_of(boxes[:2] * size, boxes[2:] * size)

    def _has_background(self, num_classes: int) -> bool:
        return num_classes == len(self._spec.labels) + 1

    def _check_labels(self, scores: TensorInfo) -> None:
        num, num_labels = scores.shape[2], len(self._spec.labels)
        if num in (None, num_labels, num_labels + 1):
            return
        raise ModelError(
            f"{num_labels} labels for {num} classes; found {scores}",
            field="labels",
            remedy=f"Give {num} labels, or {(num or 1) - 1} where the first class is background.",
        )

    def _wrong(self, signature: Signature) -> ModelError:
        return wrong_outputs(
            "SSD",
            "two outputs, boxes [N, anchors, 4] and scores [N, anchors, classes]",
            signature,
            "Export it with its boxes decoded and without suppression, or give another family.",
        )
