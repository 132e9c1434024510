"""NanoDet: the sides of a box as distributions over distances from its anchor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelError
from engines.families.detector import Candidates, Detector, best_first
from engines.families.tensors import (
    activate,
    check_image,
    check_multiple,
    check_probabilities,
    wrong_outputs,
)
from engines.signature import Signature, TensorInfo
from engines.spec import Activation, ModelSpec

STRIDES = (8, 16, 32)
PLUS_STRIDES = (8, 16, 32, 64)
NUM_SIDES = 4

Array = NDArray[np.float32]


def anchor_points(width: int, height: int, strides: Sequence[int], shift: float) -> Array:
    """x, y and stride of each anchor [3, A], in input pixels, in the order of the outputs.

    Args:
        width: Of the input; a last cell that is not whole counts.
        height: Of the input.
        strides: Of the levels.
        shift: Added to the corners of the cells, as a share of ``stride - 1``.
    """
    levels = []
    for stride in strides:
        y, x = np.mgrid[: -(-height // stride), : -(-width // stride)] * stride
        points = (x.ravel(), y.ravel())
        middle = [side + shift * (stride - 1) for side in points]
        levels.append(np.stack((*middle, np.full(x.size, stride))))
    return np.concatenate(levels, axis=1).astype(np.float32)


class NanoDet(Detector):
    """Models that give class probabilities and distributions of distances for each anchor.

    They lie in one output [N, A, classes + 4 * bins], as NanoDet exports itself, or in pairs of
    outputs for strides 8, 16 and 32, classes [N, n, classes] and distances [N, n, 4 * bins]. Each
    side lies softmax(bins) . (0, 1, 2...) * stride away from the anchor (Li et al., Generalized
    Focal Loss, arXiv 2006.04388). NanoDet puts anchors in the middle of their cells, at x * stride
    + (stride - 1) / 2; NanoDet-Plus, which has a fourth level of stride 64, at their corners.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        size = spec.input.width, spec.input.height
        self._points = anchor_points(*size, STRIDES, 0.5)
        self._plus_points = anchor_points(*size, PLUS_STRIDES, 0.0)
        self._pairs: list[tuple[int, int]] = []

    def check_signature(self, signature: Signature) -> None:
        """See ``FamilyAdapter.check_signature``."""
        check_image(signature, self._spec.input, "NanoDet")
        outputs = signature.outputs
        if any(len(output.shape) != 3 for output in outputs) or len(outputs) not in (1, 6):
            raise self._wrong(signature)
        self._pairs = self._paired(signature) if len(outputs) > 1 else []

    def check_outputs(self, outputs: Sequence[Array]) -> None:
        """See ``FamilyAdapter.check_outputs``."""
        classes, distances = self._split([output[0] for output in outputs])
        num, expected = len(classes), (self._points.shape[1], self._plus_points.shape[1])
        if num not in expected:
            raise ModelError(
                f"{num} anchors, where {expected[0]} or {expected[1]} belong to "
                f"{self._spec.input.width}x{self._spec.input.height}",
                field="input",
                remedy="Give the size that the model was exported for.",
            )
        if classes.shape[1] != len(self._spec.labels) or distances.shape[1] % NUM_SIDES:
            columns = classes.shape[1] + distances.shape[1]
            raise ModelError(
                f"{columns} columns are not {len(self._spec.labels)} classes and 4 distributions",
                field="labels",
                remedy="Give all labels, in class order.",
            )
        check_probabilities(classes, None)

    def candidates(self, outputs: Sequence[Array]) -> Candidates:
        """See ``Detector.candidates``."""
        classes, distances = self._split(outputs)
        points = self._points if len(classes) == self._points.shape[1] else self._plus_points
        score = classes.max(axis=1)
        order = best_first(score, self._spec.confidence)
        sides = decode_distances(distances.take(order, axis=0), points.take(order, axis=1))
        class_id = classes.take(order, axis=0).argmax(axis=1)
        return Candidates(sides, score.take(order), class_id)

    def _split(self, outputs: Sequence[Array]) -> tuple[Array, Array]:
        """Classes [A, C] and distances [A, 4 * bins] of one picture."""
        if not self._pairs:
            num = len(self._spec.labels)
            return outputs[0][:, :num], outputs[0][:, num:]
        classes = np.concatenate([outputs[index] for index, _ in self._pairs])
        return classes, np.concatenate([outputs[index] for _, index in self._pairs])

    def _paired(self, signature: Signature) -> list[tuple[int, int]]:
        """Indices of classes and distances, the most anchors first."""
        check_multiple(self._spec.input, max(STRIDES))
        outputs, num = signature.outputs, len(self._spec.labels)
        ordered = sorted(range(len(outputs)), key=lambda index: -(outputs[index].shape[1] or 0))
        pairs = []
        for first, second in zip(ordered[::2], ordered[1::2], strict=True):
            is_classes = [outputs[index].shape[2] == num for index in (first, second)]
            if is_classes[0] == is_classes[1] or not _are_alike(outputs[first], outputs[second]):
                raise self._wrong(signature)
            pairs.append((first, second) if is_classes[0] else (second, first))
        return pairs

    def _wrong(self, signature: Signature) -> ModelError:
        return wrong_outputs(
            "NanoDet",
            f"one output [N, anchors, {len(self._spec.labels)} classes + 4 * bins], or a pair of "
            "outputs for each of strides 8, 16 and 32",
            signature,
            "Give all labels, or another family.",
        )


def decode_distances(distances: Array, points: Array) -> Array:
    """Left, top, right and bottom [4, n] of distributions [n, 4 * bins] and points [3, n]."""
    bins = activate(distances.reshape(len(distances), NUM_SIDES, -1), Activation.SOFTMAX)
    steps = np.arange(bins.shape[2], dtype=np.float32)
    left, top, right, bottom = (bins @ steps).T * points[2]
    x, y = points[:2]
    return np.stack((x - left, y - top, x + right, y + bottom))


def _are_alike(one: TensorInfo, other: TensorInfo) -> bool:
    return one.shape[1] is not None and one.shape[1] == other.shape[1]
