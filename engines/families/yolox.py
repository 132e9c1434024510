"""YOLOX: anchor-free detectors with one raw output over the grids of strides 8, 16 and 32."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from engines.detections import Detections
from engines.errors import ModelError
from engines.families.letterbox import MAX_LAYOUTS, Letterbox, place
from engines.families.suppression import suppress
from engines.frames import Frame, Picture
from engines.signature import Signature, TensorInfo
from engines.spec import InputSpec, ModelSpec

STRIDES = (8, 16, 32)
NUM_BOX_COLUMNS = 5
"""cx, cy, w, h and objectness come before the classes."""
MAX_CANDIDATES = 512
"""Only so many of the best boxes enter suppression, which bounds its time on noise."""

Array = NDArray[np.float32]


def anchor_grid(width: int, height: int) -> Array:
    """Left, top and stride of each anchor's cell [3, A], in input pixels and output order."""
    cells = []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride] * stride
        cells.append(np.stack((x.ravel(), y.ravel(), np.full(x.size, stride))))
    return np.concatenate(cells, axis=1).astype(np.float32)


class Yolox:
    """Family adapter for models whose output is float32 [N, A, 5 + classes].

    A row holds cx, cy, w, h as the head gives them, then objectness and class probabilities after
    their sigmoid. Centre = (raw + cell) * stride, size = exp(raw) * stride, in input pixels; score
    = objectness * class probability (Ge et al., YOLOX, arXiv 2107.08430, and its reference code).
    Each row counts for its best class.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._letterbox = Letterbox(spec.input)
        self._to_source = lru_cache(MAX_LAYOUTS)(partial(to_source, spec.input))
        self._grid = anchor_grid(spec.input.width, spec.input.height)

    def check_signature(self, signature: Signature) -> None:
        """See ``FamilyAdapter.check_signature``."""
        _check_multiple(self._spec.input)
        _check_input(signature, self._spec.input)
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

    def prepare(self, frame: Frame, out: Array) -> None:
        """See ``FamilyAdapter.prepare``."""
        self._letterbox.write(frame, out)

    def read(self, outputs: Sequence[Array], frames: Sequence[Frame]) -> list[Detections]:
        """See ``FamilyAdapter.read``."""
        return [self._read_one(rows, frame) for rows, frame in zip(outputs[0], frames, strict=True)]

    def _read_one(self, rows: Array, frame: Frame) -> Detections:
        spec = self._spec
        anchors, raw, score, class_id = candidates(rows, spec.confidence)
        if not len(anchors):
            return Detections.empty()
        sides = decode_boxes(raw, self._grid.take(anchors, axis=1))
        best = suppress(sides, class_id, spec.iou, spec.max_detections)
        scale, limit = self._to_source(frame.picture, frame.source_width, frame.source_height)
        xyxy = sides.take(best, axis=1).T * scale
        return Detections.of(np.clip(xyxy, 0, limit), score.take(best), class_id.take(best))


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
    num = min(MAX_CANDIDATES, int(np.count_nonzero(score >= confidence)))
    order = np.argsort(-score, kind="stable")[:num]
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


def to_source(
    input_spec: InputSpec, picture: Picture, source_width: int, source_height: int
) -> tuple[Array, Array]:
    """Factors [4] from left, top, right, bottom in input pixels to source pixels; limits [4]."""
    placement = place(picture.width, picture.height, input_spec)
    size: Array = np.array([source_width, source_height] * 2, np.float32)
    placed: Array = np.array([placement.width, placement.height] * 2, np.float32)
    return np.divide(size, placed, dtype=np.float32), size


def _check_multiple(input_spec: InputSpec) -> None:
    for name, size in (("width", input_spec.width), ("height", input_spec.height)):
        if size % max(STRIDES):
            raise ModelError(
                f"{size} is not a multiple of {max(STRIDES)}",
                field=f"input.{name}",
                remedy=f"Use {max(STRIDES) * max(1, round(size / max(STRIDES)))}.",
            )


def _check_input(signature: Signature, input_spec: InputSpec) -> None:
    image = signature.inputs[0] if len(signature.inputs) == 1 else None
    if image is None or image.dtype != "float32" or not _fits(image, (None, 3, None, None)):
        raise ModelError(
            f"YOLOX takes one image, float32 [N, 3, height, width]; found {signature}",
            field="family",
            remedy="Export the model with its image as the only input.",
        )
    for name, size, given in zip(
        ("height", "width"), image.shape[2:], (input_spec.height, input_spec.width), strict=True
    ):
        if size not in (None, given):
            raise ModelError(
                f"the spec says {given}, the model takes {image}",
                field=f"input.{name}",
                remedy=f"Write {size}.",
            )


def _check_output(signature: Signature, num_anchors: int, num_labels: int) -> None:
    expected = (None, num_anchors, NUM_BOX_COLUMNS + num_labels)
    rows = signature.outputs[0] if len(signature.outputs) == 1 else None
    if rows is None or not _fits(rows, (None, num_anchors, None)):
        raise _wrong_output(f"found {signature}", expected)
    if not _fits(rows, expected):
        num_classes = (rows.shape[2] or 0) - NUM_BOX_COLUMNS
        raise ModelError(
            f"{num_labels} labels for {num_classes} classes; found {signature}",
            field="labels",
            remedy=f"Give {num_classes} labels, in class order.",
        )


def _fits(tensor: TensorInfo, expected: tuple[int | None, ...]) -> bool:
    """Whether the rank agrees and so does each dimension that both sides know."""
    return len(tensor.shape) == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(tensor.shape, expected, strict=True)
    )


def _wrong_output(found: str, expected: tuple[int | None, ...]) -> ModelError:
    _, num_anchors, num_columns = expected
    return ModelError(
        f"YOLOX gives one output, float32 [N, {num_anchors}, {num_columns}] at this input size; "
        f"{found}",
        field="family",
        remedy="Other families are not known: export a YOLOX model of strides 8, 16 and 32.",
    )
