"""Precision as part of the graph: FP16 by casts, INT8 as the Q/DQ nodes that TensorRT takes.

TensorRT 11 has no precision flags: what a tensor's type is, the graph says.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

Array = NDArray[Any]

UINT8_MAX, INT8_MAX = 255, 127
NEVER_NEGATIVE = {"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Exp"}
KEEPS_SIGN = {"Add", "AveragePool", "Concat", "GlobalAveragePool", "MaxPool", "Mul", "Resize"}
KEEPS_SIGN |= {"DequantizeLinear", "QuantizeLinear", "Reshape", "Slice", "Split", "Transpose"}
"""Give nothing below 0 where what they read holds nothing below 0."""
NUM_DATA_INPUTS = {"Add": 2, "Concat": None, "Mul": 2}
"""How many inputs are values, and not sizes or scales, where it is not one; None is all."""


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether the graph has Q/DQ nodes."""
    return any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def to_fp16(model: onnx.ModelProto, *, half_input: bool = False) -> onnx.ModelProto:
    """A copy that computes in FP16 and gives FP32 outputs.

    Weights become FP16, and a Cast stands at each border. What FP16 has no room for stays FP32:
    scales of Resize, and operators that have no FP16 form.

    Args:
        model: The model in FP32, not quantized.
        half_input: Take the image as FP16 too; values of 0 to 255 keep 1/16 of a grey level.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    borders = [tensor.name for tensor in copy.graph.output]
    if not half_input:
        borders += [tensor.name for tensor in copy.graph.input]
    with warnings.catch_warnings():
        # It warns of each weight that is nearer to 0 than FP16's smallest value, and rounds it.
        warnings.simplefilter("ignore")
        half: onnx.ModelProto = convert_float_to_float16(copy, keep_io_types=borders)
    return half


def to_signed_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose Q/DQ nodes are those that every TensorRT takes; without any it is as it was.

    - Activations in uint8 become int8 with zero point 0 over the same range, as a symmetric
      calibration would give them. Where uint8 cut off what is below 0, which quantizers use to
      leave out a Relu, the Relu comes back.
    - Weights that are stored in int8 become FP32 and a Q/DQ pair, which gives the same values.
    - Biases that are stored in int32 become FP32.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = _Graph(copy.graph)
    for node in list(copy.graph.node):
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        if node.op_type == "DequantizeLinear" and node.input[0] in graph.constants:
            graph.restore(node)
        else:
            graph.sign(node)
    graph.drop_unused()
    return copy


class _Graph:
    """Edits of quantized nodes, with the constants at hand."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self.constants = dict(_constants(graph))
        self._producers = {name: node for node in graph.node for name in node.output}

    def sign(self, node: onnx.NodeProto) -> None:
        """Make the quantized activation of a Q or DQ node int8, symmetric about 0."""
        zero = self.constants[node.input[2]] if len(node.input) > 2 else np.uint8(0)
        if zero.dtype != np.uint8:
            return
        # The side of 0 that reaches further decides, and keeps its range.
        steps = np.maximum(zero, UINT8_MAX - zero).astype(np.float32)
        scale = self.constants[node.input[1]] * steps / np.float32(INT8_MAX)
        names = (f"{node.input[1]}_signed", f"{node.input[1]}_signed_zero")
        self._put(names[0], scale.astype(np.float32))
        self._put(names[1], np.zeros(zero.shape, np.int8))
        if node.op_type == "QuantizeLinear" and not zero.any():
            node.input[0] = self._not_below_zero(node)
        node.input[:] = [node.input[0], *names]

    def restore(self, node: onnx.NodeProto) -> None:
        """Make the constant behind a DQ node FP32; int8 gets a Q node, int32 needs none."""
        quantized = self.constants[node.input[0]]
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        scale = _along(self.constants[node.input[1]], quantized.ndim, axis)
        zero = _along(self.constants[node.input[2]], quantized.ndim, axis)
        values = ((quantized - zero.astype(np.int32)) * scale).astype(np.float32)
        if quantized.dtype == np.int8:
            self._put(f"{node.input[0]}_fp32", values)
            self._insert_quantize(node, f"{node.input[0]}_fp32")
        else:
            # TensorRT takes a bias that is a constant, and none that a node gives.
            self._put(node.output[0], values)
            self._graph.node.remove(node)

    def drop_unused(self) -> None:
        """Remove constants that nothing reads any more."""
        used = {name for node in self._graph.node for name in node.input}
        used.update(output.name for output in self._graph.output)
        kept = [tensor for tensor in self._graph.initializer if tensor.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _not_below_zero(self, node: onnx.NodeProto) -> str:
        source: str = node.input[0]
        if self._is_positive(source):
            return source
        output = f"{node.name or source}_relu"
        relu = helper.make_node("Relu", [source], [output], output)
        self._graph.node.insert(list(self._graph.node).index(node), relu)
        self._producers[output] = relu
        return output

    def _is_positive(self, tensor: str) -> bool:
        """Whether no value can be below 0, as far as the operators before it tell."""
        if tensor in self.constants:
            return bool((self.constants[tensor] >= 0).all())
        node = self._producers.get(tensor)
        if node is None or node.op_type not in NEVER_NEGATIVE | KEEPS_SIGN:
            return False
        data = node.input[: NUM_DATA_INPUTS.get(node.op_type, 1)]
        return node.op_type in NEVER_NEGATIVE or all(map(self._is_positive, data))

    def _insert_quantize(self, node: onnx.NodeProto, source: str) -> None:
        attributes = {a.name: a.i for a in node.attribute if a.name == "axis"}
        inputs, output = [source, *node.input[1:]], f"{node.input[0]}_again"
        quantize = helper.make_node(
            "QuantizeLinear", inputs, [output], f"{node.name}_quantize", **attributes
        )
        self._graph.node.insert(list(self._graph.node).index(node), quantize)
        node.input[0] = output

    def _put(self, name: str, values: Array) -> None:
        if name not in self.constants:
            self.constants[name] = values
            self._graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))


def _constants(graph: onnx.GraphProto) -> Iterator[tuple[str, Array]]:
    for tensor in graph.initializer:
        yield tensor.name, numpy_helper.to_array(tensor)


def _along(values: Array, num_axes: int, axis: int) -> Array:
    """Values of one axis, shaped so that they meet it; a scalar meets all."""
    if values.ndim == 0:
        return values
    shape = [1] * num_axes
    shape[axis] = -1
    return values.reshape(shape)
