"""The comparison as JSON values, for records and for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cluster.bench.qos.checks import Check
from cluster.bench.qos.compare import WARM_UP_S, CellFigures
from cluster.bench.qos.figures import RunFigures


def document(
    found: Sequence[CellFigures], checks: Sequence[Check], seconds: float
) -> dict[str, Any]:
    """All figures and claims; nothing in it depends on the machine or the day."""
    return {
        "seconds": seconds,
        "warm_up_s": WARM_UP_S,
        "holds": all(check.holds for check in checks),
        "checks": [asdict(check) for check in checks],
        "workloads": [_workload(each) for each in found],
    }


def _workload(each: CellFigures) -> dict[str, Any]:
    cell = each.cell
    return {
        "load": cell.load.name,
        "meaning": cell.load.meaning,
        "trace": cell.name,
        "engine": cell.engine.name,
        "capacity_fps": round(cell.engine.capacity_fps, 2),
        "num_streams": each.num_streams,
        "policies": {name: _run(run) for name, run in each.runs.items()},
    }


def _run(run: RunFigures) -> dict[str, Any]:
    classes = {qos_class.value: asdict(figures) for qos_class, figures in run.classes.items()}
    return {**asdict(run), "classes": classes}
