"""``sightline bench attributes``: secondary models on real films and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cluster.cli.bench_proofs import JsonFile, conclude, show_rows
from cluster.cli.output import console


def attributes(
    data: Annotated[
        Path,
        typer.Option(exists=True, file_okay=False, help="Folder with models, videos, plates."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Draw what was looked at into this PNG file."),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Cars' colours and types by vote, plates to the last symbol, and identities by looks."""
    from cluster.bench.attributes.run import measure_attributes

    found = measure_attributes(data, out, console.print)
    show_rows(found["vehicles"], "track", ("last_index", "num_looks", "color", "type"))
    if rows := [{name: _rounded(value) for name, value in r.items()} for r in found["identities"]]:
        show_rows(rows, "tracker", ("hota", "mota", "idf1", "num_switches", "num_crops"))
    conclude(found, json_file)


def _rounded(value: Any) -> Any:
    return round(value, 1) if isinstance(value, float) else value
