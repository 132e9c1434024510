"""How the command speaks: tables for people, JSON for programs, errors on stderr."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from cluster.cli.running import local_api

_PLAIN_WIDTH = 132  # of a pipe or a file, which have no width of their own

FROM_STDIN = "- reads it from stdin, so that no list of processes shows its password"

console = Console() if sys.stdout.isatty() else Console(width=_PLAIN_WIDTH)
errors = Console(stderr=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
ApiOption = Annotated[
    str,
    typer.Option(
        "--api",
        envvar="SIGHTLINE_API",
        default_factory=local_api,
        show_default="that of `sightline up`",
        help="Address of the API.",
    ),
]


def read_url(given: str) -> str:
    """A URL as it was given, or read from stdin for ``-``."""
    return sys.stdin.readline().strip() if given == "-" else given


def print_json(value: Any) -> None:
    """Write a value as JSON, for programs."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def fail(message: str, code: int = 1) -> NoReturn:
    """End with an error message."""
    errors.print(f"[bold red]error[/] {escape(message)}", highlight=False)
    raise SystemExit(code)
