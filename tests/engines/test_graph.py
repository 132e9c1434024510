"""ONNX in, ONNX out: batch axis, metadata, INT8."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from engines.errors import ModelError
from engines.graph import Calibration, describe, free_batch_axis, quantize
from engines.graph.quantize import head_nodes
from engines.inspection import load_spec
from engines.onnxruntime import OnnxRuntimeEngine
from engines.onnxruntime.session import open_session
from engines.spec import Precision
from tests.engines.builders import grey_frame, tiny_spec, tiny_yolox, write_model


def pictures(num: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.uniform(0, 255, (1, 3, 64, 64)).astype(np.float32) for _ in range(num)]


def run(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    return open_session(model.SerializeToString()).run(None, {"images": images})[0]


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_becomes_free_and_gives_the_same(batch: int) -> None:
    fixed = tiny_yolox(batch=batch)
    images = np.concatenate(pictures(batch))
    free = free_batch_axis(fixed)
    np.testing.assert_array_equal(run(free, images), run(fixed, images))
    assert run(free, np.concatenate(pictures(3))).shape == (3, 84, 7)
    assert fixed == tiny_yolox(batch=batch), "the model that was given is left as it was"


def test_a_free_batch_stays_free() -> None:
    assert run(free_batch_axis(tiny_yolox()), np.concatenate(pictures(2))).shape[0] == 2


def test_a_graph_that_mixes_its_pictures_is_refused() -> None:
    model = tiny_yolox(batch=1)
    # Half of each picture is the mean over the batch, which is itself where there is but one.
    mean = helper.make_node("ReduceMean", ["images"], ["mean"], axes=[0], keepdims=1)
    mixed = helper.make_node("Mean", ["images", "mean"], ["mixed"])
    model.graph.node[0].input[0] = "mixed"
    model.graph.node.insert(0, mixed)
    model.graph.node.insert(0, mean)
    with pytest.raises(ModelError, match="depends on its batch size"):
        free_batch_axis(model)


def test_a_described_model_says_itself_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "any-name.onnx"
    spec = tiny_spec(path).model_copy(update={"name": "cells", "confidence": 0.4})
    write_model(path, describe(tiny_yolox(), spec))
    assert load_spec(path) == spec


def test_describing_keeps_what_others_wrote() -> None:
    model = tiny_yolox()
    model.metadata_props.add(key="author", value="somebody")
    entries = {e.key: e.value for e in describe(model, tiny_spec(Path("a"))).metadata_props}
    assert entries["author"] == "somebody"
    assert len(entries) == 2


@pytest.mark.parametrize("method", Calibration)
@pytest.mark.parametrize("symmetric", [False, True])
def test_int8_gives_nearly_what_fp32_gives(method: Calibration, symmetric: bool) -> None:
    model = tiny_yolox()
    quantized = quantize(model, pictures(), method=method, symmetric=symmetric)
    assert sum(node.op_type == "QuantizeLinear" for node in quantized.graph.node) >= 2
    images = pictures(7)[-1]
    np.testing.assert_allclose(run(quantized, images), run(model, images), atol=0.1)


def test_the_last_convolutions_stay_in_floating_point() -> None:
    quantized = quantize(tiny_yolox(), pictures(), method=Calibration.MINMAX)
    constants = {tensor.name for tensor in quantized.graph.initializer}
    heads = set(head_nodes(quantized.graph))
    convolutions = [n for n in quantized.graph.node if n.op_type == "Conv" and n.name in heads]
    assert len(convolutions) == 9
    assert all(node.input[1] in constants for node in convolutions)


def test_layers_that_are_named_stay_in_floating_point() -> None:
    model = tiny_yolox()
    quantized = quantize(model, pictures(), method=Calibration.MINMAX, keep_float=["Conv_0*"])
    constants = {tensor.name for tensor in quantized.graph.initializer}
    convolutions = [node for node in quantized.graph.node if node.op_type == "Conv"]
    assert [node.input[1] in constants for node in convolutions][:2] == [True, False]
    images = pictures(7)[-1]
    np.testing.assert_allclose(run(quantized, images), run(model, images), atol=0.1)


def test_a_layer_that_is_not_there_cannot_stay_in_floating_point() -> None:
    with pytest.raises(ModelError, match=r"none of the \d+ nodes is called stem/\*"):
        quantize(tiny_yolox(), pictures(), method=Calibration.MINMAX, keep_float=["stem/*"])


@pytest.mark.parametrize(("reduce_range", "largest"), [(True, 64), (False, 127)])
def test_sums_of_two_products_of_7_bit_weights_fit_into_16_bits(
    reduce_range: bool, largest: int
) -> None:
    minmax = Calibration.MINMAX
    quantized = quantize(tiny_yolox(), pictures(), method=minmax, reduce_range=reduce_range)
    constants = map(numpy_helper.to_array, quantized.graph.initializer)
    weights = [values for values in constants if values.dtype == np.int8 and values.ndim == 4]
    assert max(np.abs(values.astype(int)).max() for values in weights) == largest
    assert (2 * 255 * largest < 2**15) == reduce_range


def test_an_int8_model_knows_that_it_is_one_and_finds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "int8.onnx"
    described = describe(tiny_yolox(), tiny_spec(path))
    write_model(path, quantize(described, pictures(), method=Calibration.MINMAX))
    spec = load_spec(path)
    assert spec.precision is Precision.INT8
    engine = OnnxRuntimeEngine(spec)
    engine.load()
    found = engine.infer([grey_frame(64, 64, bright=[(8, 16, 16, 24)])] * 2)
    np.testing.assert_allclose(found[1].xyxy, [[8, 16, 16, 24]], atol=0.01)


def test_quantizing_needs_pictures() -> None:
    with pytest.raises(ModelError, match="no calibration pictures"):
        quantize(tiny_yolox(), [])
