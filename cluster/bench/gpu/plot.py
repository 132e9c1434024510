"""The figures as a picture: latency by number of cameras, engine by batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(figures: Mapping[str, Any], path: Path) -> None:
    """Write a PNG of the parts that were measured; matplotlib must be there."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.4), layout="constrained")
    latency, engine = figure.subplots(1, 2)
    _latency(latency, figures.get("path", {}).get("steps", ()))
    _engine(engine, figures.get("engine", {}).get("table", ()))
    figure.savefig(path, dpi=110)


def _latency(axes: Axes, steps: Sequence[Mapping[str, Any]]) -> None:
    cameras = [step["cameras"] for step in steps]
    for name in ("p50", "p95", "p99"):
        axes.plot(cameras, [step["latency_ms"][name] for step in steps], marker="o", label=name)
    failed = [step for step in steps if not step["holds"]]
    axes.scatter(
        [step["cameras"] for step in failed],
        [step["latency_ms"]["p95"] for step in failed],
        marker="x",
        color="red",
        zorder=3,
    )
    axes.set(xlabel="cameras, 1080p30", ylabel="arrival to detections, ms", ylim=(0, None))
    _end(axes)


def _engine(axes: Axes, table: Sequence[Mapping[str, Any]]) -> None:
    kinds = sorted({(row["precision"], row["use_graphs"]) for row in table})
    for precision, use_graphs in kinds:
        rows = [r for r in table if (r["precision"], r["use_graphs"]) == (precision, use_graphs)]
        how = "graphs" if use_graphs else "no graphs"
        sizes, rates = [r["batch_size"] for r in rows], [r["double_fps"] for r in rows]
        axes.plot(sizes, rates, marker="o", label=f"{precision}, {how}")
    axes.set(xlabel="batch size", ylabel="frames/s, two batches in flight", xscale="log")
    _end(axes)


def _end(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
