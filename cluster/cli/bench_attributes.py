"""``sightline bench attributes``: secondary models on real films and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    """Colours and types of the cars of a street, by vote, and plates read to the last symbol."""
    from cluster.bench.attributes.run import measure_attributes

    found = measure_attributes(data, out, console.print)
    show_rows(found["vehicles"], "track", ("last_index", "num_looks", "color", "type"))
    conclude(found, json_file)
