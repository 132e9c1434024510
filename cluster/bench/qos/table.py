"""The comparison as tables for people: one for each load, the claims below them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from actors.specs import CLASS_DEFAULTS, QosClass
from cluster.bench.qos.checks import Check
from cluster.bench.qos.compare import OURS, CellFigures
from cluster.bench.qos.figures import RunFigures
from cluster.bench.qos.scenarios import LOADS, NORMAL_LOAD, Load

_COLUMNS = (
    "on time, %",
    "p99, ms",
    "low /s",
    "below",
    "Jain",
    "unfair",
    "late",
    "fill",
    "busy",
    "in time/s",
)

NOTES = """\
on time: frames whose detections, or those of a newer frame of their camera that came within one
turn of the engine, were there by their deadline; of those that came. p99: arrival to detections, of
inferred frames. low /s: inferred in time a second, the worst stream of class low. below: streams
under their floor. Jain: index over the streams of the most uneven class. unfair: how far the class
furthest from its weighted share is. late: done after the deadline, of what was inferred of the
worst class. fill: of the largest batch. in time/s: frames a second that were of use.
Columns of four: critical, high, normal, low, whose deadlines are {deadlines} ms."""


def show(console: Console, found: Sequence[CellFigures], checks: Sequence[Check]) -> None:
    """Print the tables, what their columns mean, and what became of each claim."""
    for load in LOADS:
        cells = [each for each in found if each.cell.load is load]
        if cells:
            console.print(_table(load, cells))
    deadlines = " / ".join(f"{CLASS_DEFAULTS[c].deadline_ms:g}" for c in QosClass)
    console.print(NOTES.format(deadlines=deadlines), style="dim", highlight=False)
    for check in checks:
        console.print(_verdict(check), highlight=False)


def _table(load: Load, cells: Sequence[CellFigures]) -> Table:
    title = f"{load.name}: {load.meaning}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("trace, policy", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for each in cells:
        table.add_row(f"[italic]{each.cell.name}[/]")
        for policy, run in each.runs.items():
            style = "bold" if policy == OURS else ""
            row = _row(run, is_overload=load is not NORMAL_LOAD)
            table.add_row(f"  {policy}", *row, style=style)
    return table


def _row(run: RunFigures, *, is_overload: bool) -> list[str]:
    classes = run.classes.values()
    return [
        " ".join(_percent(f.on_time) for f in classes),
        " ".join(_ms(f.latency_ms["p99"]) for f in classes),
        f"{run.classes[QosClass.LOW].lowest_fps:.2f}",
        str(sum(f.num_below_floor for f in classes)),
        f"{min(f.jain for f in classes):.3f}",
        f"{run.share_error:.0%}" if is_overload else "",
        f"{max(f.late for f in classes):.0%}",
        f"{run.fill:.2f}",
        f"{run.busy:.3f}",
        f"{run.on_time_fps:.0f}",
    ]


def _percent(share: float) -> str:
    """Rounded down, so that 100 means all."""
    return f"{int(share * 1000) / 10:5.1f}" if share < 1 else "  100"


def _ms(value: float | None) -> str:
    return "   -" if value is None else f"{value:4.0f}"


def _verdict(check: Check) -> str:
    mark = "[green]holds[/]" if check.holds else "[bold red]BROKEN[/]"
    text = f"{mark}  {check.claim}: {check.worst} ({check.where})"
    return "\n".join([text, *(f"        {place}" for place in check.broken)])
