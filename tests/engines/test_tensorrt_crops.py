"""Models of crops on TensorRT beside ONNX Runtime: on a GPU, and with the host in its place.

Plans are built at level 0, each once a run; the environment says where no cuBLAS is to be used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from engines.crops import Crop, View, cut, frame_of
from engines.cuda.pool import DevicePool, Memory
from engines.cuda.stand_in import HostMemory
from engines.detections import Detections
from engines.engine import CropEngine
from engines.errors import DeviceError, ModelError
from engines.evaluation import iou_matrix
from engines.factory import CROPS_ON_GPU, create_crop_engine
from engines.frames import Chroma, DeviceFrame, Frame, Picture
from engines.readings import Attributes, Embeddings, Readings, Texts
from engines.spec import ModelSpec, Precision
from engines.tensorrt import TensorRtEngine, TensorRtReader
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.options import BuildOptions
from tests.engines.builders import random_frame
from tests.engines.cuda_backends import ON_BOTH
from tests.engines.gpu_on_host import install, open_runtime
from tests.engines.random_networks import DETECTORS, LABELS, READERS, network_of

SIZES = (1, 4)
TOLERANCE = {Precision.FP32: 1e-3, Precision.FP16: 1e-2}
"""Of probabilities and of directions: the kernel's pixels differ by 0.1 grey levels at most."""


class OnHost:
    """The whole runtime, with the host in the place of the GPU; pictures in a pool there."""

    precisions = (Precision.FP32,)

    def __init__(self, folder: Path) -> None:
        self._patches = pytest.MonkeyPatch()
        self.device = install(self._patches)
        self._pool, self._placed = pooled(scenes(), HostMemory)

    def engine_of(self, spec: ModelSpec, precision: Precision = Precision.FP32) -> CropEngine:
        return kind_of(spec)(spec, batch_sizes=SIZES, open_runtime=open_runtime)

    def placed(self, views: Sequence[View]) -> Sequence[View]:
        return moved(views, self._placed)

    def close(self) -> None:
        self._pool.unlink()
        self._patches.undo()
        assert self.device.num_allocations == 0


class OnGpu:
    """TensorRT, pictures in a pool in the memory of the GPU."""

    precisions = (Precision.FP32, Precision.FP16)

    def __init__(self, folder: Path) -> None:
        from engines.tensorrt.runtime import platform_of

        platform_of()
        self._plans = PlanCache(folder)
        self._pool, self._placed = pooled(scenes(), None)

    def engine_of(self, spec: ModelSpec, precision: Precision = Precision.FP32) -> CropEngine:
        options = BuildOptions(optimization_level=0).overridden()
        return kind_of(spec)(
            spec, batch_sizes=SIZES, precision=precision, options=options, cache=self._plans
        )

    def placed(self, views: Sequence[View]) -> Sequence[View]:
        return moved(views, self._placed)

    def close(self) -> None:
        self._pool.unlink()


def kind_of(spec: ModelSpec) -> type[TensorRtEngine] | type[TensorRtReader]:
    return TensorRtEngine if spec.family.value in DETECTORS else TensorRtReader


def pooled(
    frames: Sequence[Frame], memory: type[Memory] | None
) -> tuple[DevicePool, dict[int, DeviceFrame]]:
    """Frames in a pool, with paired chroma as NVDEC gives it; by the identity of each."""
    pool = DevicePool.create(
        len(frames), max(frame.picture.size_bytes for frame in frames), memory=memory
    )
    placed = {}
    for slot, frame in enumerate(frames):
        picture = replace(frame.picture, chroma=Chroma.INTERLEAVED)
        chroma = np.stack(frame.planes[1:], axis=2).reshape(picture.stored_shapes[1])
        pool.write(slot, picture, (frame.planes[0], chroma))
        size = frame.source_width, frame.source_height
        placed[id(frame)] = pool.read(slot, picture, source_size=size)
    return pool, placed


def moved(views: Sequence[View], placed: Mapping[int, DeviceFrame]) -> Sequence[View]:
    """The same views, of the pictures in the pool."""
    there = [placed[id(frame_of(view))] for view in views]
    return [
        replace(view, frame=frame) if isinstance(view, Crop) else frame
        for view, frame in zip(views, there, strict=True)
    ]


Place = OnHost | OnGpu
Load = Callable[..., CropEngine]


