"""TensorRT on a GPU: what it finds is what ONNX Runtime finds, with graphs and without.

Plans are built at level 0, each once a run; the environment says where no cuBLAS is to be used.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from engines.detections import Detections
from engines.errors import DeviceMemoryError, ModelError
from engines.evaluation import iou_matrix
from engines.frames import Chroma, Frame, Picture
from engines.inspection import load_spec
from engines.onnxruntime import OnnxRuntimeEngine
from engines.spec import ModelSpec, Precision
from engines.tensorrt import TensorRtEngine
from engines.tensorrt.builder import build_plan, request_for
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.options import BuildOptions
from engines.tensorrt.plan import PlanRequest
from tests.engines.builders import random_frame


def gpu_is_missing() -> bool:
    from engines.errors import DeviceError
    from engines.tensorrt.runtime import platform_of

    try:
        platform_of()
    except DeviceError:
        return True
    return False


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(gpu_is_missing(), reason="no GPU with TensorRT and PyCUDA"),
]

MODELS = Path(__file__).parents[2] / "engines" / "models"
SIZES = (1, 4)
OPTIONS = BuildOptions(optimization_level=0).overridden()
CONFIDENCE = 0.05
"""Low, so that pictures of blocks give plenty to compare."""
SURE = 0.1
"""Detections from here on must be found by both, whatever falls to which side of CONFIDENCE."""
PRECISIONS = [Precision.FP32, Precision.FP16, Precision.INT8]


def spec_of(precision: Precision) -> ModelSpec:
    name = "traffic-yolox" if precision is Precision.INT8 else "traffic-yolox-fp32"
    spec = load_spec(MODELS / f"{name}.yaml")
    return spec.model_copy(update={"confidence": CONFIDENCE, "precision": precision})


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> PlanCache:
    return PlanCache(tmp_path_factory.mktemp("plans"))


def request_of(precision: Precision) -> PlanRequest:
    from engines.tensorrt.runtime import platform_of

    spec = spec_of(precision)
    return request_for(spec, platform_of(), batch_sizes=SIZES, options=OPTIONS)


@pytest.fixture(params=PRECISIONS, ids=lambda precision: precision.value)
def engine(request: pytest.FixtureRequest, plans: PlanCache) -> Iterator[TensorRtEngine]:
    engine = TensorRtEngine(spec_of(request.param), batch_sizes=SIZES, options=OPTIONS, cache=plans)
    engine.load()
    yield engine
    engine.close()


@cache
def pictures() -> tuple[Frame, ...]:
    """Frames of several sizes with coloured blocks of the size of cars, and some noise."""
    frames = []
    for seed, (width, height) in enumerate([(640, 360), (1280, 720), (320, 192), (352, 288)]):
        rng = np.random.default_rng(seed)
        frame = random_frame(Picture(width, height, full_range=bool(seed % 2)), seed=seed)
        planes = tuple(plane // 16 + 110 for plane in frame.planes)
        for _ in range(25):
            left, top = rng.integers(0, width - 16), rng.integers(0, height - 16)
            columns, rows = rng.integers(8, width // 5), rng.integers(8, height // 5)
            for plane, step in zip(planes, (1, 2, 2), strict=True):
                area = np.s_[top // step : (top + rows) // step, left // step :]
                plane[area][:, : columns // step] = rng.integers(20, 235)
        frames.append(Frame(frame.picture, planes, 2 * width, 2 * height))
    return tuple(frames)


@cache
def expected(precision: Precision) -> list[Detections]:
    reference = OnnxRuntimeEngine(spec_of(precision))
    reference.load()
    found = reference.infer(pictures())
    assert sum(int((one.confidence >= SURE).sum()) for one in found) >= 10
    return found


def unmatched(found: Detections, wanted: Detections, iou: float) -> int:
    """Sure detections of ``wanted`` that have no counterpart of their class in ``found``."""
    sure = wanted[wanted.confidence >= SURE]
    if not len(found):
        return len(sure)
    overlaps = iou_matrix(sure.xyxy, found.xyxy)
    overlaps[sure.class_id[:, None] != found.class_id] = 0
    return int((overlaps.max(axis=1, initial=0) < iou).sum())


def same(left: Detections, right: Detections) -> None:
    np.testing.assert_array_equal(left.xyxy, right.xyxy)
    np.testing.assert_array_equal(left.confidence, right.confidence)
    np.testing.assert_array_equal(left.class_id, right.class_id)


def test_fp32_gives_the_boxes_of_onnx_runtime(plans: PlanCache) -> None:
    engine = TensorRtEngine(
        spec_of(Precision.FP32), batch_sizes=SIZES, options=OPTIONS, cache=plans
    )
    engine.load()
    try:
        for found, wanted in zip(engine.infer(pictures()), expected(Precision.FP32), strict=True):
            assert unmatched(found, wanted, 0.95) == unmatched(wanted, found, 0.95) == 0
    finally:
        engine.close()


def test_every_precision_finds_nearly_what_onnx_runtime_finds(engine: TensorRtEngine) -> None:
    wanted = expected(engine.spec.precision)
    found = engine.infer(pictures())
    num = sum(int((one.confidence >= SURE).sum()) for one in wanted)
    lost = sum(unmatched(f, w, 0.6) for f, w in zip(found, wanted, strict=True))
    # INT8 has fewer steps when signed; FP16 loses what stands at the threshold.
    assert lost <= (0.4 if engine.spec.precision is Precision.INT8 else 0.05) * num


def test_a_padded_batch_gives_what_its_frames_give_alone(engine: TensorRtEngine) -> None:
    frames = pictures()[:3]
    again = engine.infer(frames)
    for found, repeated in zip(engine.infer(frames), again, strict=True):
        same(found, repeated)
    for frame, together in zip(frames, again, strict=True):
        # Another batch size has kernels of its own: sums differ in the last bits, INT8 by steps.
        alone = engine.infer([frame])[0]
        is_coarse = engine.spec.precision is Precision.INT8
        assert unmatched(alone, together, 0.6) <= (0.4 * len(alone) if is_coarse else 1)


def test_frames_of_a_device_pool_give_what_host_frames_give(engine: TensorRtEngine) -> None:
    from engines.cuda.pool import DevicePool

    largest = max(frame.picture.size_bytes for frame in pictures())
    pool = DevicePool.create(4, largest)
    try:
        on_device = []
        for slot, frame in enumerate(pictures()):
            picture = replace(frame.picture, chroma=Chroma.INTERLEAVED)
            chroma = np.stack(frame.planes[1:], axis=2).reshape(picture.stored_shapes[1])
            pool.write(slot, picture, (frame.planes[0], chroma))
            size = (frame.source_width, frame.source_height)
            on_device.append(pool.read(slot, picture, source_size=size))
        for found, wanted in zip(engine.infer(on_device), engine.infer(pictures()), strict=True):
            same(found, wanted)
    finally:
        pool.unlink()


def test_two_batches_in_flight_give_what_they_give_alone(engine: TensorRtEngine) -> None:
    batches = [pictures(), tuple(reversed(pictures()))]
    alone = [engine.infer(batch) for batch in batches]
    with ThreadPoolExecutor(2) as threads:
        for _ in range(20):
            for found, wanted in zip(threads.map(engine.infer, batches), alone, strict=True):
                for one, other in zip(found, wanted, strict=True):
                    same(one, other)


def test_graphs_give_what_kernel_by_kernel_gives(plans: PlanCache) -> None:
    from engines.tensorrt.runtime import TensorRtRuntime

    spec, request = spec_of(Precision.FP16), request_of(Precision.FP16)
    build_plan(spec, request, plans)
    records = []
    for use_graphs in (False, True):
        runtime = TensorRtRuntime(plans.read(request) or b"", spec, request, use_graphs=use_graphs)
        try:
            for lane in runtime.lanes:
                records.append(lane.run(pictures(), 4)[0].copy())
        finally:
            runtime.close()
    for record in records[1:]:
        for left, right in zip(record, records[0], strict=True):
            num = 1 + int(left[0, 0])
            np.testing.assert_array_equal(left[:num, 0], right[:num, 0])
            np.testing.assert_array_equal(left[1:num], right[1:num])


def test_an_engine_can_be_loaded_again_after_it_was_closed(engine: TensorRtEngine) -> None:
    before = engine.infer(pictures())
    engine.close()
    engine.load()
    for found, wanted in zip(engine.infer(pictures()), before, strict=True):
        same(found, wanted)


def test_a_plan_that_only_pretends_is_refused_by_tensorrt(plans: PlanCache, tmp_path: Path) -> None:
    forged = PlanCache(tmp_path)
    forged.publish(request_of(Precision.FP32), b"not a plan of TensorRT" * 100)
    engine = TensorRtEngine(
        spec_of(Precision.FP32), batch_sizes=SIZES, options=OPTIONS, cache=forged
    )
    with pytest.raises(ModelError, match="refuses its plan"):
        engine.load()


def test_a_full_gpu_says_how_much_is_free() -> None:
    from engines.cuda.context import open_device

    with pytest.raises(DeviceMemoryError, match=r"bytes free, \d+ are wanted"):
        open_device().allocate(1 << 50)


def test_measuring_gives_every_figure(plans: PlanCache) -> None:
    from engines.tensorrt.measure import measure

    models = [(spec_of(Precision.FP16), Precision.FP16)]
    figures = list(
        measure(models, batch_sizes=SIZES, duration_s=0.05, options=OPTIONS, cache=plans)
    )
    assert [(f.batch_size, f.use_graphs) for f in figures] == [
        (size, use_graphs) for use_graphs in (False, True) for size in SIZES
    ]
    for figure in figures:
        assert 0 < figure.enqueue_us < figure.batch_ms * 1000
        assert min(figure.describe_us, figure.single_fps, figure.double_fps) > 0
