"""TensorRtEngine's own logic, over lanes that compute the same graph on ONNX Runtime."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from engines.engine import Engine
from engines.errors import DeviceError, DeviceMemoryError, EngineFailedError, ModelError
from engines.factory import Backend, create_engine
from engines.frames import DeviceFrame, Frame, Picture
from engines.onnxruntime import OnnxRuntimeEngine
from engines.spec import ModelSpec
from engines.tensorrt import TensorRtEngine
from engines.tensorrt.lane import padded, padded_size
from tests.engines.builders import grey_frame, tiny_spec, tiny_yolox, write_model
from tests.engines.host_lanes import SIZES, HostRuntime


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    return tiny_spec(write_model(tmp_path / "tiny.onnx", tiny_yolox()))


def loaded(spec: ModelSpec) -> tuple[TensorRtEngine, HostRuntime]:
    opened: list[HostRuntime] = []

    def open_runtime(spec: ModelSpec, batch_sizes: tuple[int, ...]) -> HostRuntime:
        opened.append(HostRuntime(spec, batch_sizes))
        return opened[0]

    engine = TensorRtEngine(spec, batch_sizes=(4, 1, 2), open_runtime=open_runtime)
    engine.load()
    return engine, opened[0]


def pictures(num: int) -> list[Frame]:
    return [
        grey_frame(96 + 32 * i, 96, bright=[(8 * i, 16, 8 * i + 24, 64), (60, 8, 90, 40)])
        for i in range(num)
    ]


def test_it_keeps_the_protocol_of_engines(spec: ModelSpec) -> None:
    engine: Engine = loaded(spec)[0]
    assert engine.batch_sizes == SIZES
    assert engine.max_in_flight == 2


def test_it_finds_what_the_cpu_backend_finds(spec: ModelSpec) -> None:
    engine, _ = loaded(spec)
    reference = OnnxRuntimeEngine(spec)
    reference.load()
    frames = pictures(4)
    for found, expected in zip(engine.infer(frames), reference.infer(frames), strict=True):
        assert len(expected) >= 2
        np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=1e-3)
        np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-6)
        np.testing.assert_array_equal(found.class_id, expected.class_id)


def test_boxes_are_in_pixels_of_the_camera(spec: ModelSpec) -> None:
    engine, _ = loaded(spec)
    small = grey_frame(64, 64, bright=[(8, 16, 16, 24)])
    full = Frame(small.picture, small.planes, 640, 320)
    xyxy = engine.infer([full])[0].xyxy
    np.testing.assert_allclose(xyxy, [[80, 80, 160, 120]], atol=0.01)


@pytest.mark.parametrize(("num_frames", "size"), [(1, 1), (2, 2), (3, 4), (4, 4)])
def test_a_batch_is_padded_to_the_next_size_that_was_built(
    spec: ModelSpec, num_frames: int, size: int
) -> None:
    engine, runtime = loaded(spec)
    assert len(engine.infer(pictures(num_frames))) == num_frames
    assert [batch for lane in runtime.lanes for batch in lane.batches] == [(num_frames, size)]


def test_sizes_beyond_the_largest_are_refused(spec: ModelSpec) -> None:
    with pytest.raises(ValueError, match="5 frames in a batch, at most 4"):
        loaded(spec)[0].infer(pictures(1) * 5)
    with pytest.raises(ValueError, match="9 frames in a batch, at most 8"):
        padded_size(9, (1, 8))


def test_padding_repeats_a_frame_whose_memory_is_there() -> None:
    frames = [DeviceFrame(Picture(2, 2), address, 2, 2) for address in (256, 512)]
    assert [frame.address for frame in padded(frames, 4)] == [256, 512, 512, 512]


def test_no_frames_need_no_lane(spec: ModelSpec) -> None:
    engine, runtime = loaded(spec)
    assert engine.infer([]) == []
    assert not any(lane.batches for lane in runtime.lanes)


def test_detections_outlive_the_lane_s_next_batch(spec: ModelSpec) -> None:
    engine, _ = loaded(spec)
    # One detection: a column of one value is contiguous and would be handed on uncopied.
    first = engine.infer([grey_frame(64, 64, bright=[(8, 16, 16, 24)])])[0]
    kept = (first.xyxy.copy(), first.confidence.copy(), first.class_id.copy())
    for _ in range(2):
        engine.infer([grey_frame(64, 64, bright=[(32, 32, 64, 64)])])
    assert len(first) == 1
    for now, before in zip((first.xyxy, first.confidence, first.class_id), kept, strict=True):
        np.testing.assert_array_equal(now, before)


def test_two_batches_are_in_flight_each_on_its_own_lane(spec: ModelSpec) -> None:
    engine, runtime = loaded(spec)
    frames = pictures(2)
    alone = [engine.infer([frame])[0] for frame in frames]
    meeting = Barrier(2)
    for lane in runtime.lanes:
        lane.meeting = meeting  # no batch ends before the other has begun
        lane.batches.clear()
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(engine.infer, [[frame] for frame in frames]))
    assert [len(lane.batches) for lane in runtime.lanes] == [1, 1]
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found[0].xyxy, expected.xyxy)


def test_a_failed_device_fails_the_engine_and_gives_the_lane_back(spec: ModelSpec) -> None:
    engine, runtime = loaded(spec)
    for lane in runtime.lanes:
        lane.error = DeviceError("an illegal memory access was encountered")
    for _ in range(3):
        with pytest.raises(EngineFailedError, match="tiny failed: an illegal memory access"):
            engine.infer(pictures(1))


def test_a_full_gpu_is_told_at_load_with_its_figures(spec: ModelSpec) -> None:
    def open_runtime(spec: ModelSpec, batch_sizes: tuple[int, ...]) -> HostRuntime:
        raise DeviceMemoryError("GPU 0 has 1024 of 2048 bytes free, 4096 are wanted")

    engine = TensorRtEngine(spec, open_runtime=open_runtime)
    with pytest.raises(ModelError, match="device: GPU 0 has 1024 of 2048 bytes free, 4096"):
        engine.load()


def test_an_engine_that_was_closed_says_so(spec: ModelSpec) -> None:
    engine, runtime = loaded(spec)
    engine.close()
    engine.close()
    assert runtime.num_closed == 1
    with pytest.raises(EngineFailedError, match="not loaded"):
        engine.infer(pictures(1))


@pytest.mark.parametrize(("largest", "sizes"), [(1, (1,)), (8, (1, 2, 4, 8)), (6, (1, 2, 4, 6))])
def test_the_factory_builds_powers_of_two_up_to_the_largest_batch(
    spec: ModelSpec, largest: int, sizes: tuple[int, ...]
) -> None:
    engine = create_engine(spec, backend=Backend.TENSORRT, max_batch_size=largest)
    assert engine.batch_sizes == sizes


def test_where_the_gpu_packages_are_missing_load_says_what_to_install(spec: ModelSpec) -> None:
    engine = create_engine(spec, backend=Backend.TENSORRT)
    try:
        import tensorrt  # noqa: F401
    except ImportError:
        with pytest.raises(ModelError, match=r"install sightline\[gpu\]"):
            engine.load()
    else:
        pytest.skip("TensorRT is here")
