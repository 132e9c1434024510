"""``sightline events``: watch events as they happen, and say what they look like."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Annotated, Any

import typer

from actors.analytics.event_schema import event_schema
from cluster.cli.output import ApiOption, JsonFlag, console, print_json
from cluster.client import ApiClient
from cluster.wording import describe_event

app = typer.Typer(help="Watch events, and see what they look like.", no_args_is_help=True)


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


@app.command()
def schema() -> None:
    """Print the JSON Schema of events, for programs that read them."""
    print_json(event_schema())


def _print_line(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _print_event(event: dict[str, Any]) -> None:
    when = datetime.fromtimestamp(float(event["ts"]) / 1e3).strftime("%H:%M:%S.%f")[:-3]
    console.print(
        f"[dim]{when}[/] [cyan]{event['stream']}[/] {describe_event(event)}", highlight=False
    )
