"""``sightline bench events``: whether the events are right, in worlds and films of known truth."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import Progress
from rich.table import Table

from cluster.cli.bench_proofs import JsonFile, conclude
from cluster.cli.output import console


def events(
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Worlds, by day and by night.")] = 20,
    fps: Annotated[int, typer.Option(min=2, max=24, help="Pictures a second looked at.")] = 6,
    seconds: Annotated[float, typer.Option(min=6, help="Length of each film.")] = 30.0,
    processes: Annotated[int, typer.Option(min=1, max=256, help="That draw at once.")] = 2,
    recordings: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Keep recordings here, and use those that are there."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder with real films in which people have counted."),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Worlds of known truth through detector, tracker and rules: are the events right?

    Each world is looked at twice: with the boxes of the truth with errors, and with those of the
    detector that ships.
    """
    from cluster.bench.events.run import EventsPlan, measure_events

    plan = EventsPlan(seeds, fps, seconds, processes)
    with TemporaryDirectory() as temporary, Progress(console=console, transient=True) as bars:
        folder = recordings or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = measure_events(plan, folder, _Bars(bars), data)
    _show(found["rows"])
    conclude(found, json_file)


class _Bars:
    """A bar for each thing that is done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def __call__(self, what: str, num_done: int, num: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=num)
        self._progress.update(self._tasks[what], completed=num_done)


_COLUMNS = {
    "num_true": "true",
    "num_reported": "reported",
    "num_right": "right",
    "precision": "precision",
    "recall": "recall",
    "num_repeated": "twice",
    "off_p50_s": "off p50 s",
    "off_p95_s": "p95",
    "off_max_s": "max",
}


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table("boxes", "type", "light", box=SIMPLE_HEAD)
    for name in _COLUMNS.values():
        table.add_column(name, justify="right")
    for row in rows:
        names = row["source"], row["type"], row["light"]
        table.add_row(*names, *(_text(row[column]) for column in _COLUMNS))
    console.print(table)


def _text(value: float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
