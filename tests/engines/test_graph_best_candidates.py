"""The cut to the best k candidates gives what the CPU backend reads from the raw rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, version_converter

from engines.errors import ModelError
from engines.families.detector import MAX_CANDIDATES
from engines.families.yolov8 import Yolov8
from engines.families.yolox import anchor_grid, candidates, decode_boxes
from engines.graph.best_candidates import OUTPUTS, PREFIX, best_candidates, num_candidates
from engines.inspection import load_spec
from engines.onnxruntime.session import open_session
from engines.spec import ModelSpec
from tests.engines.answering import answering_model, growing, spec_of
from tests.engines.builders import tiny_spec, tiny_yolox

ROOT = Path(__file__).parents[2]
NANO = ROOT.parent / "shared" / "data" / "models" / "yolox_nano_dyn.onnx"
SPECS = [
    ROOT / "engines" / "models" / "traffic-yolox-fp32.yaml",
    ROOT / "engines" / "models" / "traffic-yolox.yaml",
    pytest.param(
        NANO,
        marks=[pytest.mark.data, pytest.mark.skipif(not NANO.exists(), reason="no shared/data")],
    ),
]
WHAT_TENSORRT_8_6_TAKES = {
    *("ArgMax", "Cast", "Concat", "Exp", "Expand", "Gather", "GatherElements", "Mul", "Add"),
    *("ReduceMax", "Reshape", "Slice", "Sub", "TopK"),
}
MAX_TOPK = 3840


def blocks(num: int, spec: ModelSpec) -> np.ndarray:
    """Pictures [num, 3, height, width] of rectangles of all sizes, on which models find much."""
    rng = np.random.default_rng(3)
    height, width = spec.input.height, spec.input.width
    images = np.full((num, 3, height, width), 90, np.float32)
    for image in images:
        for _ in range(40):
            left, top = rng.integers(0, width - 8), rng.integers(0, height - 8)
            right, bottom = left + rng.integers(6, width // 3), top + rng.integers(6, height // 3)
            image[:, top:bottom, left:right] = rng.uniform(0, 255, (3, 1, 1))
    return images


def run(model: onnx.ModelProto, images: np.ndarray) -> list[np.ndarray]:
    return open_session(model.SerializeToString()).run(None, {"images": images})


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_candidates_are_those_that_the_cpu_reads_from_the_rows(path: Path) -> None:
    spec = load_spec(path)
    model = onnx.load(spec.path)
    images = blocks(3, spec)
    cut = best_candidates(model, spec)
    onnx.checker.check_model(cut)
    grid = anchor_grid(spec.input.width, spec.input.height)
    num_found = 0
    for rows, boxes, scores, classes in zip(run(model, images)[0], *run(cut, images), strict=True):
        anchors, raw, score, class_id = candidates(rows, 0.01)
        num = len(anchors)
        num_found += num
        np.testing.assert_allclose(scores[:num], score, rtol=1e-6)
        # The k best of the cut lie below the threshold from there on.
        assert num == len(scores) or scores[num] < 0.01
        np.testing.assert_array_equal(classes[:num], class_id)
        sides = decode_boxes(raw, grid.take(anchors, axis=1))
        np.testing.assert_allclose(boxes[:num], sides.T, rtol=1e-5, atol=1e-3)
    assert num_found > 40


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_the_batch_axis_stays_free_and_every_other_size_is_fixed(batch_size: int) -> None:
    spec = tiny_spec(Path("tiny.onnx"))
    cut = best_candidates(tiny_yolox(height=None, width=None), spec)
    outputs = run(cut, np.zeros((batch_size, 3, 64, 64), np.float32))
    assert [output.shape for output in outputs] == [
        (batch_size, 84, 4),
        (batch_size, 84),
        (batch_size, 84),
    ]
    assert [output.dtype for output in outputs] == [np.float32, np.float32, np.int32]
    session = open_session(cut.SerializeToString())
    assert [node.name for node in session.get_outputs()] == list(OUTPUTS)
    shapes = [node.shape for node in (*session.get_inputs(), *session.get_outputs())]
    assert all(isinstance(size, int) for shape in shapes for size in shape[1:])
    assert all(isinstance(shape[0], str) for shape in shapes)


def test_pictures_of_a_batch_do_not_mix() -> None:
    spec = tiny_spec(Path("tiny.onnx"))
    cut = best_candidates(tiny_yolox(), spec, max_candidates=20)
    images = blocks(4, spec)
    together = run(cut, images)
    for index in range(4):
        alone = run(cut, images[index : index + 1])
        for one, every in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], every[index])


def test_fewer_candidates_are_the_best_of_more() -> None:
    spec = tiny_spec(Path("tiny.onnx"))
    images = blocks(2, spec)
    many = run(best_candidates(tiny_yolox(), spec), images)
    few = run(best_candidates(tiny_yolox(), spec, max_candidates=5), images)
    for all_of_them, best in zip(many, few, strict=True):
        assert best.shape[1] == 5
        np.testing.assert_array_equal(best, all_of_them[:, :5])


def test_there_are_at_most_as_many_candidates_as_anchors() -> None:
    assert num_candidates(tiny_spec(Path("a"))) == 84
    assert num_candidates(tiny_spec(Path("a"), width=416, height=416)) == MAX_CANDIDATES < MAX_TOPK


@pytest.mark.parametrize("opset", [11, 13, 17, 18])
def test_the_cut_runs_in_every_opset_and_uses_what_tensorrt_takes(opset: int) -> None:
    spec = tiny_spec(Path("tiny.onnx"))
    model = tiny_yolox()
    if opset > 13:
        model = version_converter.convert_version(model, opset)
    model.opset_import[0].version = opset  # below 13 its operators are the same
    cut = best_candidates(model, spec)
    added = [node for node in cut.graph.node if node.name.startswith(PREFIX)]
    assert {node.op_type for node in added} == WHAT_TENSORRT_8_6_TAKES
    images = blocks(1, spec)
    expected = run(best_candidates(tiny_yolox(), spec), images)
    for output, wanted in zip(run(cut, images), expected, strict=True):
        np.testing.assert_array_equal(output, wanted)


def yolov8(num_classes: int) -> tuple[ModelSpec, onnx.ModelProto]:
    """A network of the YOLOv8 kind whose scores grow as the picture becomes brighter."""
    rng = np.random.default_rng(num_classes)
    columns = rng.uniform(0, 1, (4 + num_classes, 84))
    columns[:4] *= 60
    spec = spec_of(Path("a.onnx"), "yolov8", labels=[str(c) for c in range(num_classes)])
    return spec, answering_model({"output0": growing(columns, at=255)})


@pytest.mark.parametrize("num_classes", [1, 3, 80])
@pytest.mark.parametrize("opset", [13, 17, 18])
def test_candidates_of_yolov8_are_those_that_the_cpu_reads(num_classes: int, opset: int) -> None:
    spec, model = yolov8(num_classes)
    adapter = Yolov8(spec.model_copy(update={"confidence": 0.001}))
    images = np.stack([np.full((3, 64, 64), light, np.float32) for light in (255, 60, 128)])
    wanted = open_session(model.SerializeToString()).run(None, {"image": images})[0]
    if opset > 13:
        model = version_converter.convert_version(model, opset)
    cut = best_candidates(model, spec, max_candidates=30)
    onnx.checker.check_model(cut)
    results = open_session(cut.SerializeToString()).run(None, {"image": images})
    for columns, boxes, scores, classes in zip(wanted, *results, strict=True):
        found = adapter.candidates([columns])
        np.testing.assert_allclose(scores, found.score[:30], rtol=1e-6)
        np.testing.assert_array_equal(classes, found.class_id[:30])
        np.testing.assert_allclose(boxes, found.sides.T[:30], rtol=1e-5, atol=1e-4)


def test_one_class_is_enough() -> None:
    spec = tiny_spec(Path("tiny.onnx"), num_classes=1)
    _, scores, classes = run(best_candidates(tiny_yolox(num_classes=1), spec), blocks(1, spec))
    assert (np.diff(scores) <= 0).all()
    assert not classes.any()


def test_the_model_that_was_given_is_left_as_it_was() -> None:
    model = tiny_yolox()
    best_candidates(model, tiny_spec(Path("tiny.onnx")))
    assert model == tiny_yolox()


def test_an_opset_without_these_operators_is_refused() -> None:
    model = tiny_yolox()
    model.opset_import[0].version = 10
    with pytest.raises(ModelError, match=r"opset 10.*need 11"):
        best_candidates(model, tiny_spec(Path("tiny.onnx")))


def test_another_input_size_than_the_model_s_is_refused() -> None:
    with pytest.raises(ModelError, match=r"input\.width: the spec says 96, the model takes 64"):
        best_candidates(tiny_yolox(), tiny_spec(Path("tiny.onnx"), width=96))


def test_outputs_of_another_family_are_refused() -> None:
    model = tiny_yolox()
    model.graph.output.append(helper.make_tensor_value_info("more", 1, [1]))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "more"))
    with pytest.raises(ModelError, match=r"outputs \['output', 'more'\]"):
        best_candidates(model, tiny_spec(Path("tiny.onnx")))
