"""Plan files that went wrong: never loaded, built again and said so, or refused with a remedy."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import onnx
import pytest

from engines.errors import ModelError, PlanError
from engines.spec import Precision
from engines.tensorrt import lock
from engines.tensorrt.builder import BuiltPlan, build_plan, request_for
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.inventory import LEFT_BEHIND_AFTER_S, left_behind, stored_plans, useless
from engines.tensorrt.plan import MAGIC, PlanRequest, Platform, pack
from engines.tensorrt.versions import BuildProgress
from tests.engines.builders import tiny_spec, tiny_yolox, write_model

HERE = Platform("8.6.0", "NVIDIA H200", "sm_90")
L4 = Platform("8.6.0", "NVIDIA L4", "sm_89")
NEWER = Platform("10.16.1.11", "NVIDIA H200", "sm_90")
PLAN = b"the bytes of a plan" * 100


@pytest.fixture
def request_here(tmp_path: Path) -> PlanRequest:
    spec = tiny_spec(write_model(tmp_path / "tiny.onnx", tiny_yolox()))
    return request_for(spec, HERE, batch_sizes=(1, 4))


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "plans")


def compile_at_once(*_: object) -> bytes:
    return PLAN


def built(request: PlanRequest, cache: PlanCache, **options: object) -> BuiltPlan:
    spec = tiny_spec(cache.folder.parent / "tiny.onnx")
    return build_plan(spec, request, cache, compile_graph=compile_at_once, **options)


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "no bytes": (lambda data: b"", "is not a plan of Sightline, in its 0 bytes"),
    "garbage": (lambda data: bytes(range(256)) * 9, "is not a plan of Sightline"),
    "header cut": (lambda data: data[:200], "ends in its header, after 200 bytes"),
    "plan cut": (lambda data: data[:-1], "holds 1899 bytes of a plan of 1900"),
    "too long": (lambda data: data + b"x", "holds 1901 bytes of a plan of 1900"),
    "bit flipped": (flipped, "does not have the bytes that were written"),
    "header is a list": (lambda data: MAGIC + (2).to_bytes(8, "big") + b"[]", "header that cannot"),
    "header without end": (lambda data: MAGIC + b"\xff" * 8 + b"{}", "ends in its header"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plan_is_never_given_out_and_is_built_again_aloud(
    how: str, request_here: PlanRequest, cache: PlanCache, caplog: pytest.LogCaptureFixture
) -> None:
    breaking, complaint = BROKEN[how]
    path = cache.publish(request_here, PLAN)
    path.write_bytes(breaking(path.read_bytes()))
    with pytest.raises(PlanError, match=complaint):
        cache.read(request_here)
    assert not cache.holds(request_here)
    with caplog.at_level(logging.WARNING):
        assert built(request_here, cache).is_new
    assert f"{path} " in caplog.text
    assert "it is built again" in caplog.text
    assert cache.read(request_here) == PLAN


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"platform": L4}, r"built by TensorRT 8\.6\.0 on NVIDIA L4 .* here is .* NVIDIA H200"),
        ({"platform": NEWER}, r"built by TensorRT 10\.16\.1\.11 on NVIDIA H200"),
        ({"onnx_sha256": "0" * 64}, r'onnx_sha256 "0{15}\.\.\. instead of "'),
        ({"precision": Precision.FP16}, 'precision "fp16" instead of "fp32"'),
        ({"batch_sizes": (1, 8)}, r"batch_sizes \[1, 8\] instead of \[1, 4\]"),
        ({"format": 0}, "format 0 instead of 1"),
    ],
    ids=str,
)
def test_a_plan_of_something_else_in_its_place_is_never_loaded(
    change: dict[str, object],
    complaint: str,
    request_here: PlanRequest,
    cache: PlanCache,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache.folder.mkdir()
    cache.path_of(request_here).write_bytes(pack(replace(request_here, **change), b"of another"))
    with pytest.raises(PlanError, match=complaint) as caught:
        cache.read(request_here)
    assert "sightline model build --rebuild" in caught.value.remedy
    with caplog.at_level(logging.WARNING):
        built(request_here, cache)
    assert "it is built again" in caplog.text
    assert cache.read(request_here) == PLAN


def test_what_is_no_file_is_named_when_it_cannot_be_replaced(
    request_here: PlanRequest, cache: PlanCache
) -> None:
    cache.path_of(request_here).mkdir(parents=True)
    with pytest.raises(PlanError, match=r"plan cannot be read \(Is a directory\)"):
        cache.read(request_here)
    with pytest.raises(PlanError, match=r"cannot be written \(Is a directory\)"):
        built(request_here, cache)


def test_a_plan_error_stays_one_on_its_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(PlanError("a.plan is cut", remedy="Delete it.")))
    assert type(error) is PlanError
    assert str(error) == "plan: a.plan is cut. Delete it."
    assert type(pickle.loads(pickle.dumps(ModelError("no")))) is ModelError


def test_a_plan_that_is_there_needs_no_folder_that_can_be_written(
    request_here: PlanRequest, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.publish(request_here, PLAN)

    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("engines.tensorrt.cache.locked", refuse)
    assert not built(request_here, cache).is_new


def test_a_folder_that_cannot_be_locked_is_named_before_anything_is_built(
    request_here: PlanRequest, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("engines.tensorrt.lock.fcntl.flock", refuse)
    with pytest.raises(PlanError, match=rf"kept in {cache.folder} \(No locks available\)") as error:
        built(request_here, cache)
    assert "SIGHTLINE_PLAN_CACHE" in error.value.remedy


def test_a_full_disk_is_found_before_the_build(
    request_here: PlanRequest, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil_usage(free=100)
    monkeypatch.setattr("engines.tensorrt.cache.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(
        PlanError, match=rf"{cache.folder} has 100 bytes free; a plan takes \d{{4}}"
    ):
        build_plan(
            tiny_spec(cache.folder.parent / "tiny.onnx"),
            request_here,
            cache,
            compile_graph=lambda *_: pytest.fail("it was built"),
        )


def shutil_usage(free: int) -> object:
    from collections import namedtuple

    return namedtuple("usage", "total used free")(1000, 1000 - free, free)


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """Let the kernel refuse what is longer, as it does on a disk that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_while_the_plan_is_written_leaves_no_part_of_it(
    request_here: PlanRequest, cache: PlanCache
) -> None:
    with largest_file(1000), pytest.raises(PlanError) as caught:
        built(request_here, cache)
    assert f"{cache.path_of(request_here)} of 1900 bytes cannot be written" in str(caught.value)
    assert "Make room there" in caught.value.remedy
    assert [path.suffix for path in cache.folder.iterdir()] == [".lock"]


