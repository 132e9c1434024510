"""The ``sightline`` command itself: its subcommands, and how errors reach the terminal."""

from __future__ import annotations

import sys

import typer

from cluster.cli import bench, demo, doctor, events, models, service, slots, streams, tokens
from cluster.cli.output import fail
from cluster.errors import ClusterError
from engines.errors import EngineError

app = typer.Typer(
    name="sightline",
    help="Watch many cameras: RTSP in, tracked objects and events out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up")(service.up)
app.command("down")(service.down)
app.command("demo")(demo.demo)
app.command("slots")(slots.slots)
app.command("doctor")(doctor.doctor)
app.add_typer(streams.app, name="stream")
app.add_typer(events.app, name="events")
app.add_typer(models.app, name="model")
app.add_typer(tokens.app, name="token")
app.add_typer(bench.app, name="bench")


def main() -> None:
    """Run the command; errors that users can mend are one message, not a traceback."""
    try:
        app()
    except (ClusterError, EngineError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
