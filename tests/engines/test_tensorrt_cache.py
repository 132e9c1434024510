"""Plans on disk: what names them, who builds them, and which of them are refused."""

from __future__ import annotations

import errno
import multiprocessing
import time
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import onnx
import pytest

from engines.errors import ModelError, PlanError
from engines.spec import Precision
from engines.tensorrt.builder import build_plan, request_for
from engines.tensorrt.cache import PlanCache, default_folder
from engines.tensorrt.options import BuildOptions
from engines.tensorrt.plan import MAGIC, PlanRequest, Platform, pack, read_header, unpack
from tests.engines.builders import tiny_spec, tiny_yolox, write_model

HERE = Platform("8.6.0", "NVIDIA H200", "sm_90")
PLAN = b"the bytes of a plan" * 100


@pytest.fixture
def request_here(tmp_path: Path) -> PlanRequest:
    spec = tiny_spec(write_model(tmp_path / "tiny.onnx", tiny_yolox()))
    return request_for(spec, HERE, batch_sizes=(1, 4))


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "plans")


def test_a_name_says_what_the_plan_is(request_here: PlanRequest) -> None:
    assert request_here.file_name.startswith("tiny-fp32-trt8.6.0-sm_90-")
    assert request_here.file_name.endswith(".plan")


@pytest.mark.parametrize(
    "change",
    [
        {"onnx_sha256": "0"},
        {"platform": replace(HERE, tensorrt="10.16.1.11")},
        {"platform": replace(HERE, gpu="NVIDIA H100 80GB HBM3")},
        {"platform": replace(HERE, arch="sm_89")},
        {"precision": Precision.FP16},
        {"batch_sizes": (1, 2, 4)},
        {"input_shape": (3, 96, 64)},
        {"num_classes": 3},
        {"max_candidates": 100},
        {"options": BuildOptions(optimization_level=5)},
        {"options": BuildOptions(tactic_sources=("JIT_CONVOLUTIONS",))},
        {"format": 0},
    ],
    ids=str,
)
def test_whatever_decides_a_plan_is_in_its_name(
    request_here: PlanRequest, change: dict[str, object]
) -> None:
    assert replace(request_here, **change).file_name != request_here.file_name


def test_the_same_request_has_the_same_name_whatever_the_order_of_its_sizes(
    request_here: PlanRequest, tmp_path: Path
) -> None:
    spec = tiny_spec(tmp_path / "tiny.onnx")
    again = request_for(spec, HERE, batch_sizes=(4, 1, 4))
    assert again.file_name == request_here.file_name


def test_a_plan_that_was_published_is_read_again(
    request_here: PlanRequest, cache: PlanCache
) -> None:
    assert cache.read(request_here) is None
    path = cache.publish(request_here, PLAN)
    assert cache.read(request_here) == PLAN
    assert [file.name for file in cache.folder.iterdir()] == [path.name]


def test_a_plan_from_elsewhere_is_refused_with_both_places(
    request_here: PlanRequest, cache: PlanCache
) -> None:
    path = cache.publish(request_here, PLAN)
    with pytest.raises(ModelError) as caught:
        unpack(path, replace(request_here, platform=Platform("10.16.1.11", "NVIDIA L4", "sm_89")))
    assert "by TensorRT 8.6.0 on NVIDIA H200 (sm_90)" in caught.value.message
    assert "here is TensorRT 10.16.1.11 on NVIDIA L4 (sm_89)" in caught.value.message
    assert "sightline model build" in caught.value.remedy


@pytest.mark.parametrize(
    ("num_bytes", "complaint"),
    [
        (0, "is not a plan"),
        (len(MAGIC) + 4, "ends in its header, after 19 bytes"),
        (200, "ends in its header, after 200 bytes"),
        (-1, "holds 1899 bytes of a plan of 1900"),
        (-1000, "holds 900 bytes of a plan of 1900"),
    ],
)
def test_a_truncated_plan_is_refused(
    request_here: PlanRequest, cache: PlanCache, num_bytes: int, complaint: str
) -> None:
    path = cache.publish(request_here, PLAN)
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(ModelError, match=complaint) as caught:
        cache.read(request_here)
    assert str(path) in caught.value.message
    assert "build it again with `sightline model build --rebuild`" in caught.value.remedy


def test_a_plan_with_other_bytes_is_refused(request_here: PlanRequest, cache: PlanCache) -> None:
    path = cache.publish(request_here, PLAN)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="does not have the bytes that were written"):
        cache.read(request_here)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "engine.trt"
    path.write_bytes(b"ftrt" + bytes(1000))
    with pytest.raises(ModelError, match="is not a plan of Sightline"):
        read_header(path)


