"""``sightline bench``: measurements, as tables for people and JSON for records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.pretty import pprint
from rich.progress import Progress

from cluster.cli.bench_attributes import attributes
from cluster.cli.bench_cluster import cluster, failover
from cluster.cli.bench_events import events
from cluster.cli.bench_gpu import gpu
from cluster.cli.bench_proofs import agreement, recovery, simulator
from cluster.cli.bench_tracking import tracking
from cluster.cli.output import console

app = typer.Typer(help="Measure this machine.", no_args_is_help=True)

JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Write the figures to this file too.")
]


@app.command()
def e2e(
    cameras: Annotated[int, typer.Option(min=1, max=256, help="RTSP cameras, 640x360.")] = 16,
    fps: Annotated[int, typer.Option(min=1, max=60, help="Of each camera.")] = 25,
    max_fps: Annotated[float, typer.Option(min=0.1, help="Inferences a second and camera.")] = 5.0,
    seconds: Annotated[float, typer.Option(min=2, help="Length of the real-time part.")] = 30.0,
    overload: Annotated[
        bool,
        typer.Option(
            "--overload",
            help="Ask 1.4 times of what the engine can do, then add ten cameras: a plain queue "
            "first, then ours.",
        ),
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """The whole path: real cameras and inference, latency, and throughput against a plain loop."""
    from cluster.bench.e2e import measure_e2e
    from cluster.bench.overload import measure_overload

    measure = measure_overload if overload else measure_e2e
    with console.status("starting") as status:
        figures = measure(
            num_cameras=cameras, fps=fps, max_fps=max_fps, seconds=seconds, report=status.update
        )
    _show(figures, json_file)


@app.command()
def scheduler(json_file: JsonFile = None) -> None:
    """What a decision of the batch scheduler costs, by the number of streams."""
    from cluster.bench.scheduler import measure_scheduler

    _show(measure_scheduler(), json_file)


@app.command()
def qos(
    seconds: Annotated[
        float, typer.Option(min=6, max=3600, help="Simulated, of each workload.")
    ] = 30.0,
    json_file: JsonFile = None,
    png: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Draw the comparison into this file.")
    ] = None,
) -> None:
    """Batching policies side by side on a virtual clock: deadlines, fairness, work done."""
    from cluster.bench.qos.checks import check_claims
    from cluster.bench.qos.compare import compare
    from cluster.bench.qos.document import document
    from cluster.bench.qos.plot import check_can_draw, draw
    from cluster.bench.qos.table import show

    if png is not None:
        check_can_draw()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("simulating", total=None)
        found = compare(seconds, lambda done, num: progress.update(task, completed=done, total=num))
    checks = check_claims(found)
    show(console, found, checks)
    if json_file is not None:
        _write(document(found, checks, seconds), json_file)
    if png is not None:
        draw(found, png)


app.command()(gpu)
app.command()(agreement)
app.command()(attributes)
app.command()(cluster)
app.command()(events)
app.command()(failover)
app.command()(recovery)
app.command()(tracking)
app.command()(simulator)


@app.command()
def rtsp(
    clients: Annotated[int, typer.Option(min=1, max=256, help="Clients, a camera each.")] = 16,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = 10.0,
    json_file: JsonFile = None,
) -> None:
    """What the camera server costs a camera."""
    from cluster.demo.rtsp.bench import measure_rtsp

    _show(measure_rtsp(clients, seconds), json_file)


def _show(figures: dict[str, Any], json_file: Path | None) -> None:
    pprint(figures, console=console, expand_all=True)
    if json_file is not None:
        _write(figures, json_file)


def _write(figures: dict[str, Any], json_file: Path) -> None:
    json_file.write_text(json.dumps(figures, indent=2) + "\n")
