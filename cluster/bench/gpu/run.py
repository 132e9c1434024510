"""Runs the parts that are asked for, one after the other, and keeps what others gave before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.bench.gpu.document import summary
from cluster.bench.gpu.path import PathPlan, measure_path
from cluster.config import PipelineSpec
from cluster.gpu_host import is_mps_running
from cluster.models import resolve_model
from engines.spec import Precision

Report = Callable[[str], None]

_NUM_FILMS = 4


@dataclass(frozen=True, slots=True)
class GpuPlan:
    """What to measure.

    Attributes:
        parts: ``decode``, ``engine``, ``path``, or some of them.
        codec: Of the films, FFmpeg's encoder.
        bit_rate: Of the films, bits a second.
        num_processes: Numbers of processes that decode, alone.
        num_threads: Decoders, alone.
        precisions: Of the engine, alone.
        seconds: For each figure of decoder and engine.
        path: The whole path; its pipeline's model is that of the engine alone, too.
    """

    parts: Sequence[str]
    codec: str
    bit_rate: int
    num_processes: Sequence[int]
    num_threads: int
    precisions: Sequence[Precision]
    seconds: float
    path: PathPlan


def measure_gpu(
    plan: GpuPlan,
    known: Mapping[str, Any],
    *,
    report: Report,
    keep: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Measure the parts of a plan.

    Args:
        plan: What to measure.
        known: What an earlier run gave; its other parts are kept and summed up with these.
        report: Told what is being measured.
        keep: Given all figures after each part.

    Returns:
        ``host``, the parts, and ``summary``.
    """
    figures = dict(known)
    figures["host"] = _host()
    for part in plan.parts:
        figures[part] = _PARTS[part](plan, report)
        figures["summary"] = summary(figures)
        keep(figures)
    return figures


def batch_sizes_up_to(largest: int) -> tuple[int, ...]:
    """Those that a slot's engine is built for, so that both use the same plan."""
    return tuple(sorted({*(1 << n for n in range(largest.bit_length())), largest}))


def _decode(plan: GpuPlan, report: Report) -> Any:
    from cluster.bench.gpu.decode import measure_decode
    from cluster.bench.gpu.films import large_films

    report("drawing a film")
    film = large_films(1, plan.codec, plan.bit_rate)[0]
    report("decoding alone")
    return measure_decode(
        film,
        num_processes=plan.num_processes,
        num_threads=plan.num_threads,
        seconds=plan.seconds,
    )


def _engine(plan: GpuPlan, report: Report) -> Any:
    from cluster.bench.gpu.engine import measure_engine

    pipeline = PipelineSpec.model_validate(plan.path.pipeline)
    return measure_engine(
        resolve_model(pipeline, "cuda"),
        precisions=plan.precisions,
        batch_sizes=batch_sizes_up_to(pipeline.max_batch_size or 32),
        seconds=plan.seconds,
        report=report,
    )


def _path(plan: GpuPlan, report: Report) -> Any:
    from cluster.bench.gpu.films import large_films

    report("drawing the films")
    films = large_films(_NUM_FILMS, plan.codec, plan.bit_rate)
    return measure_path(films, plan.path, report)


def _host() -> dict[str, Any]:
    from engines.tensorrt.runtime import platform_of

    platform = platform_of()
    return {
        "gpu": platform.gpu,
        "arch": platform.arch,
        "tensorrt": platform.tensorrt,
        "mps": is_mps_running(),
    }


_PARTS: dict[str, Callable[[GpuPlan, Report], Any]] = {
    "decode": _decode,
    "engine": _engine,
    "path": _path,
}
