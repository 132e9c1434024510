"""YOLOX: anchor-free detectors with one raw output over the grids of strides 8, 16 and 32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.families.detector import Candidates, Detector, best_first
from engines.families.tensors import check_count, check_image, check_multiple, fits
from engines.signature import Signature
from engines.spec import ModelSpec

STRIDES = (8, 16, 32)
NUM_BOX_COLUMNS = 5
"""cx, cy, w, h and objectness come before the classes."""

Array = NDArray[np.float32]


def anchor_grid(width: int, height: int) -> Array:
    """Left, top and stride of each anchor's cell [3, A], in input pixels and output order."""
    cells = []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride] * stride
        cells.append(np.stack((x.ravel(), y.ravel(), np.full(x.size, stride))))
    return np.concatenate(cells, axis=1).astype(np.float32)


class Yolox(Detector):
    """Models whose output is float32 [N, A, 5 + classes].

    A row holds cx, cy, w, h as the head gives them, then objectness and class probabilities after
    their sigmoid. Centre = (raw + cell) * stride, size = exp(raw) * stride, in input pixels; score
    = objectness * class probability (Ge et al., YOLOX, arXiv 2107.08430, and its reference code).
    Each row counts for its best class.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self._grid = anchor_grid(spec.input.width, spec.input.height)

    def check_signature(self, signature: Signature) -> None:
        """See ``FamilyAdapter.check_signature``."""
        check_multiple(self._spec.input, max(STRIDES))
        check_image(signature, self._spec.input, "YOLOX")
        _check_output(signature, self._grid.shape[1], len(self._spec.labels))

    def check_outputs(self, outputs: Sequence[Array]) -> None:
        """See ``FamilyAdapter.check_outputs``."""
        output = outputs[0]
        expected = (1, self._grid.shape[1], NUM_BOX_COLUMNS + len(self._spec.labels))
        if output.shape != expected:
            raise _wrong_output(f"the output is {list(output.shape)}", expected)
        probabilities = output[..., 4:]
        if not (np.isfinite(output).all() and 0 <= probabilities.min() <= probabilities.max() <= 1):
            raise ModelError(
                "objectness and classes are not probabilities",
                field="family",
                remedy="Export the head with its sigmoid.",
            )
        if output[..., 2:4].min() > 0 and output[..., :2].max() > max(STRIDES):
            raise ModelError(
                "the boxes are decoded already",
                field="family",
                remedy="Export the model with decode_in_inference=False.",
            )

    def candidates(self, outputs: Sequence[Array]) -> Candidates:
        """See ``Detector.candidates``."""
        anchors, raw, score, class_id = candidates(outputs[0], self._spec.confidence)
        return Candidates(decode_boxes(raw, self._grid.take(anchors, axis=1)), score, class_id)


def candidates(
    rows: Array, confidence: float
) -> tuple[NDArray[np.intp], Array, Array, NDArray[np.intp]]:
    """Rows [A, 5 + classes] whose score reaches ``confidence``, best first.

    Returns:
        Their n indices, raw cx, cy, w and h [4, n], scores and classes.
    """
    # No class probability exceeds 1, so objectness alone rules out nearly all of the background.
    anchors = np.flatnonzero(rows[:, 4] >= confidence)
    columns = rows.take(anchors, axis=0).T.copy()
    classes = columns[NUM_BOX_COLUMNS:]
    score = columns[4] * classes.max(axis=0)
    order = best_first(score, confidence)
    raw, class_id = columns[:4].take(order, axis=1), classes.argmax(axis=0).take(order)
    return anchors.take(order), raw, score.take(order), class_id


def decode_boxes(raw: Array, grid: Array) -> Array:
    """Raw cx, cy, w and h [4, n] to left, top, right and bottom in input pixels [4, n]."""
    cell, stride = grid[:2], grid[2]
    sides = np.empty_like(raw)
    centre = raw[:2] * stride + cell
    half = np.exp(raw[2:]) * (stride / 2)
    np.subtract(centre, half, out=sides[:2])
    np.add(centre, half, out=sides[2:])
    return sides


def _check_output(signature: Signature, num_anchors: int, num_labels: int) -> None:
    expected = (None, num_anchors, NUM_BOX_COLUMNS + num_labels)
    rows = signature.outputs[0] if len(signature.outputs) == 1 else None
    if rows is None or not fits(rows, (None, num_anchors, None)):
        raise _wrong_output(f"found {signature}", expected)
    check_count(rows, 2, num_labels, NUM_BOX_COLUMNS, "labels")


def _wrong_output(found: str, expected: tuple[int | None, ...]) -> ModelError:
    _, num_anchors, num_columns = expected
    return ModelError(
        f"YOLOX gives one output, float32 [N, {num_anchors}, {num_columns}] at this input size; "
        f"{found}",
        field="family",
        remedy="Give another family, or export a YOLOX model of strides 8, 16 and 32.",
    )
