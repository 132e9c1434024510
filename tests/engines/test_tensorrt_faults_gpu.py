"""Faults of plans on a real GPU, with a network so small that it is built in seconds.

Builders and full GPUs are in processes of their own: one is killed, the other may not recover.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from engines.detections import Detections
from engines.errors import DeviceError, DeviceMemoryError, EngineError, ModelError, PlanError
from engines.onnxruntime import OnnxRuntimeEngine
from engines.spec import ModelSpec, Precision
from engines.tensorrt import TensorRtEngine
from engines.tensorrt.builder import build_plan, request_for
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.inventory import stored_plans
from engines.tensorrt.options import BuildOptions
from engines.tensorrt.plan import PlanRequest, Platform, pack
from tests.engines.builders import grey_frame, tiny_spec, tiny_yolox, write_model


def gpu_is_missing() -> bool:
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

SIZES = (1, 2)
OPTIONS = BuildOptions(optimization_level=0).overridden()
LEFT_BYTES = 4 << 20
"""Of a full GPU: less than TensorRT takes to begin."""
JOIN_S = 240


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return tiny_spec(write_model(tmp_path_factory.mktemp("model") / "tiny.onnx", tiny_yolox()))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, spec: ModelSpec) -> PlanCache:
    """A cache with the plan of ``spec``, which tests copy, so that it is built once."""
    cache = PlanCache(tmp_path_factory.mktemp("plans"))
    build(spec, cache)
    return cache


@pytest.fixture
def cache(tmp_path: Path, spec: ModelSpec, shared: PlanCache) -> PlanCache:
    own = PlanCache(tmp_path / "plans")
    own.publish(request_of(spec), bytes(shared.read(request_of(spec)) or b""))
    return own


def request_of(spec: ModelSpec) -> PlanRequest:
    from engines.tensorrt.runtime import platform_of

    return request_for(spec, platform_of(), batch_sizes=SIZES, options=OPTIONS)


def build(spec: ModelSpec, cache: PlanCache, **options: object) -> bool:
    """Whether it was built just now."""
    from engines.cuda.context import open_device

    with open_device():
        return build_plan(spec, request_of(spec), cache, **options).is_new


def engine_of(spec: ModelSpec, cache: PlanCache) -> TensorRtEngine:
    return TensorRtEngine(spec, batch_sizes=SIZES, options=OPTIONS, cache=cache)


def found_by(engine: TensorRtEngine | OnnxRuntimeEngine) -> Detections:
    engine.load()
    try:
        return engine.infer([grey_frame(64, 64, bright=[(16, 16, 40, 40)])])[0]
    finally:
        engine.close()


def works(spec: ModelSpec, cache: PlanCache) -> bool:
    found, wanted = (
        sorted(map(tuple, detections.xyxy.round().tolist()))
        for detections in (found_by(engine_of(spec, cache)), found_by(OnnxRuntimeEngine(spec)))
    )
    return len(wanted) >= 9 and found == wanted


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "no bytes": lambda data: b"",
    "garbage": lambda data: os.urandom(4096),
    "bit flipped": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plan_is_built_again_and_the_engine_runs(
    how: str, spec: ModelSpec, cache: PlanCache, caplog: pytest.LogCaptureFixture
) -> None:
    path = cache.path_of(request_of(spec))
    path.write_bytes(BROKEN[how](path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert works(spec, cache)
    assert f"{path} " in caplog.text
    assert "it is built again" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"platform": Platform("8.6.0", "NVIDIA L4", "sm_89")},
        {"platform": Platform("7.2.3", "NVIDIA T4", "sm_75")},
        {"onnx_sha256": "0" * 64},
    ],
    ids=["GPU", "TensorRT", "ONNX"],
)
def test_a_plan_of_something_else_in_its_place_is_built_again(
    change: dict[str, object],
    spec: ModelSpec,
    cache: PlanCache,
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = request_of(spec)
    plan = bytes(cache.read(request) or b"")
    cache.path_of(request).write_bytes(pack(replace(request, **change), plan))
    with pytest.raises(PlanError):
        cache.read(request)
    with caplog.at_level(logging.WARNING):
        assert works(spec, cache)
    assert "it is built again" in caplog.text


def test_another_onnx_file_of_the_same_name_gets_a_plan_of_its_own(
    spec: ModelSpec, cache: PlanCache, tmp_path: Path
) -> None:
    other = tiny_spec(write_model(tmp_path / "tiny.onnx", other_weights()))
    assert build(other, cache)
    assert not build(spec, cache)
    assert len(stored_plans(cache.folder)) == 2


def other_weights() -> onnx.ModelProto:
    """The network of the tests with another weight."""
    model = tiny_yolox()
    weights = model.graph.initializer[0]
    halved = numpy_helper.to_array(weights) / 2
    weights.CopyFrom(numpy_helper.from_array(halved, weights.name))
    return model


def test_a_plan_that_tensorrt_refuses_names_its_file_and_rebuilding_mends_it(
    spec: ModelSpec, cache: PlanCache
) -> None:
    request = request_of(spec)
    cache.publish(request, b"not a plan of TensorRT" * 100)
    with pytest.raises(PlanError, match="refuses its plan") as caught:
        engine_of(spec, cache).load()
    assert request.file_name in caught.value.message
    assert "--rebuild" in caught.value.remedy
    assert build(spec, cache, rebuild=True)
    assert works(spec, cache)


def test_a_folder_that_cannot_be_made_is_named(spec: ModelSpec, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlanError, match=r"cannot be kept in .*file/plans"):
        engine_of(spec, PlanCache(tmp_path / "file" / "plans")).load()


class FullDisk(PlanCache):
    """A cache on a disk that fills up: the kernel refuses the 4097th byte of a plan."""

    def publish(self, request: PlanRequest, plan: bytes) -> Path:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            return super().publish(request, plan)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_fills_up_leaves_no_part_of_a_plan(spec: ModelSpec, tmp_path: Path) -> None:
    folder = tmp_path / "plans"
    with pytest.raises(PlanError, match=r"bytes cannot be written \(File too large"):
        build(spec, FullDisk(folder))
    assert not [path for path in folder.iterdir() if ".plan" in path.name]
    assert works(spec, PlanCache(folder))


def build_beside(folder: Path, spec: ModelSpec, start: Barrier, answer: Connection) -> None:
    start.wait(JOIN_S)
    answer.send(build(spec, PlanCache(folder)))


def test_of_two_processes_one_builds_and_the_other_waits(spec: ModelSpec, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, folder = context.Barrier(2), tmp_path / "plans"
    answers, builders = [], []
    for _ in range(2):
        mine, theirs = context.Pipe(duplex=False)
        answers.append(mine)
        arguments = (folder, spec, start, theirs)
        builders.append(context.Process(target=build_beside, args=arguments))
        builders[-1].start()
    for builder in builders:
        builder.join(JOIN_S)
        assert builder.exitcode == 0
    assert sorted(answer.recv() for answer in answers) == [False, True]
    assert works(spec, PlanCache(folder))


def build_alone(folder: Path, spec: ModelSpec) -> None:
    build(spec, PlanCache(folder))


def test_a_builder_that_is_killed_keeps_nobody_waiting(spec: ModelSpec, tmp_path: Path) -> None:
    context, folder = multiprocessing.get_context("spawn"), tmp_path / "plans"
    builder = context.Process(target=build_alone, args=(folder, spec))
    builder.start()
    deadline = time.monotonic() + JOIN_S
    while not any(path.stat().st_size for path in folder.glob("*.lock")):
        assert builder.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(builder.pid or 0, signal.SIGKILL)
    builder.join(JOIN_S)
    assert not stored_plans(folder), "it was killed before it was done"
    assert works(spec, PlanCache(folder))


def on_a_full_gpu(folder: Path, spec: ModelSpec, answer: Connection) -> None:
    """Fill the GPU up, then load; the plan is there, or must be built."""
    from engines.cuda.context import open_device
    from engines.tensorrt.runtime import platform_of

    platform_of()
    held = []
    with open_device() as context:
        for step_bytes in (1 << 30, 32 << 20, 2 << 20):
            while context.cuda.mem_get_info()[0] > LEFT_BYTES + step_bytes:
                try:
                    held.append(context.allocate(step_bytes))
                except DeviceMemoryError:
                    break
    try:
        engine_of(spec, PlanCache(folder)).load()
        answer.send(None)
    except EngineError as error:
        answer.send((type(error).__name__, str(error)))


@pytest.mark.parametrize("has_plan", [True, False], ids=["to run", "to build"])
def test_a_full_gpu_is_named_with_its_figures(
    has_plan: bool, spec: ModelSpec, cache: PlanCache, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    folder = cache.folder if has_plan else tmp_path / "empty"
    process = context.Process(target=on_a_full_gpu, args=(folder, spec, theirs))
    process.start()
    process.join(JOIN_S)
    assert process.exitcode == 0
    assert mine.poll(0)
    kind, message = mine.recv() or ("", "it loaded all the same")
    assert kind == ModelError.__name__, message
    assert "bytes free" in message
    if not has_plan:
        assert not list(folder.glob("*.plan"))


def test_timings_serve_builds_of_other_precisions_and_batch_sizes(
    spec: ModelSpec, tmp_path: Path
) -> None:
    from engines.cuda.context import open_device
    from engines.tensorrt.runtime import platform_of

    cache, sizes_bytes = PlanCache(tmp_path / "plans"), []
    options = replace(OPTIONS, optimization_level=2)
    for precision, sizes in [
        (Precision.FP32, (1,)),
        (Precision.FP16, (1,)),
        (Precision.FP32, (2,)),
    ]:
        request = request_for(
            spec, platform_of(), precision=precision, batch_sizes=sizes, options=options
        )
        with open_device():
            assert build_plan(spec, request, cache).is_new
        sizes_bytes.append(len(cache.read_timings(platform_of())))
    assert 0 < sizes_bytes[0] < sizes_bytes[1] < sizes_bytes[2]
