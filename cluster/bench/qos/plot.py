"""The comparison as a picture: frames on time and p99, by class and policy, for each load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from actors.specs import CLASS_DEFAULTS, QosClass
from cluster.bench.qos.compare import POLICIES, CellFigures
from cluster.bench.qos.engine import SMALL_GPU
from cluster.bench.qos.workload import Trace
from cluster.errors import UnavailableError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = ("#9aa0a6", "#c58af9", "#fbbc04", "#78d9ec", "#1a73e8")
_BAR = 0.16
_CLASSES = tuple(QosClass)


def draw(found: Sequence[CellFigures], path: Path) -> None:
    """Write a PNG of the jittered trace on the small GPU under each load.

    Raises:
        UnavailableError: if matplotlib is not installed; says how to install it.
    """
    check_can_draw()
    from matplotlib.figure import Figure

    cells = [each for each in found if _is_drawn(each)]
    figure = Figure(figsize=(4.6 * len(cells), 7.2), layout="constrained")
    axes = figure.subplots(2, len(cells), squeeze=False)
    for column, each in enumerate(cells):
        load = each.cell.load
        axes[0][column].set_title(f"{load.name}: {load.meaning}", fontsize=8)
        _bars(axes[0][column], each, "on time, % of frames that came")
        _bars(axes[1][column], each, "p99 arrival to detections, ms")
        _mark_deadlines(axes[1][column])
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=8)
    figure.savefig(path, dpi=110)


def check_can_draw(option: str = "--png") -> None:
    """See that matplotlib is there.

    Args:
        option: What asks for a picture.

    Raises:
        UnavailableError: if it is not; says how to install it.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UnavailableError(
            f"{option} needs matplotlib: pip install 'sightline[bench]', or leave {option} out"
        ) from None


def _is_drawn(each: CellFigures) -> bool:
    cell = each.cell
    return cell.trace is Trace.JITTERED and cell.engine is SMALL_GPU and not cell.num_more


def _bars(axes: Axes, each: CellFigures, label: str) -> None:
    for number, (policy, color) in enumerate(zip(POLICIES, _COLORS, strict=True)):
        classes = [each.runs[policy].classes[c] for c in _CLASSES]
        if label.startswith("p99"):
            heights = [figures.latency_ms["p99"] or 0.0 for figures in classes]
        else:
            heights = [figures.on_time * 100 for figures in classes]
        places = [i + (number - 2) * _BAR for i in range(len(_CLASSES))]
        axes.bar(places, heights, _BAR, label=policy, color=color)
    axes.set_xticks(range(len(_CLASSES)), [c.value for c in _CLASSES])
    axes.set_ylabel(label, fontsize=8)


def _mark_deadlines(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.set_ylim(10, 2000)
    for place, qos_class in enumerate(_CLASSES):
        deadline_ms = CLASS_DEFAULTS[qos_class].deadline_ms
        axes.hlines(deadline_ms, place - 0.45, place + 0.45, colors="#d93025", linestyles="dashed")
    axes.set_xlabel("dashed: deadline; no bar: nothing inferred", fontsize=8)
