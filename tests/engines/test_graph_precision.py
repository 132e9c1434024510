"""FP16 and INT8 as parts of the graph, and what TensorRT asks of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from engines.errors import ModelError
from engines.graph import Calibration, quantize
from engines.graph.best_candidates import PREFIX
from engines.graph.precision import is_quantized, to_fp16, to_signed_int8
from engines.inspection import load_spec
from engines.onnxruntime.session import open_session
from engines.spec import ModelSpec, Precision
from engines.tensorrt.builder import graph_for
from tests.engines.builders import tiny_spec, tiny_yolox, write_model

MODELS = Path(__file__).parents[2] / "engines" / "models"
FP32 = MODELS / "traffic-yolox-fp32.yaml"
INT8 = MODELS / "traffic-yolox.yaml"


def pictures(spec: ModelSpec, num: int = 2) -> np.ndarray:
    rng = np.random.default_rng(5)
    shape = (num, 3, spec.input.height // 16, spec.input.width // 16)
    return rng.uniform(0, 255, shape).repeat(16, axis=2).repeat(16, axis=3).astype(np.float32)


def run(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    return open_session(model.SerializeToString()).run(None, {"images": images})[0]


def test_fp16_gives_nearly_what_fp32_gives_at_half_the_size() -> None:
    spec = load_spec(FP32)
    model = onnx.load(spec.path)
    half = to_fp16(model)
    images = pictures(spec)
    rows, expected = run(half, images), run(model, images)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows[..., 4:], expected[..., 4:], atol=0.02)
    np.testing.assert_allclose(rows[..., :4], expected[..., :4], atol=0.05)
    assert len(half.SerializeToString()) < 0.55 * len(model.SerializeToString())


def test_every_convolution_is_fp16() -> None:
    half = to_fp16(onnx.load(load_spec(FP32).path))
    types = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    convolutions = [node for node in half.graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 40
    assert {types[name] for node in convolutions for name in node.input[1:]} == {
        TensorProto.FLOAT16
    }


def test_the_picture_may_be_fp16_too() -> None:
    spec = load_spec(FP32)
    model = onnx.load(spec.path)
    half = to_fp16(model, half_input=True)
    assert half.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT16
    images = pictures(spec)
    rows = run(half, images.astype(np.float16))
    np.testing.assert_allclose(rows[..., 4:], run(model, images)[..., 4:], atol=0.02)


def test_boxes_and_scores_of_an_fp16_plan_are_decoded_in_fp32() -> None:
    graph = graph_for(load_spec(FP32), Precision.FP16).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    added = [node for node in graph.node if node.name.startswith(PREFIX)]
    constants = {name for node in added for name in node.input if name in types}
    assert TensorProto.FLOAT in {types[name] for name in constants}
    assert TensorProto.FLOAT16 not in {types[name] for name in constants}
    casts = {node.output[0]: node for node in graph.node if node.op_type == "Cast"}
    rows = next(node.input[0] for node in added)
    assert casts[rows].attribute[0].i == TensorProto.FLOAT


def test_the_int8_model_that_ships_gives_on_any_cpu_what_its_nodes_say() -> None:
    spec, options = load_spec(INT8), onnxruntime.SessionOptions()
    # Unoptimized, Q and DQ nodes are computed as they stand. Fused, sums of 8-bit weights would
    # saturate on CPUs without VNNI.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(spec.path, options, providers=["CPUExecutionProvider"])
    images = pictures(spec)
    (said,) = session.run(None, {"images": images})
    given = run(onnx.load(spec.path), images)
    assert np.abs(given[..., :4] - said[..., :4]).mean() < 0.01


def test_a_signed_model_finds_nearly_what_the_unsigned_finds() -> None:
    spec = load_spec(INT8)
    model = onnx.load(spec.path)
    images = pictures(spec)
    unsigned, signed = run(model, images), run(to_signed_int8(model), images)
    fp32 = run(onnx.load(load_spec(FP32).path), images)
    # It has half as many steps, so its error is about twice that of the unsigned model.
    error = np.abs(signed - fp32).mean()
    assert 0 < error < 3 * np.abs(unsigned - fp32).mean()


def test_q_and_dq_of_a_signed_model_are_what_every_tensorrt_takes() -> None:
    model = onnx.load(load_spec(INT8).path)
    assert any(zero.dtype == np.uint8 for zero in zero_points(model))
    signed = to_signed_int8(model)
    onnx.checker.check_model(signed)
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zero_points(signed))
    constants = {tensor.name for tensor in signed.graph.initializer}
    for node in signed.graph.node:
        if node.op_type == "DequantizeLinear":
            assert node.input[0] not in constants, "weights are FP32, then Q, then DQ"
        if node.op_type == "Conv" and len(node.input) == 3:
            assert node.input[2] in constants, "a bias is a constant"
    num = [sum(n.op_type == "DequantizeLinear" for n in m.graph.node) for m in (model, signed)]
    assert num[1] < num[0], "biases are not quantized any more"


def zero_points(model: onnx.ModelProto) -> list[np.ndarray]:
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    return [
        constants[node.input[2]]
        for node in model.graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
    ]


@pytest.mark.parametrize("symmetric", [False, True])
def test_what_we_quantize_ourselves_can_be_signed(symmetric: bool) -> None:
    spec = tiny_spec(Path("tiny.onnx"))
    images = pictures(spec, 6)
    model = quantize(tiny_yolox(), [images], method=Calibration.MINMAX, symmetric=symmetric)
    signed = to_signed_int8(model)
    assert all(zero.dtype == np.int8 for zero in zero_points(signed))
    np.testing.assert_allclose(run(signed, images), run(model, images), atol=0.1)


def test_a_symmetric_model_keeps_its_values() -> None:
    spec = tiny_spec(Path("tiny.onnx"))
    images = pictures(spec, 6)
    model = quantize(tiny_yolox(), [images], method=Calibration.MINMAX, symmetric=True)
    np.testing.assert_allclose(run(to_signed_int8(model), images), run(model, images), atol=1e-5)


def test_a_model_without_q_and_dq_stays_as_it_is() -> None:
    assert not is_quantized(tiny_yolox())
    assert to_signed_int8(tiny_yolox()) == tiny_yolox()


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
def test_a_quantized_file_becomes_no_other_plan(precision: Precision) -> None:
    with pytest.raises(ModelError, match=f"precision: .* has Q/DQ nodes.*{precision.value}"):
        graph_for(load_spec(INT8), precision)


def test_an_int8_plan_needs_a_quantized_file() -> None:
    with pytest.raises(ModelError, match="has no Q/DQ nodes, it cannot become int8"):
        graph_for(load_spec(FP32), Precision.INT8)


def test_a_fixed_batch_becomes_free_in_a_plan(tmp_path: Path) -> None:
    spec = tiny_spec(write_model(tmp_path / "one.onnx", tiny_yolox(batch=1)))
    session = open_session(graph_for(spec, Precision.FP32).SerializeToString())
    assert session.run(None, {"images": pictures(spec, 3)})[0].shape == (3, 84, 4)


def test_a_model_that_does_not_fit_its_spec_is_refused_before_it_is_built(tmp_path: Path) -> None:
    path = write_model(tmp_path / "raw.onnx", tiny_yolox(sigmoid=False))
    with pytest.raises(ModelError, match="not probabilities"):
        graph_for(tiny_spec(path), Precision.FP32)