def test_timings_that_cannot_be_kept_do_not_cost_the_plan(
    request_here: PlanRequest, cache: PlanCache, caplog: pytest.LogCaptureFixture
) -> None:
    def compile_and_measure(
        graph: onnx.ModelProto, request: PlanRequest, cache: PlanCache, report: object
    ) -> bytes:
        with largest_file(1000):
            cache.merge_timings(request.platform, lambda others: bytes(2000))
        return PLAN

    spec = tiny_spec(cache.folder.parent / "tiny.onnx")
    build_plan(spec, request_here, cache, compile_graph=compile_and_measure)
    assert cache.read(request_here) == PLAN
    assert "the timings of this build are not kept" in caplog.text
    assert cache.read_timings(HERE) == b""


def test_timings_of_two_builds_at_once_are_both_kept(cache: PlanCache) -> None:
    cache.folder.mkdir()
    context = multiprocessing.get_context("spawn")
    marks = [context.Process(target=measure, args=(cache.folder, mark)) for mark in (b"a", b"b")]
    for process in marks:
        process.start()
    for process in marks:
        process.join(60)
    assert sorted(cache.read_timings(HERE)) == sorted(b"ab" * 20)


def measure(folder: Path, mark: bytes) -> None:
    for _ in range(20):
        PlanCache(folder).merge_timings(HERE, lambda others: others + mark)


