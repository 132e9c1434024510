"""The contact sheet: each vehicle's looks in a row, with what was read and what was settled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.bench.attributes.street import COLOR, TYPE, Glance, Vehicle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_GLANCES = 6
_CELL_INCHES = 1.5
_TITLE_CELLS = 1.2  # width of what stands before the looks
_DPI = 90


def draw_sheet(vehicles: Sequence[Vehicle], path: Path) -> None:
    """Write a PNG with a row a vehicle; see ``check_can_draw``."""
    from matplotlib.figure import Figure

    size = (_CELL_INCHES * (_MAX_GLANCES + _TITLE_CELLS), _CELL_INCHES * len(vehicles))
    figure = Figure(figsize=size, layout="constrained")
    ratios = [_TITLE_CELLS] + [1.0] * _MAX_GLANCES
    grid = figure.subplots(
        len(vehicles), 1 + _MAX_GLANCES, squeeze=False, gridspec_kw={"width_ratios": ratios}
    )
    for row, vehicle in zip(grid, vehicles, strict=True):
        for axes in row:
            axes.set_axis_off()
        row[0].text(0.0, 0.5, _title(vehicle), va="center", fontsize=9)
        for axes, glance in zip(row[1:], spread(vehicle.glances), strict=False):
            _show(axes, glance)
    figure.savefig(path, dpi=_DPI)


def spread(glances: Sequence[Glance]) -> list[Glance]:
    """So many as have room, evenly, the first and the last included."""
    if len(glances) <= _MAX_GLANCES:
        return list(glances)
    steps = range(_MAX_GLANCES)
    return [glances[round(n * (len(glances) - 1) / (_MAX_GLANCES - 1))] for n in steps]


def _title(vehicle: Vehicle) -> str:
    if not vehicle.settled:
        return f"track {vehicle.track}\nnot settled"
    told = [vehicle.settled.get(name, "?") for name in (COLOR, TYPE)]
    when = f"settled at {max(vehicle.told_at.values())},\nlast seen at {vehicle.last_index}"
    return f"track {vehicle.track}\n{' '.join(told)}\n{when}"


def _show(axes: Axes, glance: Glance) -> None:
    axes.imshow(glance.rgb)
    read = f"{glance.read[COLOR]} {glance.read[TYPE]}"
    axes.set_title(f"{glance.index}: {read}", fontsize=7)
