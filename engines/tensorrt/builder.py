"""Building plans: ONNX in, a plan in the cache out, once for all who ask."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from engines.errors import ModelError, PlanError
from engines.families import adapter_for, reader_for
from engines.families.detector import MAX_CANDIDATES
from engines.families.letterbox import grey_input
from engines.graph.batch_axis import free_batch_axis
from engines.graph.best_candidates import (
    CUT_FAMILIES,
    PREFIX,
    best_candidates,
    fix_image_axes,
    num_candidates,
)
from engines.graph.precision import is_quantized, to_fp16, to_signed_int8
from engines.onnxruntime.session import open_session, signature_of
from engines.spec import ModelSpec, Precision, Task
from engines.tensorrt import versions
from engines.tensorrt.cache import PlanCache
from engines.tensorrt.failures import made, not_built
from engines.tensorrt.log import make_logger
from engines.tensorrt.network import parse
from engines.tensorrt.options import BuildOptions
from engines.tensorrt.plan import PlanRequest, Platform, sha256_of
from engines.tensorrt.versions import BuildProgress, Report

DEFAULT_BATCH_SIZES = (1, 2, 4, 8, 16, 32)

Compile = Callable[[onnx.ModelProto, PlanRequest, PlanCache, Report], bytes]
"""Graph, request, where timings are kept and a report in; plan out."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """Where a plan is.

    Attributes:
        path: The file in the cache.
        is_new: Whether it was built just now; False where it was there, or came from another
            process that was waited for.
        elapsed_s: What building, or waiting, took.
    """

    path: Path
    is_new: bool
    elapsed_s: float


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
    is_cut = spec.family in CUT_FAMILIES
    return PlanRequest(
        model=spec.name,
        onnx_sha256=sha256_of(spec.path),
        platform=platform,
        precision=precision or spec.precision,
        batch_sizes=tuple(sorted(set(batch_sizes))),
        input_shape=(3, spec.input.height, spec.input.width),
        num_classes=len(spec.labels) if is_cut else 0,
        max_candidates=num_candidates(spec) if is_cut else 0,
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
) -> BuiltPlan:
    """Build a plan, unless it is there or another process is building it; then wait for that one.

    A plan that is there but damaged, or of something else, is logged and replaced.

    Args:
        spec: The model.
        request: Of ``request_for``, for this platform.
        cache: Where plans are kept.
        report: Told how far the build is.
        rebuild: Build even if there is a plan; the way out when TensorRT refuses that one.
        compile_graph: What builds; TensorRT if None, in the CUDA context that is current.

    Raises:
        ModelError: if the model cannot be built; ``PlanError`` if its plan cannot be kept.
        DeviceMemoryError: if the GPU has too little memory free to build it.
    """
    start = time.monotonic()

    def tell(progress: BuildProgress) -> None:
        if report is not None:
            report(replace(progress, elapsed_s=time.monotonic() - start))

    # Looked at before the lock, too: a cache of plans that were built may be read-only.
    if not rebuild and cache.holds(request):
        return BuiltPlan(cache.path_of(request), False, time.monotonic() - start)

    with cache.lock(request, lambda holder: tell(BuildProgress(0.0, waits_for=holder))):
        is_new = rebuild or not _is_usable(cache, request)
        if is_new:
            cache.check_room(spec.path.stat().st_size)
            tell(BuildProgress(0.0))  # before TensorRT holds Python up, to make a builder
            graph = graph_for(spec, request.precision)
            cache.publish(request, (compile_graph or _compile)(graph, request, cache, tell))
    built = BuiltPlan(cache.path_of(request), is_new, time.monotonic() - start)
    if is_new:
        _log.info("built %s in %.0f s", built.path, built.elapsed_s)
    return built


def graph_for(spec: ModelSpec, precision: Precision) -> onnx.ModelProto:
    """The graph that TensorRT is given: checked, batch axis free, in its precision, cut.

    Detectors of families without a cut, and models that are no detectors, keep their outputs.

    Raises:
        ModelError: if the model does not fit its spec, or cannot have that precision.
    """
    model = onnx.load(spec.path)
    _check(spec)
    if is_quantized(model) != (precision is Precision.INT8):
        raise ModelError(
            f"{spec.path} {'has' if is_quantized(model) else 'has no'} Q/DQ nodes, it cannot "
            f"become {precision.value}",
            field="precision",
            remedy="INT8 comes from `sightline model quantize`, FP16 and FP32 from the FP32 file.",
        )
    if _image_of(model).type.tensor_type.shape.dim[0].HasField("dim_value"):
        model = free_batch_axis(model)
    match precision:
        case Precision.FP16:
            model = to_fp16(model, half_input=True)
        case Precision.INT8:
            model = to_signed_int8(model)
    if spec.family in CUT_FAMILIES:
        return best_candidates(model, spec, max_candidates=MAX_CANDIDATES)
    fix_image_axes(model.graph, spec)
    return model


def _check(spec: ModelSpec) -> None:
    """Compare file and spec as the CPU backend does, on one grey picture."""
    session = open_session(spec.path)
    family = adapter_for(spec) if spec.task is Task.DETECT else reader_for(spec)
    signature = signature_of(session)
    family.check_signature(signature)
    grey = grey_input(spec.input, 1)
    image = signature.inputs[0]
    outputs = session.run(None, {image.name: grey.astype(image.dtype)})
    family.check_outputs([output.astype(np.float32) for output in outputs])


def _image_of(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    """Its one image; older files list their weights as inputs, too."""
    weights = {weight.name for weight in model.graph.initializer}
    images: list[onnx.ValueInfoProto] = [i for i in model.graph.input if i.name not in weights]
    return images[0]


def _is_usable(cache: PlanCache, request: PlanRequest) -> bool:
    """Whether the plan is there by now; one that cannot be used is spoken of."""
    try:
        return cache.read(request) is not None
    except PlanError as error:
        _log.warning("%s; it is built again", error.message)
        return False


def _compile(
    graph: onnx.ModelProto, request: PlanRequest, cache: PlanCache, report: Report
) -> bytes:
    import tensorrt as trt

    logger = make_logger(trt)
    builder = made(trt.Builder, logger)
    network, _parser = parse(trt, builder, graph, logger)
    config = _config(trt, builder, network, request)
    # What another TensorRT measured is refused, and then it measures anew.
    earlier = cache.read_timings(request.platform)
    timings = config.create_timing_cache(earlier) or config.create_timing_cache(b"")
    config.set_timing_cache(timings, False)
    with versions.progress(trt, config, report):
        plan = builder.build_serialized_network(network, config)
    # Also of a build that failed: the next one is the quicker for them.
    cache.merge_timings(
        request.platform,
        lambda others: versions.combined_timings(config, config.get_timing_cache(), others),
    )
    if plan is None:
        raise not_built(trt.__version__, request, logger)
    return bytes(plan)


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
