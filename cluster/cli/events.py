"""``sightline events``: watch events as they happen."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Annotated, Any

import typer

from cluster.cli.output import ApiOption, JsonFlag, console
from cluster.client import ApiClient
from cluster.wording import describe_event

app = typer.Typer(help="Watch events as they happen.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``tail`` a subcommand although it is the only one."""


@app.command()
def tail(
    stream: Annotated[str | None, typer.Option(help="Only events of this stream.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    count: Annotated[int, typer.Option("-n", help="End after so many; 0 goes on.")] = 0,
    as_json: JsonFlag = False,
    *,
    api: ApiOption,
) -> None:
    """Print events until Ctrl-C; with --json one object a line."""
    wanted = {k: v for k, v in (("stream", stream), ("type", kind)) if v is not None}
    with ApiClient(api) as client:
        for number, event in enumerate(client.events(**wanted), start=1):
            _print_line(event) if as_json else _print_event(event)
            if number == count:
                return


def _print_line(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _print_event(event: dict[str, Any]) -> None:
    when = datetime.fromtimestamp(float(event["ts"]) / 1e3).strftime("%H:%M:%S.%f")[:-3]
    console.print(
        f"[dim]{when}[/] [cyan]{event['stream']}[/] {describe_event(event)}", highlight=False
    )
