"""RT-DETR: detectors that give each object once, so that nothing is suppressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.families.detector import Candidates, Detector, best_first, sides_of
from engines.families.tensors import (
    activate,
    check_count,
    check_image,
    check_probabilities,
    wrong_outputs,
)
from engines.signature import Signature
from engines.spec import Activation, ModelSpec

NUM_BOX_COLUMNS = 4

Array = NDArray[np.float32]


class RtDetr(Detector):
    """Models that give boxes [N, Q, 4] and logits [N, Q, classes], or both in one output.

    Boxes are cx, cy, w and h in fractions of the input (Zhao et al., DETRs Beat YOLOs on Real-time
    Object Detection, arXiv 2304.08069). As in the authors' own reading, a query may count for
    several classes. In one output, as Ultralytics exports it, classes follow their box, and
    ``activation`` is none.
    """

    suppresses: ClassVar[bool] = False

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self._boxes = self._classes = 0

    def check_signature(self, signature: Signature) -> None:
        """See ``FamilyAdapter.check_signature``."""
        if self._spec.activation is Activation.SOFTMAX:
            raise ModelError(
                "the classes of RT-DETR do not exclude each other",
                field="activation",
                remedy="Write activation: sigmoid, or none where the graph has its sigmoid.",
            )
        check_image(signature, self._spec.input, "RT-DETR")
        outputs = signature.outputs
        is_known = len(outputs) in (1, 2) and all(len(output.shape) == 3 for output in outputs)
        widths = [output.shape[2] for output in outputs if is_known]
        if not is_known or (len(widths) == 2 and NUM_BOX_COLUMNS not in widths):
            raise wrong_outputs(
                "RT-DETR",
                "boxes [N, queries, 4] and logits [N, queries, classes]",
                signature,
                "Export it without postprocessing, or give another family.",
            )
        self._boxes = widths.index(NUM_BOX_COLUMNS) if len(widths) == 2 else 0
        self._classes = len(outputs) - 1 - self._boxes
        extra = 0 if len(outputs) == 2 else NUM_BOX_COLUMNS
        check_count(outputs[self._classes], 2, len(self._spec.labels), extra, "labels")

    def check_outputs(self, outputs: Sequence[Array]) -> None:
        """See ``FamilyAdapter.check_outputs``."""
        boxes, classes = self._split([output[0] for output in outputs])
        check_probabilities(classes, self._spec.activation)
        if np.abs(boxes).max(initial=0) > NUM_BOX_COLUMNS:
            raise ModelError(
                f"boxes reach {np.abs(boxes).max():.0f}, they are no fractions of the input",
                field="family",
                remedy="Export it without postprocessing.",
            )

    def candidates(self, outputs: Sequence[Array]) -> Candidates:
        """See ``Detector.candidates``."""
        boxes, classes = self._split(outputs)
        score = activate(classes, self._spec.activation).ravel()
        order = best_first(score, self._spec.confidence)
        query, class_id = np.divmod(order, classes.shape[1])
        size = np.array([[self._spec.input.width], [self._spec.input.height]], np.float32)
        best = boxes.take(query, axis=0).T
        return Candidates(sides_of(best[:2] * size, best[2:] * size), score.take(order), class_id)

    def _split(self, outputs: Sequence[Array]) -> tuple[Array, Array]:
        """Boxes [Q, 4] and classes [Q, C] of one picture."""
        if len(outputs) == 2:
            return outputs[self._boxes], outputs[self._classes]
        return outputs[0][:, :NUM_BOX_COLUMNS], outputs[0][:, NUM_BOX_COLUMNS:]
