"""The figures as a picture: latency and its stages, processor time, and the engine alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.stages import Stage
from cluster.bench.gpu.document import steps_of
from cluster.bench.gpu.table import KINDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Step = Mapping[str, Any]
_Named = Sequence[tuple[str, _Step]]


def draw(figures: Mapping[str, Any], path: Path) -> None:
    """Write a PNG of the parts that were measured; matplotlib must be there."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 8.4), layout="constrained")
    latency, stages, cpu, engine = figure.subplots(2, 2).flat
    steps = [(f"{step['cameras']} {name}".strip(), step) for name, step in steps_of(figures)]
    _latency(latency, figures.get("mps", figures).get("path", {}).get("steps", ()))
    _stages(stages, steps)
    _cpu(cpu, steps)
    tables = [part["table"] for part in figures.get("engine", {}).values()]
    _engine(engine, [row for table in tables for row in table])
    figure.savefig(path, dpi=110)


def _latency(axes: Axes, steps: Sequence[_Step]) -> None:
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


def _stages(axes: Axes, steps: _Named) -> None:
    names = [stage.value for stage in Stage]
    heights = {
        stage: [step["stages_ms"].get(stage, {}).get("p50", 0.0) for _, step in steps]
        for stage in names
    }
    _stack(axes, heights, steps, "p50 of each stage, ms")


def _cpu(axes: Axes, steps: _Named) -> None:
    heights = {
        f"{kind}, {how}": [step["cpu_us"].get(kind, {}).get(how, 0.0) for _, step in steps]
        for kind in KINDS
        for how in ("user", "system")
    }
    _stack(axes, heights, steps, "CPU, us a frame")


def _stack(axes: Axes, heights: Mapping[str, Sequence[float]], steps: _Named, label: str) -> None:
    bottom = [0.0] * len(steps)
    for name, column in heights.items():
        hatch = "//" if name.endswith("system") else ""
        axes.bar(range(len(steps)), column, bottom=bottom, label=name, hatch=hatch)
        bottom = [low + height for low, height in zip(bottom, column, strict=True)]
    axes.set_xticks(range(len(steps)), [name for name, _ in steps], rotation=30, fontsize=7)
    axes.set_ylabel(label)
    _end(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))  # beside the bars, which are full


def _engine(axes: Axes, table: Sequence[_Step]) -> None:
    kinds = sorted({(row["precision"], row["use_graphs"]) for row in table})
    for precision, use_graphs in kinds:
        rows = [r for r in table if (r["precision"], r["use_graphs"]) == (precision, use_graphs)]
        how = "graphs" if use_graphs else "no graphs"
        sizes = [row["batch_size"] for row in rows]
        for lanes, key, style in ((2, "double_fps", "-"), (1, "single_fps", ":")):
            name = f"{precision}, {how}, lanes: {lanes}"
            axes.plot(sizes, [row[key] for row in rows], style, marker="o", label=name)
    axes.set(xlabel="batch size", ylabel="frames/s, engine alone", xscale="log")
    _end(axes)


def _end(axes: Axes, **legend: Any) -> None:
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, **legend)
