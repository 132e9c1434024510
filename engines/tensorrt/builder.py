"""Building plans: ONNX in, a plan in the cache out, once for all who ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from engines.errors import ModelError
from engines.families import adapter_for
from engines.families.yolox import MAX_CANDIDATES
from engines.graph.batch_axis import free_batch_axis
from engines.graph.best_candidates import PREFIX, best_candidates, num_candidates
from engines.graph.precision import is_quantized, to_fp16, to_signed_int8
from engines.onnxruntime.session import open_session, signature_of
from engines.spec import ModelSpec, Precision
from engines.tensorrt import versions
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.log import last_words, make_logger
from engines.tensorrt.network import parse
from engines.tensorrt.options import BuildOptions
from engines.tensorrt.plan import PlanRequest, Platform, sha256_of
from engines.tensorrt.versions import BuildProgress, Report

DEFAULT_BATCH_SIZES = (1, 2, 4, 8, 16, 32)

Compile = Callable[[onnx.ModelProto, PlanRequest, bytes, Report], tuple[bytes, bytes]]
"""Graph, request, earlier timings and a report in; plan and timings out."""


def request_for(
    spec: ModelSpec,
    platform: Platform,
    *,
    precision: Precision | None = None,
    batch_sizes: tuple[int, ...] = DEFAULT_BATCH_SIZES,
    options: BuildOptions | None = None,
) -> PlanRequest:
    """What to ask the cache for.

    Args:
        spec: The model.
        platform: Where the plan is to run.
        precision: Of the plan; that of the spec if None.
        batch_sizes: A profile for each.
        options: How to build; the defaults if None. The environment is not looked at.

    Raises:
        ModelError: if the ONNX file cannot be read.
    """
    return PlanRequest(
        model=spec.name,
        onnx_sha256=sha256_of(spec.path),
        platform=platform,
        precision=precision or spec.precision,
        batch_sizes=tuple(sorted(set(batch_sizes))),
        input_shape=(3, spec.input.height, spec.input.width),
        num_classes=len(spec.labels),
        max_candidates=num_candidates(spec),
        options=options or BuildOptions(),
    )


def build_plan(
    spec: ModelSpec,
    request: PlanRequest,
    cache: PlanCache,
    *,
    report: Report | None = None,
    rebuild: bool = False,
    compile_graph: Compile | None = None,
) -> Path:
    """Build a plan, unless it is there or another process is building it; then wait for that one.

    Args:
        spec: The model.
        request: Of ``request_for``, for this platform.
        cache: Where plans are kept.
        report: Told how far the build is.
        rebuild: Build even if there is a plan; the way out when that one is damaged.
        compile_graph: What builds; TensorRT if None.

    Returns:
        The file in the cache.

    Raises:
        ModelError: if the model cannot be built, or a plan that is there is damaged.
    """
    with cache.lock(request):
        if not rebuild and cache.read(request) is not None:
            return cache.path_of(request)
        graph = graph_for(spec, request.precision)
        timings = cache.read_timings(request.platform)
        compiled = (compile_graph or _compile)(graph, request, timings, report or _quiet)
        cache.write_timings(request.platform, compiled[1])
        return cache.publish(request, compiled[0])


def graph_for(spec: ModelSpec, precision: Precision) -> onnx.ModelProto:
    """The graph that TensorRT is given: checked, batch axis free, in its precision, cut.

    Raises:
        ModelError: if the model does not fit its spec, or cannot have that precision.
    """
    model = onnx.load(spec.path)
    _check(spec, model)
    if is_quantized(model) != (precision is Precision.INT8):
        raise ModelError(
            f"{spec.path} {'has' if is_quantized(model) else 'has no'} Q/DQ nodes, it cannot "
            f"become {precision.value}",
            field="precision",
            remedy="INT8 comes from `sightline model quantize`, FP16 and FP32 from the FP32 file.",
        )
    if model.graph.input[0].type.tensor_type.shape.dim[0].HasField("dim_value"):
        model = free_batch_axis(model)
    match precision:
        case Precision.FP16:
            model = to_fp16(model, half_input=True)
        case Precision.INT8:
            model = to_signed_int8(model)
    return best_candidates(model, spec, max_candidates=MAX_CANDIDATES)


def _check(spec: ModelSpec, model: onnx.ModelProto) -> None:
    """Compare file and spec as the CPU backend does, on one grey picture."""
    session = open_session(spec.path)
    family = adapter_for(spec)
    family.check_signature(signature_of(session))
    shape = (1, 3, spec.input.height, spec.input.width)
    grey = np.full(shape, spec.input.pad_value, np.float32)
    family.check_outputs(session.run(None, {model.graph.input[0].name: grey}))


def _compile(
    graph: onnx.ModelProto, request: PlanRequest, timings: bytes, report: Report
) -> tuple[bytes, bytes]:
    import tensorrt as trt

    logger = make_logger(trt)
    builder = trt.Builder(logger)
    network, _parser = parse(trt, builder, graph, logger)
    config = _config(trt, builder, network, request)
    # What another TensorRT measured is refused, and then it measures anew.
    cache = config.create_timing_cache(timings) or config.create_timing_cache(b"")
    config.set_timing_cache(cache, False)
    with versions.progress(trt, config, report):
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ModelError(
            f"TensorRT {trt.__version__} cannot build {request.model} "
            f"({request.precision.value}, batch sizes {list(request.batch_sizes)}): "
            f"{last_words(logger)}",
            field="precision",
            remedy="Free memory on the GPU, allow more tactic sources or more workspace, or build "
            "another precision.",
        )
    return bytes(plan), bytes(config.get_timing_cache().serialize())


def _config(trt: Any, builder: Any, network: Any, request: PlanRequest) -> Any:
    options = request.options
    config = builder.create_builder_config()
    config.builder_optimization_level = options.optimization_level
    if options.workspace_bytes is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_bytes)
    if options.tactic_sources is not None:
        config.set_tactic_sources(versions.tactic_mask(trt, options.tactic_sources))
    if request.precision is Precision.FP32:
        # TF32 keeps 10 bits of a value's 23; who wants that asks for FP16, which is faster still.
        config.clear_flag(trt.BuilderFlag.TF32)
    versions.allow_precision(trt, config, network, request.precision, PREFIX)
    versions.share_profiles(trt, config)
    _add_profiles(builder, config, network.get_input(0).name, request)
    return config


def _add_profiles(builder: Any, config: Any, name: str, request: PlanRequest) -> None:
    """One profile a batch size, of just that size.

    A CUDA graph holds one shape whatever the profile is; with the shape fixed TensorRT chooses its
    kernels for it, and needs neither shape tensors nor the room of the largest batch.
    """
    for size in request.batch_sizes:
        profile = builder.create_optimization_profile()
        shape = (size, *request.input_shape)
        profile.set_shape(name, shape, shape, shape)
        config.add_optimization_profile(profile)


def _quiet(progress: BuildProgress) -> None:
    """Nobody wants to know."""
