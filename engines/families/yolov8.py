"""YOLOv8, and YOLO11 and YOLO12, which export alike: boxes decoded, no objectness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.families.detector import Candidates, Detector, best_first, sides_of
from engines.families.tensors import check_count, check_image, check_probabilities, wrong_outputs
from engines.signature import Signature, TensorInfo

NUM_BOX_ROWS = 4
"""cx, cy, w and h come before the classes."""

Array = NDArray[np.float32]


class Yolov8(Detector):
    """Models whose output is float32 [N, 4 + classes, A].

    A column holds cx, cy, w and h in input pixels, then class probabilities after their sigmoid,
    as Ultralytics exports its detectors without suppression. Each column counts for its best class.
    """

    def check_signature(self, signature: Signature) -> None:
        """See ``FamilyAdapter.check_signature``."""
        check_image(signature, self._spec.input, "YOLOv8")
        columns = signature.outputs[0] if len(signature.outputs) == 1 else None
        if columns is None or len(columns.shape) != 3 or _is_transposed(columns):
            raise wrong_outputs(
                "YOLOv8",
                "one output, float32 [N, 4 + classes, anchors]",
                signature,
                "Export it without suppression in the graph (nms=False), or give another family.",
            )
        check_count(columns, 1, len(self._spec.labels), NUM_BOX_ROWS, "labels")

    def check_outputs(self, outputs: Sequence[Array]) -> None:
        """See ``FamilyAdapter.check_outputs``."""
        output = outputs[0]
        given = TensorInfo("output", "float32", output.shape)
        check_count(given, 1, len(self._spec.labels), NUM_BOX_ROWS, "labels")
        check_probabilities(output[:, NUM_BOX_ROWS:], None, axis=1)

    def candidates(self, outputs: Sequence[Array]) -> Candidates:
        """See ``Detector.candidates``."""
        columns = outputs[0]
        classes = columns[NUM_BOX_ROWS:]
        score = classes.max(axis=0)
        order = best_first(score, self._spec.confidence)
        boxes = columns[:NUM_BOX_ROWS].take(order, axis=1)
        class_id = classes.take(order, axis=1).argmax(axis=0)
        return Candidates(sides_of(boxes[:2], boxes[2:]), score.take(order), class_id)


def _is_transposed(columns: TensorInfo) -> bool:
    """Whether it has more rows than columns: there are always more anchors than classes."""
    _, num_rows, num_columns = columns.shape
    return num_rows is not None and num_columns is not None and num_rows > num_columns
