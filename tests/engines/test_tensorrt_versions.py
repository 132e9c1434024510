"""Building on TensorRT 8.6, 10 and 11, each with the names that its release has and no others."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from threading import Semaphore
from types import SimpleNamespace
from typing import Any

import pytest

from engines.errors import DeviceError, DeviceMemoryError, ModelError, PlanError
from engines.graph.best_candidates import PREFIX
from engines.spec import Precision
from engines.tensorrt import versions
from engines.tensorrt.builder import build_plan, request_for
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.failures import made, refused
from engines.tensorrt.log import is_out_of_memory, last_words, make_logger
from engines.tensorrt.options import BuildOptions
from engines.tensorrt.plan import PlanRequest, Platform
from engines.tensorrt.versions import BuildProgress
from tests.engines.builders import tiny_spec, tiny_yolox, write_model
from tests.engines.tensorrt_api import API, PLAN, VERSIONS, StandIn, recorded, stand_in

pytestmark = pytest.mark.skipif(not API.exists(), reason="the recorded API is absent")

EACH = pytest.mark.parametrize("version", VERSIONS)

USED_AT_RUN_TIME = {
    "Runtime": {"deserialize_cuda_engine"},
    "ICudaEngine": {
        "num_io_tensors",
        "get_tensor_name",
        "get_tensor_mode",
        "get_tensor_dtype",
        "get_tensor_shape",
        "create_execution_context",
    },
    "IExecutionContext": {
        "set_optimization_profile_async",
        "set_input_shape",
        "set_tensor_address",
        "get_tensor_shape",
        "execute_async_v3",
    },
    "TensorIOMode": {"INPUT"},
    "DataType": {"FLOAT", "HALF", "INT32", "name"},
    "Logger": {"INTERNAL_ERROR", "ERROR", "WARNING", "INFO"},
}
"""What ``runtime.py`` and ``log.py`` ask for; what building asks for, building here shows."""


def model(tmp_path: Path, version: str, **options: object) -> tuple[PlanRequest, PlanCache]:
    spec = tiny_spec(write_model(tmp_path / "tiny.onnx", tiny_yolox()))
    platform = Platform(version, "NVIDIA H200", "sm_90")
    return request_for(spec, platform, **options), PlanCache(tmp_path / "plans")


def build(
    trt: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    report: versions.Report | None = None,
    **options: object,
) -> bytes:
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    request, cache = model(tmp_path, trt.__version__, **options)
    spec = tiny_spec(tmp_path / "tiny.onnx")
    build_plan(spec, request, cache, report=report)
    return bytes(cache.read(request) or b"")


@EACH
def test_what_runs_a_plan_is_there_in_every_release(version: str) -> None:
    shapes = recorded(version)
    for name, members in USED_AT_RUN_TIME.items():
        assert members <= set(shapes[name]), name


@EACH
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
def test_a_plan_is_built_with_a_profile_for_each_batch_size(
    version: str, precision: Precision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = stand_in(version)
    assert build(trt, tmp_path, monkeypatch, precision=precision, batch_sizes=(4, 1)) == PLAN
    shapes = [arguments[1] for arguments in trt.called("set_shape")]
    assert shapes == [(1, 3, 64, 64), (4, 3, 64, 64)]
    assert all(len(set(arguments[1:])) == 1 for arguments in trt.called("set_shape"))
    assert len(trt.called("add_optimization_profile")) == 2


def test_flags_say_the_precision_where_the_graph_alone_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = {}
    for version in VERSIONS:
        trt = stand_in(version)
        build(trt, tmp_path, monkeypatch, precision=Precision.FP16)
        flags[version] = [flag for (flag,) in trt.called("set_flag")]
        created = trt.called("create_network")[0][0]
        kinds = trt.NetworkDefinitionCreationFlag
        expected = {"8.6.0": "EXPLICIT_BATCH", "10.16.1.11": "STRONGLY_TYPED"}.get(version)
        assert created == (1 << getattr(kinds, expected) if expected else 0)
    old = stand_in("8.6.0").BuilderFlag
    assert flags["8.6.0"] == [old.FP16, old.PREFER_PRECISION_CONSTRAINTS]
    assert flags["10.16.1.11"] == flags["11.4.0.106"] == []


def test_decoding_stays_in_fp32_where_a_flag_could_lower_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = StandIn("8.6.0")
    held: list[tuple[int, object]] = []
    output = SimpleNamespace(dtype=trt.DataType.FLOAT)
    layer = SimpleNamespace(
        name=f"{PREFIX}Exp_3",
        type="unary",
        num_outputs=1,
        precision=None,
        get_output=lambda index: output,
        set_output_type=lambda index, dtype: held.append((index, dtype)),
    )
    trt = stand_in("8.6.0", layers=[layer])
    build(trt, tmp_path, monkeypatch, precision=Precision.FP16)
    assert layer.precision == trt.DataType.FLOAT
    assert held == [(0, trt.DataType.FLOAT)]


@EACH
def test_fp32_means_fp32_and_not_tf32(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for precision, cleared in ((Precision.FP32, 1), (Precision.FP16, 0)):
        trt = stand_in(version)
        build(trt, tmp_path, monkeypatch, precision=precision)
        assert trt.called("clear_flag") == [(trt.BuilderFlag.TF32,)] * cleared


@EACH
def test_options_reach_the_builder(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = stand_in(version)
    sources = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
    options = BuildOptions(optimization_level=0, tactic_sources=sources, workspace_bytes=1 << 30)
    build(trt, tmp_path, monkeypatch, options=options)
    assert trt.settings["IBuilderConfig", "builder_optimization_level"] == 0
    mask = sum(1 << getattr(trt.TacticSource, source) for source in sources)
    assert trt.called("set_tactic_sources") == [(mask,)]
    assert trt.called("set_memory_pool_limit") == [(trt.MemoryPoolType.WORKSPACE, 1 << 30)]


@EACH
def test_without_options_tensorrt_chooses(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = stand_in(version)
    build(trt, tmp_path, monkeypatch)
    assert trt.called("set_tactic_sources") == trt.called("set_memory_pool_limit") == []


def test_a_tactic_source_that_is_gone_is_named_with_those_that_are_there() -> None:
    with pytest.raises(ModelError, match=r"no tactic source CUDNN\. Use some of EDGE_MASK"):
        versions.tactic_mask(stand_in("11.4.0.106"), ("CUDNN",))


@EACH
def test_timings_are_kept_and_used_again(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = stand_in(version)
    build(trt, tmp_path, monkeypatch)
    build(trt, tmp_path, monkeypatch, precision=Precision.FP16, batch_sizes=(2,))
    begun_with = [bytes(timings) for (timings,) in trt.called("create_timing_cache")]
    assert begun_with == [b"", PLAN, PLAN], "the last to be combined with what this build measured"
    (others, ignore_mismatch), *more = trt.called("combine")
    assert isinstance(others, trt.ITimingCache)
    assert ignore_mismatch is False
    assert not more, "the first build had none to combine with"


@EACH
def test_timings_of_a_build_that_fails_are_kept(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = stand_in(version)
    trt.values["Builder", "build_serialized_network"] = None
    with pytest.raises(ModelError):
        build(trt, tmp_path, monkeypatch)
    assert [path.read_bytes() for path in (tmp_path / "plans").glob("timings-*.bin")] == [PLAN]


FULL = "Requested amount of GPU memory (4294967296 bytes) could not be allocated."


def fill_gpu(trt: StandIn) -> None:
    """Let builds end as they do on a full GPU: with a message, and without a plan."""

    class FullBuilder(trt.Builder):  # type: ignore[name-defined,misc]
        def __init__(self, logger: object) -> None:
            self.said_by = logger

        def build_serialized_network(self, *arguments: object) -> None:
            self.said_by.log(trt.Logger.ERROR, FULL)  # type: ignore[attr-defined]

    trt.Builder = FullBuilder


@EACH
def test_a_build_that_finds_no_memory_on_the_gpu_says_so_with_figures(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = stand_in(version)
    fill_gpu(trt)
    driver = SimpleNamespace(mem_get_info=lambda: (1024, 2048), Error=RuntimeError)
    monkeypatch.setitem(sys.modules, "pycuda", SimpleNamespace(driver=driver))
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    with pytest.raises(DeviceMemoryError) as caught:
        build(trt, tmp_path, monkeypatch, batch_sizes=(1, 32))
    assert "cannot build tiny (fp32, batch sizes [1, 32])" in str(caught.value)
    assert FULL in str(caught.value)
    assert "1024 of 2048 bytes free" in str(caught.value)
    assert "fewer or smaller batch sizes" in str(caught.value)
    assert not list((tmp_path / "plans").glob("*.plan"))


@pytest.mark.parametrize(
    ("severity", "message", "is_full"),
    [
        ("ERROR", "Error Code 1: Cuda Runtime (out of memory)", True),
        ("ERROR", "Error Code 2: OutOfMemory (no further information)", True),
        ("ERROR", FULL, True),
        ("ERROR", "CUDA initialization failure with error: 2. Please check", True),
        ("WARNING", "Device memory is insufficient to use tactic.", True),
        ("WARNING", "Skipping tactic 3 due to insufficient memory on requested size of 9", True),
        ("INFO", "out of memory", False),
        ("WARNING", "Detected layernorm nodes in FP16", False),
        ("ERROR", "Error Code 10: Could not find any implementation for node Conv_0", False),
    ],
)
def test_a_full_gpu_is_known_by_its_messages(severity: str, message: str, is_full: bool) -> None:
    trt = stand_in("8.6.0")
    logger = make_logger(trt)
    logger.log(getattr(trt.Logger, severity), message)
    assert is_out_of_memory(logger) is is_full
    assert (message in last_words(logger)) is (severity == "ERROR" or is_full)


@pytest.mark.parametrize(
    ("message", "kind"),
    [("CUDA initialization failure with error: 35", DeviceError), (FULL, DeviceMemoryError)],
)
def test_a_tensorrt_that_cannot_start_says_why(message: str, kind: type[DeviceError]) -> None:
    trt = stand_in("8.6.0")
    logger = make_logger(trt)

    def null(logger: Any) -> None:
        logger.log(trt.Logger.ERROR, message)
        raise TypeError("pybind11::init(): factory function returned nullptr")

    with pytest.raises(DeviceError, match=re.escape(message)) as caught:
        made(null, logger)
    assert type(caught.value) is kind


def test_a_plan_that_is_refused_names_its_file_and_one_without_memory_the_gpu(
    tmp_path: Path,
) -> None:
    trt = stand_in("8.6.0")
    request, _ = model(tmp_path, "8.6.0")
    logger = make_logger(trt)
    logger.log(trt.Logger.ERROR, "Magic tag does not match")
    error = refused(request, logger)
    assert isinstance(error, PlanError)
    assert request.file_name in error.message
    assert "sightline model build --rebuild" in error.remedy
    logger.log(trt.Logger.ERROR, FULL)
    assert isinstance(refused(request, logger), DeviceMemoryError)


@EACH
def test_a_refused_operator_is_named_with_its_node(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = stand_in(version)
    trt.values.update(
        {
            ("OnnxParser", "parse"): False,
            ("OnnxParser", "num_errors"): 1,
            ("ParserError", "node"): 0,
            ("ParserError", "node_name"): "heads/nms",
            ("ParserError", "node_operator"): "NonMaxSuppression",
            ("ParserError", "desc"): "no importer registered",
        }
    )
    trt.values["OnnxParser", "get_error"] = trt.ParserError()
    with pytest.raises(ModelError) as caught:
        build(trt, tmp_path, monkeypatch)
    # 8.6 knows the node's place only, and the first node of this graph is a Conv without a name.
    named = "(unnamed), operator Conv" if version == "8.6.0" else "heads/nms, operator NonMaxSup"
    assert named in caught.value.message
    assert "no importer registered" in caught.value.message
    assert "backend onnxruntime" in caught.value.remedy


@EACH
def test_an_output_whose_size_depends_on_the_picture_is_refused(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = stand_in(version)
    output = SimpleNamespace(name="selected", shape=(-1, -1, 3))
    trt.values["INetworkDefinition", "get_output"] = output
    with pytest.raises(ModelError, match=r"selected has the shape \(-1, -1, 3\)"):
        build(trt, tmp_path, monkeypatch)


@EACH
def test_a_build_that_fails_says_what_was_tried_and_publishes_nothing(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = stand_in(version)
    trt.values["Builder", "build_serialized_network"] = None
    with pytest.raises(ModelError, match=rf"{version} cannot build tiny \(fp32, batch sizes \[1"):
        build(trt, tmp_path, monkeypatch, batch_sizes=(1, 2))
    assert not list((tmp_path / "plans").glob("*.plan"))


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_phases_are_told_where_tensorrt_tells_them(version: str) -> None:
    trt = stand_in(version)
    told: list[BuildProgress] = []
    with versions.progress(trt, trt.IBuilderConfig(), told.append):
        monitor = trt.settings["IBuilderConfig", "progress_monitor"]
        monitor.phase_start("tactics", "", 2)
        assert monitor.step_complete("tactics", 0), "a build is never cancelled"
        monitor.phase_finish("tactics")
    assert [(p.phase, p.num_done, p.num_steps) for p in told[:2]] == [
        ("tactics", 0, 2),
        ("tactics", 1, 2),
    ]


def test_time_is_told_where_tensorrt_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "TICK_S", 0.001)
    trt = stand_in("8.6.0")
    told: list[BuildProgress] = []
    twice = Semaphore(0)

    def report(progress: BuildProgress) -> None:
        told.append(progress)
        twice.release()

    with versions.progress(trt, trt.IBuilderConfig(), report):
        assert all(twice.acquire(timeout=10) for _ in range(2))
    assert 0 < told[0].elapsed_s < told[1].elapsed_s
    assert told[0].phase == ""


@EACH
def test_contexts_lie_in_memory_that_is_given_to_them(version: str) -> None:
    trt = stand_in(version)
    trt.values["ICudaEngine", "device_memory_size"] = 512
    trt.values["ICudaEngine", "device_memory_size_v2"] = 512
    engine = trt.ICudaEngine()
    assert versions.activation_bytes(engine) == 512
    assert versions.create_context(trt, engine, 4096, 512) is not None
    if version == "8.6.0":
        assert trt.settings["IExecutionContext", "device_memory"] == 4096
    else:
        assert trt.called("set_device_memory") == [(4096, 512)]
        assert trt.called("create_execution_context") == [
            (trt.ExecutionContextAllocationStrategy.USER_MANAGED,)
        ]


def test_contexts_may_share_a_profile_in_every_release() -> None:
    for version in VERSIONS:
        trt = stand_in(version)
        versions.share_profiles(trt, trt.IBuilderConfig())
        calls = trt.called("set_preview_feature")
        assert calls == (
            [(trt.PreviewFeature.PROFILE_SHARING_0806, True)] if version == "8.6.0" else []
        )


def test_a_build_is_told_in_a_sentence_with_its_model_and_seconds() -> None:
    assert BuildProgress(37.4).sentence("traffic") == "building the plan of traffic (37 s)"
    waiting = BuildProgress(3.0, waits_for="process 7 on edge-2")
    assert waiting.sentence("traffic") == (
        "waiting for process 7 on edge-2, which builds the plan of traffic (3 s)"
    )
