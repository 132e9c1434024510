"""``sightline model``: look at model files before they are used, and build their plans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from cluster.cli import model_build
from cluster.cli.output import JsonFlag, console, print_json
from engines.inspection import check_model, load_spec

app = typer.Typer(
    help="Look at model files before they are used, and build their plans for a GPU.",
    no_args_is_help=True,
)
app.command()(model_build.build)
app.command()(model_build.plans)


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="ONNX file, or a ModelSpec in YAML.")],
    as_json: JsonFlag = False,
) -> None:
    """Show how a model is understood: family, task, input, labels; or why it cannot be used."""
    spec = load_spec(path)
    check_model(spec)
    fields = spec.model_dump(mode="json")
    if as_json:
        print_json(fields)
    else:
        written = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
        console.print(written, markup=False, highlight=False)
