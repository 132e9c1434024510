"""Runs the parts that are asked for, one after the other; each survives the failure of another."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cluster.bench.gpu.document import add, begun, summary
from cluster.bench.gpu.isolation import Report, run_isolated
from cluster.bench.gpu.path import PathPlan, measure_path
from cluster.bench.gpu.traffic import traffic_of
from cluster.config import PipelineSpec
from cluster.errors import UnavailableError
from cluster.gpu_host import driver_version, is_mps_running
from cluster.models import resolve_model
from cluster.mps import mps_running
from engines.factory import batch_sizes_up_to
from engines.spec import Precision

_NUM_FILMS = 4

Figures = dict[str, Any]
Job = Callable[[Report], Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GpuPlan:
    """What to measure.

    Attributes:
        parts: ``decode``, ``engine``, ``path``, ``ingest``, or some of them.
        mps: Without NVIDIA's Multi-Process Service, with it, or both, in this order.
        codec: Of the films, FFmpeg's encoder.
        bit_rate: Of the films, bits a second.
        num_processes: Numbers of processes that decode, alone.
        num_decoders: Decoders, alone.
        precisions: Of the engine, alone.
        seconds: For each figure of decoder and engine.
        path: The whole path; its pipeline's model is that of the engine alone, too.
        num_ingests: Numbers of ingest processes that are compared.
        ingest_cameras: With so many cameras.
    """

    parts: Sequence[str]
    mps: Sequence[bool]
    codec: str
    bit_rate: int
    num_processes: Sequence[int]
    num_decoders: int
    precisions: Sequence[Precision]
    seconds: float
    path: PathPlan
    num_ingests: Sequence[int]
    ingest_cameras: int

    @property
    def setting(self) -> Figures:
        """What all figures have in common."""
        pipeline = {k: v for k, v in self.path.pipeline.items() if v is not None}
        model = Path(str(pipeline["model"])).name
        return {**pipeline, "model": model, "codec": self.codec, "bit_rate": self.bit_rate}


def measure_gpu(
    plan: GpuPlan,
    known: Mapping[str, Any],
    *,
    report: Report,
    keep: Callable[[Figures], None],
) -> Figures:
    """Measure the parts of a plan. One that fails is written down, and the next begins.

    Args:
        plan: What to measure.
        known: What an earlier run gave; its other parts are kept and summed up with these.
        report: Told what is being measured.
        keep: Given all figures after each part.

    Returns:
        ``setting``, ``host``, the parts, ``mps`` with parts measured under it, ``errors`` by part,
        and ``summary``.

    Raises:
        ConflictError: if the earlier figures are of another model or film.
    """
    figures = begun(known, plan.setting)
    for with_mps in plan.mps:
        try:
            with mps_running() if with_mps else contextlib.nullcontext():
                for place, job in _jobs(plan, with_mps):
                    _measure(figures, place, job, report)
                    figures["summary"] = summary(figures)
                    keep(figures)
        except UnavailableError as error:
            _note(figures, ("mps",), error, report)
            keep(figures)
    return figures


def batch_sizes_of(pipeline: PipelineSpec) -> tuple[int, ...]:
    """Those that a slot's engine is built for, so that both use the same plan."""
    return pipeline.batch_sizes or batch_sizes_up_to(pipeline.max_batch_size)


def _jobs(plan: GpuPlan, with_mps: bool) -> Iterator[tuple[tuple[str, ...], Job]]:
    """Where figures go, and who finds them. The engine alone is one process: MPS is nothing to it.

    The quick and certain parts come first.
    """
    under = ("mps",) if with_mps else ()
    yield (*under, "host"), _host
    yield ("films",), partial(_films, plan)
    if "decode" in plan.parts:
        yield (*under, "decode"), partial(_decode, plan)
    if "engine" in plan.parts and not with_mps:
        for precision in plan.precisions:
            yield ("engine", precision.value), partial(_engine, plan, precision)
    if "path" in plan.parts:
        yield (*under, "path"), partial(_path, plan)
    if "ingest" in plan.parts:
        for num in plan.num_ingests:
            yield (*under, "ingest", str(num)), partial(_ingest, plan, num)


def _measure(figures: Figures, place: tuple[str, ...], job: Job, report: Report) -> None:
    try:
        add(figures, place, job(report))
    except Exception as error:  # whatever it is, the other parts can still be measured
        log.exception("%s failed", ".".join(place))
        _note(figures, place, error, report)
    else:
        figures.get("errors", {}).pop(".".join(place), None)


def _note(figures: Figures, place: tuple[str, ...], error: Exception, report: Report) -> None:
    name, text = ".".join(place), f"{type(error).__name__}: {error}"
    figures.setdefault("errors", {})[name] = text
    report(f"{name} failed: {text}")


def _host(report: Report) -> Figures:
    found: Figures = run_isolated(_platform, report=report)
    return {**found, "driver": driver_version(), "mps": is_mps_running()}


def _platform(*, report: Report) -> Figures:
    from engines.tensorrt.runtime import platform_of

    platform = platform_of()
    report(f"{platform.gpu}, TensorRT {platform.tensorrt}")
    return {"gpu": platform.gpu, "arch": platform.arch, "tensorrt": platform.tensorrt}


def _films(plan: GpuPlan, report: Report) -> list[Figures]:
    return [traffic_of(film) for film in _drawn(plan, report)]


def _drawn(plan: GpuPlan, report: Report) -> list[Path]:
    from cluster.bench.gpu.films import large_films

    report("drawing the films")
    return large_films(_NUM_FILMS, plan.codec, plan.bit_rate)


def _decode(plan: GpuPlan, report: Report) -> Any:
    film = _drawn(plan, report)[0]
    report("decoding alone")
    return run_isolated(_decode_alone, plan, film, report=report)


def _decode_alone(plan: GpuPlan, film: Path, *, report: Report) -> Any:
    from cluster.bench.gpu.decode import measure_decode

    return measure_decode(
        film,
        num_processes=plan.num_processes,
        num_decoders=plan.num_decoders,
        seconds=plan.seconds,
        report=report,
    )


def _engine(plan: GpuPlan, precision: Precision, report: Report) -> Any:
    report(f"engine alone, {precision.value}")
    return run_isolated(_engine_alone, plan, precision, report=report)


def _engine_alone(plan: GpuPlan, precision: Precision, *, report: Report) -> Any:
    from cluster.bench.gpu.engine import measure_engine

    pipeline = PipelineSpec.model_validate(plan.path.pipeline)
    return measure_engine(
        resolve_model(pipeline, "cuda"),
        precision,
        batch_sizes=batch_sizes_of(pipeline),
        seconds=plan.seconds,
        report=report,
    )


def _path(plan: GpuPlan, report: Report) -> Any:
    return measure_path(_drawn(plan, report), plan.path, report)


def _ingest(plan: GpuPlan, num: int, report: Report) -> Any:
    """One number of cameras with so many ingest processes."""
    report(f"{num} ingest processes")
    slots = {**plan.path.slots, "num_ingest": num}
    path = replace(plan.path, first=plan.ingest_cameras, step=None, slots=slots)
    found = measure_path(_drawn(plan, report), path, report)
    if not found["steps"]:
        raise UnavailableError(f"{plan.ingest_cameras} cameras did not start")
    return found["steps"][0]
