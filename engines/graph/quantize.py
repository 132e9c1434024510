"""INT8 as Q/DQ nodes in the graph, from a calibration on representative pictures."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import onnx
from onnx import version_converter
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
from onnxruntime.quantization.shape_inference import quant_pre_process

from engines.errors import ModelError
from engines.graph.calibration import Calibration, Images, activation_ranges
from engines.graph.metadata import SPEC_KEY, with_metadata
from engines.onnxruntime.session import open_session
from engines.spec import Precision

MIN_OPSET = 13
"""The first opset whose Q/DQ nodes know an axis, which scales by channel need."""

OP_TYPES = sorted({*QDQRegistry, *QLinearOpsRegistry})
"""Operators that can be quantized."""


def quantize(
    model: onnx.ModelProto,
    images: Iterable[Images],
    *,
    method: Calibration = Calibration.ENTROPY,
    symmetric: bool = False,
    reduce_range: bool = True,
    keep_float: Collection[str] = (),
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
        reduce_range: 7-bit weights. x86 CPUs without VNNI add two products in 16 bits, which 8-bit
            weights saturate; say no where only VNNI, Arm or TensorRT run the model.
        keep_float: Nodes that stay in floating point besides, by name; ``*`` stands for anything.

    Raises:
        ModelError: without pictures, for a name that no node has, or if the result does not run.
    """
    stream = iter(images)
    first = _first(stream)
    with tempfile.TemporaryDirectory() as folder:
        prepared = _prepare(model, Path(folder))
        graph = onnx.load(prepared).graph
        kept = sorted({*head_nodes(graph), *_named(graph, keep_float)})
        name, pictures = graph.input[0].name, itertools.chain([first], stream)
        ranges = activation_ranges(
            prepared, name, pictures, method=method, symmetric=symmetric, op_types=OP_TYPES
        )
        quantized = _insert_qdq(
            prepared, ranges, kept, symmetric=symmetric, reduce_range=reduce_range
        )
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


def _first(images: Iterator[Images]) -> Images:
    first = next(images, None)
    if first is None:
        raise ModelError(
            "no calibration pictures", field="precision", remedy="Give some tens of them."
        )
    return first


def _named(graph: onnx.GraphProto, patterns: Collection[str]) -> Iterator[str]:
    names = [node.name for node in graph.node]
    for pattern in patterns:
        found = [name for name in names if fnmatchcase(name, pattern)]
        if not found:
            raise ModelError(
                f"none of the {len(names)} nodes is called {pattern}",
                field="keep_float",
                remedy=f"Name nodes as the graph does, like {names[0]}.",
            )
        yield from found


def _prepare(model: onnx.ModelProto, folder: Path) -> Path:
    """Fold constants and batch norms, infer shapes, name every node; the path of the result."""
    if next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) < MIN_OPSET:
        model = version_converter.convert_version(model, MIN_OPSET)
    source, path = folder / "fp32.onnx", folder / "prepared.onnx"
    onnx.save(model, source)
    # Symbolic shape inference gives up on a free batch axis; ONNX's own is enough.
    quant_pre_process(str(source), str(path), skip_symbolic_shape=True)
    prepared = onnx.load(path)
    for index, node in enumerate(prepared.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    onnx.save(prepared, path)
    return path


def _insert_qdq(
    path: Path, ranges: TensorsData, kept: list[str], *, symmetric: bool, reduce_range: bool
) -> onnx.ModelProto:
    model = onnx.load(path)
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=reduce_range,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=[],
        nodes_to_exclude=kept,
        op_types_to_quantize=OP_TYPES,
        extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantized: onnx.ModelProto = quantizer.model.model
    return quantized


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