def build_for_ever(folder: Path, request: PlanRequest, begun: Event) -> None:
    def compile_graph(*_: object) -> bytes:
        cache = PlanCache(folder)
        (folder / f".{cache.path_of(request).name}-half").write_bytes(b"half of a plan")
        begun.set()
        time.sleep(600)
        return PLAN

    spec = tiny_spec(folder.parent / "tiny.onnx")
    build_plan(spec, request, PlanCache(folder), compile_graph=compile_graph)


def test_who_waits_is_told_for_whom_and_builds_when_that_one_is_killed(
    request_here: PlanRequest, cache: PlanCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "POLL_S", 0.01)
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    builder = context.Process(target=build_for_ever, args=(cache.folder, request_here, begun))
    builder.start()
    assert begun.wait(60)
    told: list[BuildProgress] = []

    def report(progress: BuildProgress) -> None:
        told.append(progress)
        if builder.pid is not None and len(told) == 3:
            os.kill(builder.pid, signal.SIGKILL)

    assert built(request_here, cache, report=report).is_new
    builder.join(60)
    assert told[0].waits_for.startswith(f"process {builder.pid} on ")
    assert cache.read(request_here) == PLAN
    assert not list(cache.folder.glob(".*-half")), "what the killed one left is removed"


def test_the_plans_of_a_folder_are_told_with_what_keeps_them_from_fitting(
    request_here: PlanRequest, cache: PlanCache
) -> None:
    fitting = cache.publish(request_here, PLAN)
    other_gpu = cache.publish(replace(request_here, platform=L4), PLAN)
    other_trt = cache.publish(replace(request_here, platform=NEWER), PLAN)
    older = cache.publish(replace(request_here, format=0), PLAN)
    damaged = cache.folder / "cut.plan"
    damaged.write_bytes(fitting.read_bytes()[:-1])
    (cache.folder / "timings-x.bin").write_bytes(b"no plan")
    found = {plan.path: plan for plan in stored_plans(cache.folder)}
    misfits = {path: plan.misfit(HERE) for path, plan in found.items()}
    assert misfits.pop(damaged).startswith(f"damaged: {damaged} holds 1899 bytes")
    assert misfits == {
        fitting: "",
        other_gpu: "another GPU",
        other_trt: "another TensorRT",
        older: "of format 0, not 1",
    }
    header = found[fitting].header
    assert header is not None
    assert (header.platform, header.num_bytes) == (HERE, len(PLAN))
    assert header.request["batch_sizes"] == [1, 4]
    plans = list(found.values())
    assert {p.path for p in useless(plans, HERE)} == {other_trt, older, damaged}
    assert {p.path for p in useless(plans, None)} == {older, damaged}


def test_a_folder_that_is_not_there_holds_no_plans(tmp_path: Path) -> None:
    assert stored_plans(tmp_path / "none") == []
    (tmp_path / "file").touch()
    with pytest.raises(PlanError, match=r"file cannot be looked into \(Not a directory\)"):
        stored_plans(tmp_path / "file")


def test_files_of_killed_writers_are_found_once_no_writer_can_be_at_them(
    request_here: PlanRequest, cache: PlanCache
) -> None:
    cache.publish(request_here, PLAN)
    half = cache.folder / ".timings-x.bin-abc"
    half.write_bytes(b"half")
    written_at = half.stat().st_mtime
    assert left_behind(cache.folder, written_at + 1) == []
    assert left_behind(cache.folder, written_at + LEFT_BEHIND_AFTER_S + 1) == [half]
