"""INT8 as Q/DQ nodes in the graph, from a calibration on representative pictures."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import version_converter
from onnxruntime import quantization as ort_quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from engines.errors import ModelError
from engines.graph.metadata import SPEC_KEY, with_metadata
from engines.onnxruntime.session import open_session
from engines.spec import Precision

Images = NDArray[np.float32]

MIN_OPSET = 13
"""The first opset whose Q/DQ nodes know an axis, which scales by channel need."""


class Calibration(str, Enum):
    """How the range of an activation is chosen from what the calibration pictures gave."""

    MINMAX = "minmax"
    ENTROPY = "entropy"
    PERCENTILE = "percentile"


_METHODS = {
    Calibration.MINMAX: ort_quantization.CalibrationMethod.MinMax,
    Calibration.ENTROPY: ort_quantization.CalibrationMethod.Entropy,
    Calibration.PERCENTILE: ort_quantization.CalibrationMethod.Percentile,
}


def quantize(
    model: onnx.ModelProto,
    images: Iterable[Images],
    *,
    method: Calibration = Calibration.ENTROPY,
    symmetric: bool = False,
    reduce_range: bool = False,
) -> onnx.ModelProto:
    """An INT8 copy of the model: Q/DQ nodes, weights with a scale for each channel.

    What comes after the last convolutions, and these themselves, stay in floating point: box
    sizes and scores need more than 256 values. Metadata is kept; a spec in it becomes ``int8``.

    Args:
        model: The model in FP32, with one image input.
        images: Prepared inputs, float32 [n, 3, height, width], some tens of pictures that are like
            those to come.
        method: How ranges are chosen.
        symmetric: Signed activations with zero point 0, which TensorRT asks for; else unsigned.
        reduce_range: 7-bit weights, for x86 CPUs without VNNI, whose sums saturate.

    Raises:
        ModelError: without pictures, or if the result does not run.
    """
    stream = iter(images)
    first = next(stream, None)
    if first is None:
        raise ModelError(
            "no calibration pictures", field="precision", remedy="Give some tens of them."
        )
    prepared = _prepared(model)
    reader = _Reader(prepared.graph.input[0].name, itertools.chain([first], stream))
    activations = (
        ort_quantization.QuantType.QInt8 if symmetric else ort_quantization.QuantType.QUInt8
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "int8.onnx")
        ort_quantization.quantize_static(
            prepared,
            path,
            reader,
            quant_format=ort_quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=activations,
            weight_type=ort_quantization.QuantType.QInt8,
            calibrate_method=_METHODS[method],
            nodes_to_exclude=head_nodes(prepared.graph),
            extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True},
        )
        quantized = onnx.load(path)
    with_metadata(quantized, _int8_metadata(model))
    _check_runs(quantized, first)
    return quantized


def head_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the last convolutions and of all that follows them, up to the outputs."""
    producers = {name: node for node in graph.node for name in node.output}
    waiting = [tensor.name for tensor in graph.output]
    found: set[str] = set()
    while waiting:
        node = producers.get(waiting.pop())
        if node is None or node.name in found:
            continue
        found.add(node.name)
        if node.op_type != "Conv":
            waiting.extend(node.input)
    return sorted(found)


class _Reader(ort_quantization.CalibrationDataReader):  # type: ignore[misc]
    """Feeds the pictures one batch after the other."""

    def __init__(self, input_name: str, images: Iterator[Images]) -> None:
        self._input_name = input_name
        self._images = images

    def get_next(self) -> dict[str, Images] | None:
        image = next(self._images, None)
        return None if image is None else {self._input_name: image}


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constants folded, batch norms fused, shapes inferred, every node named."""
    if next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) < MIN_OPSET:
        model = version_converter.convert_version(model, MIN_OPSET)
    with tempfile.TemporaryDirectory() as folder:
        source, path = Path(folder, "fp32.onnx"), Path(folder, "prepared.onnx")
        onnx.save(model, source)
        # Symbolic shape inference gives up on a free batch axis; ONNX's own is enough.
        quant_pre_process(str(source), str(path), skip_symbolic_shape=True)
        prepared = onnx.load(path)
    for index, node in enumerate(prepared.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return prepared


def _int8_metadata(model: onnx.ModelProto) -> dict[str, str]:
    entries = {entry.key: entry.value for entry in model.metadata_props}
    if SPEC_KEY in entries:
        spec = json.loads(entries[SPEC_KEY]) | {"precision": Precision.INT8.value}
        entries[SPEC_KEY] = json.dumps(spec)
    return entries


def _check_runs(model: onnx.ModelProto, images: Images) -> None:
    session = open_session(model.SerializeToString())
    outputs = session.run(None, {session.get_inputs()[0].name: images})
    if not all(np.isfinite(output).all() for output in outputs):
        raise ModelError(
            "the INT8 model gives values that are not finite",
            field="precision",
            remedy="Use another calibration method, or more pictures.",
        )
