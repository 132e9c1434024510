"""Cutting a detector's graph to its best k candidates, so that every output has a fixed size.

A GPU that captures a network as a CUDA graph cannot have outputs whose size depends on the picture,
as ONNX's NonMaxSuppression has. Here each picture gives k boxes, scores and classes, best first,
whatever it shows; suppression follows on boxes that are few and lie where it can be done::

    YOLOX:  rows [N, A, 5 + C] -> score = objectness * max(class) -> TopK -> gather k rows -> decode
    YOLOv8: columns [N, 4 + C, A] -> score = max(class) -> TopK -> gather k columns -> corners

Only operators that mean the same from opset 11 on are used, and none that TensorRT 8.6, 10 or 11
lacks: TopK (k <= 3840 there), Gather, GatherElements, Expand, ReduceMax, ArgMax, Transpose,
arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.errors import ModelError
from engines.families.detector import MAX_CANDIDATES
from engines.families.yolov8 import NUM_BOX_ROWS
from engines.families.yolox import NUM_BOX_COLUMNS, anchor_grid
from engines.graph.batch_axis import BATCH
from engines.spec import Family, ModelSpec

BOXES, SCORES, CLASSES = OUTPUTS = ("boxes", "scores", "classes")
PREFIX = "best_candidates/"
"""Begins the name of every node and constant that is added; these must stay in FP32."""
CUT_FAMILIES = (Family.YOLOX, Family.YOLOV8)
"""Outputs of all others stay as they are."""
MIN_OPSET = 11
FIRST_OPSET_WITH_AXES_INPUT = 18
"""ReduceMax takes its axes as an attribute before, as an input from here on."""


def num_candidates(spec: ModelSpec, max_candidates: int = MAX_CANDIDATES) -> int:
    """How many candidates a picture gives: all anchors, where there are fewer than asked for.

    Raises:
        ModelError: if the model is of a family without such a cut.
    """
    _check_is_known(spec)
    return min(max_candidates, len(anchor_grid(spec.input.width, spec.input.height)[0]))


def best_candidates(
    model: onnx.ModelProto, spec: ModelSpec, *, max_candidates: int = MAX_CANDIDATES
) -> onnx.ModelProto:
    """A copy of a detector that gives its best k candidates in place of all its anchors.

    Its outputs are ``boxes`` float32 [N, k, 4] (left, top, right, bottom in input pixels, neither
    clipped nor suppressed), ``scores`` float32 [N, k], descending, and ``classes`` int32 [N, k].
    The image axes are fixed at the size of the spec; the batch axis stays as it is.

    Args:
        model: One output, as ``families.yolox`` or ``families.yolov8`` reads it.
        spec: Says the input size, of which the anchors follow.
        max_candidates: k; less where the model has fewer anchors.

    Raises:
        ModelError: if the opset is too old, the output is not that of the family, or the family
            has no such cut.
    """
    _check_is_known(spec)
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if opset < MIN_OPSET:
        raise ModelError(
            f"the model has opset {opset}, its best candidates need {MIN_OPSET}",
            remedy=f"Export it again with opset {MIN_OPSET} to 17.",
        )
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    fix_image_axes(copy.graph, spec)
    _check_rows(copy.graph)
    tail = _Tail(copy.graph, opset)
    rows = copy.graph.output[0].name
    cut = tail.cut_yolov8 if spec.family is Family.YOLOV8 else tail.cut_yolox
    cut(rows, spec, num_candidates(spec, max_candidates))
    return copy


def _check_is_known(spec: ModelSpec) -> None:
    if spec.family not in CUT_FAMILIES:
        known = " and ".join(family.value for family in CUT_FAMILIES)
        raise ModelError(
            f"{spec.family.value} cannot be cut to its best candidates, {known} can",
            field="family",
            remedy="Leave its outputs as they are, and let the CPU read them.",
        )


class _Tail:
    """Appends nodes and constants to a graph under names of their own."""

    def __init__(self, graph: onnx.GraphProto, opset: int) -> None:
        self._graph = graph
        self._opset = opset

    def cut_yolox(self, rows: str, spec: ModelSpec, k: int) -> None:
        """Replace the output ``rows`` by the three outputs."""
        anchors = anchor_grid(spec.input.width, spec.input.height).T.copy()
        num_columns = NUM_BOX_COLUMNS + len(spec.labels)
        score = self._add("Mul", self._columns(rows, 4, 5), self._best_class(rows))
        flat = self._add("Reshape", score, self._constant(np.array([0, len(anchors)])))
        count = self._constant(np.array([k]))
        _, index = self._node("TopK", [flat, count], [SCORES, self._name()], axis=1)
        best = self._gather_rows(rows, index, k, num_columns)
        grid = self._add("Gather", self._constant(anchors), index, axis=0)
        self._decode(best, grid)
        self._finish(best, NUM_BOX_COLUMNS, num_columns, k)

    def cut_yolov8(self, columns: str, spec: ModelSpec, k: int) -> None:
        """Replace the output ``columns`` by the three outputs."""
        num_rows = NUM_BOX_ROWS + len(spec.labels)
        score = self._greatest(self._slice(columns, NUM_BOX_ROWS, num_rows, axis=1), 1, False)
        count = self._constant(np.array([k]))
        _, index = self._node("TopK", [score, count], [SCORES, self._name()], axis=1)
        row = self._add("Reshape", index, self._constant(np.array([0, 1, k])))
        high = self._add("Expand", row, self._constant(np.array([1, num_rows, 1])))
        gathered = self._add("GatherElements", columns, high, axis=2)
        best = self._add("Transpose", gathered, perm=[0, 2, 1])
        half_of = self._constant(np.array(0.5, np.float32))
        half = self._add("Mul", self._columns(best, 2, NUM_BOX_ROWS), half_of)
        self._corners(self._columns(best, 0, 2), half)
        self._finish(best, NUM_BOX_ROWS, num_rows, k)

    def _finish(self, best: str, first_class: int, num_columns: int, k: int) -> None:
        classes = self._columns(best, first_class, num_columns)
        number = self._add("ArgMax", classes, axis=2, keepdims=0)
        self._node("Cast", [number], [CLASSES], to=TensorProto.INT32)
        self._declare(k, self._graph.output[0].type.tensor_type.shape.dim[0])

    def _best_class(self, rows: str) -> str:
        return self._greatest(self._columns(rows, NUM_BOX_COLUMNS, np.iinfo(np.int32).max), 2, True)

    def _greatest(self, classes: str, axis: int, keepdims: bool) -> str:
        if self._opset < FIRST_OPSET_WITH_AXES_INPUT:
            return self._add("ReduceMax", classes, axes=[axis], keepdims=int(keepdims))
        axes = self._constant(np.array([axis]))
        return self._add("ReduceMax", classes, axes, keepdims=int(keepdims))

    def _gather_rows(self, rows: str, index: str, k: int, num_columns: int) -> str:
        """Rows [N, k, columns] at ``index`` [N, k], each picture's own."""
        column = self._add("Reshape", index, self._constant(np.array([0, k, 1])))
        wide = self._add("Expand", column, self._constant(np.array([1, 1, num_columns])))
        return self._add("GatherElements", rows, wide, axis=1)

    def _decode(self, best: str, grid: str) -> None:
        """As ``families.yolox.decode_boxes``: corners from raw cx, cy, w and h, and the anchors."""
        stride = self._columns(grid, 2, 3)
        offset = self._add("Mul", self._columns(best, 0, 2), stride)
        centre = self._add("Add", offset, self._columns(grid, 0, 2))
        size = self._add("Exp", self._columns(best, 2, 4))
        half_stride = self._add("Mul", stride, self._constant(np.array(0.5, np.float32)))
        self._corners(centre, self._add("Mul", size, half_stride))

    def _corners(self, centre: str, half: str) -> None:
        low, high = self._add("Sub", centre, half), self._add("Add", centre, half)
        self._node("Concat", [low, high], [BOXES], axis=2)

    def _columns(self, source: str, start: int, stop: int) -> str:
        return self._slice(source, start, stop, axis=2)

    def _slice(self, source: str, start: int, stop: int, axis: int) -> str:
        bounds = [self._constant(np.array([value])) for value in (start, stop, axis)]
        return self._add("Slice", source, *bounds)

    def _declare(self, k: int, batch: onnx.TensorShapeProto.Dimension) -> None:
        size = batch.dim_value if batch.HasField("dim_value") else batch.dim_param or BATCH
        del self._graph.output[:]
        for name, dtype, shape in (
            (BOXES, TensorProto.FLOAT, (size, k, 4)),
            (SCORES, TensorProto.FLOAT, (size, k)),
            (CLASSES, TensorProto.INT32, (size, k)),
        ):
            self._graph.output.append(helper.make_tensor_value_info(name, dtype, shape))

    def _add(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        return self._node(op_type, list(inputs), [self._name()], **attributes)[0]

    def _node(
        self, op_type: str, inputs: list[str], outputs: list[str], **attributes: Any
    ) -> list[str]:
        name = f"{PREFIX}{op_type}_{len(self._graph.node)}"
        self._graph.node.append(helper.make_node(op_type, inputs, outputs, name, **attributes))
        return outputs

    def _name(self) -> str:
        return f"{PREFIX}tensor_{len(self._graph.node)}"

    def _constant(self, values: NDArray[np.generic]) -> str:
        name = f"{PREFIX}constant_{len(self._graph.initializer)}"
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name


def fix_image_axes(graph: onnx.GraphProto, spec: ModelSpec) -> None:
    """Fix height and width of a graph's image at those of the spec.

    Raises:
        ModelError: if the graph has others.
    """
    constants = {constant.name for constant in graph.initializer}
    image = next(tensor for tensor in graph.input if tensor.name not in constants)
    axes = image.type.tensor_type.shape.dim
    for axis, name, size in ((2, "height", spec.input.height), (3, "width", spec.input.width)):
        if axes[axis].HasField("dim_value") and axes[axis].dim_value != size:
            raise ModelError(
                f"the spec says {size}, the model takes {axes[axis].dim_value}",
                field=f"input.{name}",
                remedy=f"Write {axes[axis].dim_value}.",
            )
        axes[axis].dim_value = size
    # Shapes that were written down for free axes would contradict the fixed ones.
    del graph.value_info[:]


def _check_rows(graph: onnx.GraphProto) -> None:
    rows = graph.output[0].type.tensor_type
    if len(graph.output) != 1 or len(rows.shape.dim) != 3 or rows.elem_type != TensorProto.FLOAT:
        raise ModelError(
            f"it has the outputs {[output.name for output in graph.output]}, not one of float32 "
            "with three axes",
            field="family",
            remedy="Export the model with its boxes and classes in one output, or give its family.",
        )