@pytest.fixture(scope="module", params=ON_BOTH)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    try:
        made = {"host": OnHost, "gpu": OnGpu}[request.param](tmp_path_factory.mktemp("plans"))
    except DeviceError as error:
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.fixture
def load(place: Place) -> Iterator[Load]:
    """Loads an engine for a spec, in a precision, and closes it in the end."""
    made: list[CropEngine] = []

    def loaded(*args: object) -> CropEngine:
        made.append(place.engine_of(*args))
        made[-1].load()
        return made[-1]

    yield loaded
    for engine in made:
        engine.close()


@cache
def scenes() -> tuple[Frame, ...]:
    """Of two cameras: coloured blocks, and some noise; the pool's copy is half as large."""
    frames = []
    for seed, (width, height) in enumerate([(640, 360), (352, 288)]):
        rng = np.random.default_rng(seed)
        frame = random_frame(Picture(width, height, full_range=bool(seed)), seed=seed)
        planes = tuple(plane // 16 + 110 for plane in frame.planes)
        for _ in range(60):
            left, top = rng.integers(0, width - 16), rng.integers(0, height - 16)
            columns, rows = rng.integers(8, width // 6), rng.integers(8, height // 6)
            for plane, step in zip(planes, (1, 2, 2), strict=True):
                area = np.s_[top // step : (top + rows) // step, left // step :]
                plane[area][:, : columns // step] = rng.integers(5, 250)
        frames.append(Frame(frame.picture, planes, 2 * width, 2 * height))
    return tuple(frames)


@cache
def views() -> tuple[View, ...]:
    """Crops of both cameras in turn, and one picture as a whole."""
    boxes = np.array([[10, 20, 250, 180], [400, 300, 520, 560], [333.3, 7.7, 660.1, 99.9]])
    one, other = (cut(frame, boxes, margin=0.1).crops for frame in scenes())
    return (*(crop for pair in zip(one, other, strict=True) for crop in pair), scenes()[0])


def on_cpu(spec: ModelSpec, some: Sequence[View]) -> Readings | list[Detections]:
    reference = create_crop_engine(spec)
    reference.load()
    return reference.infer(some)


def check_same(found: Readings, expected: Readings, tolerance: float) -> None:
    assert type(found) is type(expected)
    if isinstance(found, Attributes) and isinstance(expected, Attributes):
        for head, wanted in zip(found.probabilities, expected.probabilities, strict=True):
            assert head.dtype == np.float32
            np.testing.assert_allclose(head, wanted, atol=tolerance)
    elif isinstance(found, Texts) and isinstance(expected, Texts):
        assert found.text == expected.text
        np.testing.assert_allclose(found.confidence, expected.confidence, atol=tolerance)
    elif isinstance(found, Embeddings) and isinstance(expected, Embeddings):
        np.testing.assert_allclose(found.vectors, expected.vectors, atol=tolerance)


def differs(readings: Readings) -> bool:
    """Whether the views are told apart at all."""
    if isinstance(readings, Texts):
        return len(set(readings.text)) > 2
    rows = readings.vectors if isinstance(readings, Embeddings) else readings.probabilities[0]
    return bool(np.ptp(rows, axis=0).max() > 0.1)


@pytest.mark.parametrize("family", READERS)
def test_crops_of_several_cameras_are_read_as_on_the_cpu(
    place: Place, load: Load, family: str, tmp_path: Path
) -> None:
    spec = network_of(tmp_path, family)
    engine = load(spec)
    assert engine.batch_sizes == SIZES
    assert differs(on_cpu(spec, views()))
    for some in (views()[:4], views()[4:], views()[2:3]):
        check_same(engine.infer(place.placed(some)), on_cpu(spec, some), TOLERANCE[Precision.FP32])


@pytest.mark.parametrize("family", ["classifier", "embedding"])
def test_half_precision_reads_nearly_the_same(
    place: Place, load: Load, family: str, tmp_path: Path
) -> None:
    if Precision.FP16 not in place.precisions:
        pytest.skip("the host computes in FP32")
    spec = network_of(tmp_path, family)
    found = load(spec, Precision.FP16).infer(place.placed(views()[:4]))
    check_same(found, on_cpu(spec, views()[:4]), TOLERANCE[Precision.FP16])


def unmatched(found: Detections, wanted: Detections) -> int:
    """Boxes that have no counterpart of their class and confidence."""
    overlaps = iou_matrix(wanted.xyxy, found.xyxy)
    overlaps[wanted.class_id[:, None] != found.class_id] = 0
    overlaps[np.abs(wanted.confidence[:, None] - found.confidence) > 0.02] = 0
    return int((overlaps.max(axis=1, initial=0) < 0.95).sum())


@pytest.mark.parametrize("family", DETECTORS)
def test_detectors_find_in_crops_what_they_find_on_the_cpu(
    place: Place, load: Load, family: str, tmp_path: Path
) -> None:
    spec = network_of(tmp_path, family)
    some = views()[:4]
    wanted, found = on_cpu(spec, some), load(spec).infer(place.placed(some))
    assert isinstance(wanted, list)
    assert isinstance(found, list)
    assert sum(map(len, wanted)) >= 8
    lost = sum(unmatched(f, w) + unmatched(w, f) for f, w in zip(found, wanted, strict=True))
    assert lost <= 2  # what stands at the threshold, or is just not suppressed
    for boxes, view in zip(found, some, strict=True):
        assert isinstance(view, Crop)
        width, height = view.xyxy[2] - view.xyxy[0], view.xyxy[3] - view.xyxy[1]
        around = np.array(view.xyxy) + np.array([-width, -height, width, height])
        assert (boxes.xyxy[:, :2] >= around[:2]).all()
        assert (boxes.xyxy[:, 2:] <= around[2:]).all()


def test_readings_outlive_the_next_batches(place: Place, load: Load, tmp_path: Path) -> None:
    engine = load(network_of(tmp_path, "attributes"))
    first = engine.infer(place.placed(views()[:1]))
    assert isinstance(first, Attributes)
    before = [head.copy() for head in first.probabilities]
    for view in views()[1:4]:
        engine.infer(place.placed([view]))
    for head, kept in zip(first.probabilities, before, strict=True):
        np.testing.assert_array_equal(head, kept)


def test_two_batches_in_flight_read_what_they_read_alone(
    place: Place, load: Load, tmp_path: Path
) -> None:
    engine = load(network_of(tmp_path, "classifier"))
    batches = [place.placed(views()[:4]), place.placed(views()[3:6])]
    alone = [engine.infer(batch) for batch in batches]
    with ThreadPoolExecutor(2) as threads:
        for _ in range(20):
            for found, expected in zip(threads.map(engine.infer, batches), alone, strict=True):
                check_same(found, expected, 0.0)


def test_crops_of_pictures_in_host_memory_are_read_too(
    place: Place, load: Load, tmp_path: Path
) -> None:
    engine = load(network_of(tmp_path, "classifier"))
    some = views()[:4]
    # Of planar and of paired chroma the same samples are read, in the same arithmetic.
    check_same(engine.infer(some), engine.infer(place.placed(some)), 1e-6)


def test_a_model_whose_labels_no_longer_fit_its_plan_is_refused(
    place: Place, load: Load, tmp_path: Path
) -> None:
    spec = network_of(tmp_path, "classifier")
    load(spec)
    with pytest.raises(ModelError, match="Give 5 labels") as caught:
        load(spec.model_copy(update={"labels": LABELS[:4]}))
    assert caught.value.field == "labels"


def test_an_engine_can_be_loaded_again_after_it_was_closed(
    place: Place, load: Load, tmp_path: Path
) -> None:
    engine = load(network_of(tmp_path, "embedding"))
    before = engine.infer(place.placed(views()[:2]))
    engine.close()
    engine.load()
    check_same(engine.infer(place.placed(views()[:2])), before, 0.0)


def test_what_a_model_takes_of_the_gpu_is_told(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "engines.tensorrt"):
        load(network_of(tmp_path, "classifier"))
    assert "tiny takes" in caplog.text
    assert "MiB of GPU memory beside its weights" in caplog.text


def test_views_beyond_the_largest_batch_and_none_are_refused(
    place: Place, load: Load, tmp_path: Path
) -> None:
    engine = load(network_of(tmp_path, "classifier"))
    with pytest.raises(ValueError, match="5 frames in a batch, at most 4"):
        engine.infer(place.placed(views()[:5]))
    with pytest.raises(ValueError, match="no views in a batch"):
        engine.infer([])


def test_the_factory_builds_few_batch_sizes_and_takes_the_kind_from_the_task(
    tmp_path: Path,
) -> None:
    from engines.factory import Backend

    kinds = {}
    for family in (*READERS, *DETECTORS):
        engine = create_crop_engine(network_of(tmp_path, family), backend=Backend.TENSORRT)
        assert engine.batch_sizes == CROPS_ON_GPU
        kinds[family] = type(engine)
    assert {kinds[family] for family in READERS} == {TensorRtReader}
    assert {kinds[family] for family in DETECTORS} == {TensorRtEngine}
