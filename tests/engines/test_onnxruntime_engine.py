"""The CPU backend on tiny networks that find bright cells."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from engines.errors import EngineFailedError, ModelError
from engines.factory import create_engine
from engines.onnxruntime import OnnxRuntimeEngine
from tests.engines.builders import grey_frame, random_frame, tiny_spec, tiny_yolox, write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tiny.onnx", tiny_yolox())


def loaded(path: Path, **options: int) -> OnnxRuntimeEngine:
    engine = OnnxRuntimeEngine(tiny_spec(path), **options)
    engine.load()
    return engine


def test_a_bright_cell_is_found_where_it_is(model: Path) -> None:
    found = loaded(model).infer([grey_frame(128, 128, bright=[(32, 80, 48, 96)])])[0]
    np.testing.assert_allclose(found.xyxy, [[32, 80, 48, 96]], atol=0.01)
    assert found.confidence[0] > 0.9


def test_the_factory_gives_the_cpu_backend(model: Path) -> None:
    engine = create_engine(tiny_spec(model), max_batch_size=2)
    engine.load()
    assert engine.batch_sizes == (1, 2)
    assert len(engine.infer([grey_frame(64, 64)])) == 1


def test_a_batch_gives_what_its_frames_give_alone(model: Path) -> None:
    engine = loaded(model)
    frames = [grey_frame(96 + 32 * i, 96, bright=[(8 * i, 16, 8 * i + 24, 64)]) for i in range(4)]
    together = engine.infer(frames)
    for frame, found in zip(frames, together, strict=True):
        alone = engine.infer([frame])[0]
        assert len(found)
        np.testing.assert_array_equal(found.xyxy, alone.xyxy)
        np.testing.assert_array_equal(found.confidence, alone.confidence)


def test_detections_outlive_the_next_batch_and_the_frames(model: Path) -> None:
    engine = loaded(model)
    frame = grey_frame(64, 64, bright=[(0, 0, 32, 32)])
    first = engine.infer([frame])[0]
    kept = first.xyxy.copy()
    frame.planes[0][:] = 0
    engine.infer([grey_frame(64, 64, bright=[(32, 32, 64, 64)])])
    np.testing.assert_array_equal(first.xyxy, kept)


def test_batches_in_flight_together_give_what_they_give_alone(model: Path) -> None:
    engine = loaded(model)
    frames = [grey_frame(96, 96, bright=[(8 * i, 16, 8 * i + 24, 64)]) for i in range(8)]
    alone = [engine.infer([frame])[0] for frame in frames]
    with ThreadPoolExecutor(engine.max_in_flight) as threads:
        for _ in range(20):
            for found, wanted in zip(
                threads.map(engine.infer, [[f] for f in frames]), alone, strict=True
            ):
                assert len(wanted)
                np.testing.assert_array_equal(found[0].xyxy, wanted.xyxy)


def test_more_frames_than_the_largest_batch_are_refused(model: Path) -> None:
    engine = loaded(model, max_batch_size=2)
    with pytest.raises(ValueError, match="3 frames in a batch, at most 2"):
        engine.infer([grey_frame(64, 64)] * 3)


def test_no_frames_give_no_detections(model: Path) -> None:
    assert loaded(model).infer([]) == []


def test_an_engine_that_was_closed_says_so(model: Path) -> None:
    engine = loaded(model)
    engine.close()
    engine.close()
    with pytest.raises(EngineFailedError, match="not loaded"):
        engine.infer([grey_frame(64, 64)])


def test_a_model_with_free_height_and_width_runs_at_the_size_of_the_spec(tmp_path: Path) -> None:
    path = write_model(tmp_path / "free.onnx", tiny_yolox(width=None, height=None))
    engine = OnnxRuntimeEngine(tiny_spec(path, width=128, height=96))
    engine.load()
    assert len(engine.infer([random_frame(grey_frame(50, 40).picture)])) == 1


def test_a_fixed_batch_of_one_is_offered_as_it_is(tmp_path: Path) -> None:
    assert loaded(write_model(tmp_path / "one.onnx", tiny_yolox(batch=1))).batch_sizes == (1,)


def test_a_larger_fixed_batch_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "eight.onnx", tiny_yolox(batch=8))
    with pytest.raises(ModelError, match="batch axis is fixed at 8"):
        loaded(path)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match=r"/nowhere/a\.onnx is not a file"):
        loaded(Path("/nowhere/a.onnx"))


@pytest.mark.parametrize("num_bytes", [0, 10, 500])
def test_a_truncated_file_is_refused_with_a_remedy(model: Path, num_bytes: int) -> None:
    model.write_bytes(model.read_bytes()[:num_bytes])
    with pytest.raises(ModelError) as caught:
        loaded(model)
    assert caught.value.field == "path"
    assert "copy or export it again" in caught.value.remedy


def test_a_head_without_sigmoid_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "raw.onnx", tiny_yolox(sigmoid=False))
    with pytest.raises(ModelError, match="not probabilities"):
        loaded(path)


def test_boxes_that_are_decoded_already_are_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "decoded.onnx", tiny_yolox(raw_box=(50, 50, 20, 20)))
    with pytest.raises(ModelError, match="decode_in_inference=False"):
        loaded(path)


def test_labels_are_counted_at_load(model: Path) -> None:
    engine = OnnxRuntimeEngine(tiny_spec(model, num_classes=5))
    with pytest.raises(ModelError, match="labels: 5 labels for 2 classes"):
        engine.load()


def test_a_graph_that_runs_at_batch_one_only_says_so(tmp_path: Path) -> None:
    graph = tiny_yolox(batch=1)
    for tensor in (*graph.graph.input, *graph.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "N"
    path = tmp_path / "lies.onnx"
    onnx.save(graph, path)
    with pytest.raises(ModelError, match="batch 1 to 4"):
        loaded(path)