def test_a_failed_write_leaves_what_was_there_and_no_rubbish(
    request_here: PlanRequest, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.publish(request_here, PLAN)

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("engines.tensorrt.cache.os.replace", fail)
    with pytest.raises(PlanError, match=r"plan of 7 bytes cannot be written \(No space left"):
        cache.publish(request_here, b"another")
    assert cache.read(request_here) == PLAN
    assert len(list(cache.folder.iterdir())) == 1


def test_a_plan_can_be_read_by_the_slots_of_other_users(
    request_here: PlanRequest, cache: PlanCache
) -> None:
    assert cache.publish(request_here, PLAN).stat().st_mode & 0o777 == 0o644


def test_timings_belong_to_one_platform(cache: PlanCache) -> None:
    cache.folder.mkdir()
    cache.merge_timings(HERE, lambda others: others + b"timings")
    assert cache.read_timings(HERE) == b"timings"
    assert cache.read_timings(replace(HERE, gpu="NVIDIA L4")) == b""


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    monkeypatch.delenv("SIGHTLINE_PLAN_CACHE", raising=False)
    assert default_folder() == Path("/var/cache/sightline/plans")
    monkeypatch.setenv("SIGHTLINE_PLAN_CACHE", "/mnt/shared/plans")
    assert PlanCache().folder == Path("/mnt/shared/plans")


def test_a_folder_that_cannot_be_written_is_named(
    request_here: PlanRequest, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    cache = PlanCache(tmp_path / "file" / "plans")
    with pytest.raises(ModelError, match=r"cannot be kept in .*file/plans.*SIGHTLINE_PLAN_CACHE"):
        build_plan(tiny_spec(tmp_path / "tiny.onnx"), request_here, cache)


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match=r"/nowhere/a\.onnx cannot be read"):
        request_for(tiny_spec(Path("/nowhere/a.onnx")), HERE)


def test_what_is_there_is_not_built_again(request_here: PlanRequest, cache: PlanCache) -> None:
    cache.publish(request_here, PLAN)
    spec = tiny_spec(Path("is not looked at"))
    there = build_plan(spec, request_here, cache)
    assert (there.path.name, there.is_new) == (request_here.file_name, False)


def test_a_plan_that_is_there_is_replaced_when_asked_for(
    request_here: PlanRequest, cache: PlanCache, tmp_path: Path
) -> None:
    cache.publish(request_here, b"one that TensorRT refuses")
    spec = tiny_spec(tmp_path / "tiny.onnx")
    built = build_plan(spec, request_here, cache, rebuild=True, compile_graph=compile_slowly)
    assert built.is_new
    assert cache.read(request_here) == PLAN


def compile_slowly(
    graph: onnx.ModelProto, request: PlanRequest, cache: PlanCache, report: object
) -> bytes:
    time.sleep(0.2)
    cache.merge_timings(request.platform, lambda others: others + b".")
    return PLAN


def build_in_another_process(folder: Path, request: PlanRequest, start: Barrier) -> None:
    start.wait(30)
    spec = tiny_spec(folder / "tiny.onnx")
    build_plan(spec, request, PlanCache(folder / "plans"), compile_graph=compile_slowly)


def test_of_two_processes_one_builds_and_both_have_the_plan(
    request_here: PlanRequest, cache: PlanCache, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    arguments = (tmp_path, request_here, start)
    builders = [context.Process(target=build_in_another_process, args=arguments) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(60)
        assert builder.exitcode == 0
    assert cache.read(request_here) == PLAN
    # Each build adds a mark to the timings that it was given.
    assert cache.read_timings(HERE) == b"."


def test_a_holder_that_dies_gives_the_lock_up(request_here: PlanRequest, cache: PlanCache) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold_for_ever, args=(cache.folder, request_here, ready))
    holder.start()
    assert ready.wait(60)
    holder.kill()
    holder.join(60)
    with cache.lock(request_here):
        assert cache.read(request_here) is None


def hold_for_ever(folder: Path, request: PlanRequest, ready: object) -> None:
    with PlanCache(folder).lock(request):
        ready.set()  # type: ignore[attr-defined]
        time.sleep(600)


def test_the_header_comes_before_the_plan_and_leaves_it_alone(request_here: PlanRequest) -> None:
    assert pack(request_here, PLAN).endswith(PLAN)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, BuildOptions()),
        ({"SIGHTLINE_TENSORRT_LEVEL": "0"}, BuildOptions(optimization_level=0)),
        (
            {"SIGHTLINE_TENSORRT_TACTIC_SOURCES": "edge_mask_convolutions, JIT_CONVOLUTIONS"},
            BuildOptions(tactic_sources=("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")),
        ),
        ({"SIGHTLINE_TENSORRT_TACTIC_SOURCES": ""}, BuildOptions(tactic_sources=())),
        ({"SIGHTLINE_TENSORRT_WORKSPACE_BYTES": "1024"}, BuildOptions(workspace_bytes=1024)),
    ],
)
def test_the_environment_overrides_options(
    environment: dict[str, str], expected: BuildOptions
) -> None:
    assert BuildOptions().overridden(environment) == expected


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"SIGHTLINE_TENSORRT_LEVEL": "fast"}, "SIGHTLINE_TENSORRT_LEVEL: 'fast' is not a whole"),
        ({"SIGHTLINE_TENSORRT_LEVEL": "6"}, "optimization_level: 6 is not a level"),
    ],
)
def test_options_that_cannot_be_used_are_named(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        BuildOptions().overridden(environment)
