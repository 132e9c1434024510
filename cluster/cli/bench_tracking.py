"""``sightline bench tracking``: trackers on the sequences of MOT Challenge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cluster.cli.bench_proofs import JsonFile, conclude
from cluster.cli.output import console

_REFERENCE = Path("reference") / "vtest_yolox_nano_conf0.10_person.txt"


def tracking(
    data: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder with MOT15, MOT17.")
    ],
    end_to_end: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Boxes of a detector on PETS09-S2L1, in the same format; "
            f"../{_REFERENCE} beside the data, if it is there.",
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """HOTA, MOTA, IDF1, switches and cost of our trackers, beside others that are installed."""
    from cluster.bench.tracking.run import TrackingPlan, measure_tracking

    beside = data.parent / _REFERENCE
    if end_to_end is None and beside.exists():
        end_to_end = beside
    found = measure_tracking(TrackingPlan(data, end_to_end), console.print)
    console.print(_scores(found["rows"]))
    console.print(_costs(found["cost_us"]))
    conclude(found, json_file)


def _scores(rows: list[dict[str, Any]]) -> Table:
    columns = ("set", "drop", "sequence", "tracker", "HOTA", "MOTA", "IDF1", "IDSW")
    table = Table(*columns, box=SIMPLE_HEAD, title="HOTA, MOTA, IDF1 in percent")
    for row in rows:
        percents = [f"{row[figure]:.1f}" for figure in ("hota", "mota", "idf1")]
        where = [row["set"], str(row["drop"] or "-"), row["sequence"], row["tracker"]]
        table.add_row(*where, *percents, str(row["num_switches"]))
    return table


def _costs(cost_us: dict[str, float]) -> Table:
    table = Table("tracker", "us a frame", "of bytetrack", box=SIMPLE_HEAD, title="20 objects")
    for name, each_us in cost_us.items():
        table.add_row(name, f"{each_us:.0f}", f"{each_us / cost_us['bytetrack']:.2f}")
    return table
