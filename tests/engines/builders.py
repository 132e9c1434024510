"""Frames and tiny networks of the YOLOX kind, for the tests of engines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.frames import Frame, Picture
from engines.spec import ColorOrder, Family, InputSpec, ModelSpec

Box = tuple[int, int, int, int]


def random_frame(
    picture: Picture, *, seed: int = 0, source_size: tuple[int, int] | None = None
) -> Frame:
    """A frame of noise."""
    rng = np.random.default_rng(seed)
    planes = tuple(rng.integers(0, 256, shape, dtype=np.uint8) for shape in picture.plane_shapes)
    return Frame(picture, planes, *(source_size or (picture.width, picture.height)))


def grey_frame(
    width: int, height: int, *, luma: int = 16, bright: Sequence[Box] = (), light: int = 235
) -> Frame:
    """A grey frame, full range, with brighter rectangles (left, top, right, bottom)."""
    picture = Picture(width, height, full_range=True)
    planes = [np.full(shape, 128, np.uint8) for shape in picture.plane_shapes]
    planes[0][:] = luma
    for left, top, right, bottom in bright:
        planes[0][top:bottom, left:right] = light
    return Frame(picture, tuple(planes), width, height)


def tiny_spec(path: Path, *, width: int = 64, height: int = 64, num_classes: int = 2) -> ModelSpec:
    """The spec of ``tiny_yolox``."""
    return ModelSpec(
        name="tiny",
        path=path,
        family=Family.YOLOX,
        input=InputSpec(width=width, height=height, color=ColorOrder.BGR),
        labels=tuple(f"class_{index}" for index in range(num_classes)),
        confidence=0.5,
    )


def tiny_yolox(
    *,
    width: int | None = 64,
    height: int | None = 64,
    batch: int | None = None,
    num_classes: int = 2,
    raw_box: tuple[float, float, float, float] = (0.5, 0.5, 0.0, 0.0),
    sigmoid: bool = True,
    num_inputs: int = 1,
) -> onnx.ModelProto:
    """A YOLOX graph that finds every cell of stride 8, 16 or 32 whose mean is bright.

    Class 0 grows with the first channel, class 1 with the second. Each box is ``raw_box``: by
    default the cell itself. A fixed batch stands in the Reshapes too, as exporters write it.
    """
    net = _Net()
    # Two layers that hand the picture on, so that there is something to quantize.
    delta = np.zeros((3, 3, 3, 3), np.float32)
    delta[range(3), range(3), 1, 1] = 1
    trunk = net.add("Relu", net.conv("images", delta, np.zeros(3), pads=[1, 1, 1, 1]))
    trunk = net.add("Relu", net.conv(trunk, delta, np.zeros(3), pads=[1, 1, 1, 1]))
    rows = []
    for stride in (8, 16, 32):
        cells = net.add("AveragePool", trunk, kernel_shape=[stride] * 2, strides=[stride] * 2)
        heads = net.heads(cells, num_classes, raw_box, sigmoid=sigmoid)
        shape = net.constant(np.array([0 if batch is None else batch, 5 + num_classes, -1]))
        rows.append(net.add("Reshape", heads, shape))
    anchors = net.add("Concat", *rows, axis=2)
    net.nodes.append(helper.make_node("Transpose", [anchors], ["output"], perm=[0, 2, 1]))
    return net.model((batch or "N", 3, height or "H", width or "W"), num_classes, num_inputs)


def write_model(path: Path, model: onnx.ModelProto) -> Path:
    onnx.save(model, path)
    return path


class _Net:
    """Collects nodes and constants under names of its own."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, op_type: str, *inputs: str, **attributes: object) -> str:
        name = f"{op_type}_{len(self.nodes)}_out"
        self.nodes.append(helper.make_node(op_type, list(inputs), [name], **attributes))
        return name

    def constant(self, values: NDArray[np.generic]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def conv(self, source: str, weights: NDArray, bias: NDArray, **attributes: object) -> str:
        return self.add(
            "Conv",
            source,
            self.constant(weights.astype(np.float32)),
            self.constant(bias.astype(np.float32)),
            **attributes,
        )

    def heads(self, cells: str, num_classes: int, raw_box: Sequence[float], sigmoid: bool) -> str:
        box = self.conv(cells, np.zeros((4, 3, 1, 1)), np.array(raw_box))
        obj = self.conv(cells, np.full((1, 3, 1, 1), 1 / 24), np.array([-16.0]))
        weights = np.zeros((num_classes, 3, 1, 1))
        for index in range(num_classes):
            weights[index, index % 3] = 1 / 8
        classes = self.conv(cells, weights, np.full(num_classes, -16.0))
        if sigmoid:
            obj, classes = self.add("Sigmoid", obj), self.add("Sigmoid", classes)
        return self.add("Concat", box, obj, classes, axis=1)

    def model(
        self, shape: Sequence[int | str], num_classes: int, num_inputs: int
    ) -> onnx.ModelProto:
        batch, _, height, width = shape
        num_anchors: int | str = "A"
        if isinstance(height, int) and isinstance(width, int):
            num_anchors = sum((height // s) * (width // s) for s in (8, 16, 32))
        inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)]
        inputs += [
            helper.make_tensor_value_info(f"extra_{index}", TensorProto.FLOAT, [1])
            for index in range(1, num_inputs)
        ]
        output = helper.make_tensor_value_info(
            "output", TensorProto.FLOAT, (batch, num_anchors, 5 + num_classes)
        )
        graph = helper.make_graph(self.nodes, "tiny", inputs, [output], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
