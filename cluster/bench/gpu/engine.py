"""(b) The engine alone, from pictures in device memory, at each batch size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from engines.spec import ModelSpec, Precision
from engines.tensorrt.measure import Measurement, measure
from engines.tensorrt.versions import BuildProgress

Report = Callable[[str], None]


def measure_engine(
    spec: ModelSpec,
    precision: Precision,
    *,
    batch_sizes: Sequence[int],
    seconds: float,
    report: Report,
) -> dict[str, Any]:
    """Measure a model's plan, which is built first where it is not there.

    Args:
        spec: The model.
        precision: Of the plan.
        batch_sizes: Ascending.
        seconds: For each figure.
        report: Told what is going on.

    Returns:
        ``table``, a row for each batch size and way to launch; ``gains`` of graphs and of the
        second lane; ``best``, frames a second of the fastest row.
    """
    rows: list[Measurement] = []
    for row in measure(
        [(spec, precision)],
        batch_sizes=batch_sizes,
        duration_s=seconds,
        report=lambda progress: report(_progress_text(progress)),
    ):
        rows.append(row)
        report(f"{row.precision.value}, batch {row.batch_size}: {row.double_fps:.0f} frames/s")
    return {"model": spec.name, "best": best_fps(rows), **tables(rows)}


def best_fps(rows: Sequence[Measurement]) -> float:
    """Frames a second with two batches in flight, of the fastest row."""
    return round(max(row.double_fps for row in rows), 1)


def tables(rows: Sequence[Measurement]) -> dict[str, Any]:
    """The rows, and what CUDA graphs and the second lane gain at each precision and batch size."""
    pairs = {(r.precision, r.batch_size, r.use_graphs): r for r in rows}
    gains = [
        {
            "precision": row.precision.value,
            "batch_size": row.batch_size,
            "enqueue_ratio": round(plain.enqueue_us / row.enqueue_us, 2),
            "double_over_single": round(row.double_fps / row.single_fps, 3),
        }
        for row in rows
        if row.use_graphs
        and (plain := pairs.get((row.precision, row.batch_size, False))) is not None
    ]
    return {"table": [_plain(row) for row in rows], "gains": gains}


def _plain(row: Measurement) -> dict[str, Any]:
    values = asdict(row)
    rounded = {k: round(v, 3) for k, v in values.items() if isinstance(v, float)}
    return {**values, **rounded, "precision": row.precision.value}


def _progress_text(progress: BuildProgress) -> str:
    steps = f" {progress.num_done}/{progress.num_steps}" if progress.num_steps else ""
    return f"building the plan, {progress.elapsed_s:.0f} s {progress.phase}{steps}"
