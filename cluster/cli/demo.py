"""``sightline demo``: everything at once on this machine, with cameras of our own or yours."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from actors.specs import SCHEMES, StreamSpec
from cluster.cli.output import FROM_STDIN, console, fail, read_url
from cluster.demo.clips import cache_dir, demo_clips, demo_scenarios
from cluster.demo.feeds import Feed, source_feeds, world_feeds
from cluster.demo.session import DemoOptions, run_demo
from cluster.redaction import redacted_url
from engines.inspection import load_spec

_NUM_CAMERAS = 4


def demo(
    cameras: Annotated[
        int | None, typer.Option(min=1, max=64, help="Cameras; 4, or 1 with --source.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help=f"Video file that the cameras play, or the URL of a camera of yours; {FROM_STDIN}."
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="ONNX file, or a ModelSpec in YAML.", dir_okay=False)
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End after so long; else at Ctrl-C.")
    ] = None,
    max_fps: Annotated[float, typer.Option(min=0.1, help="Inferences a second and camera.")] = 10.0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write a report as JSON to this file.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the API; 8000 if free.")
    ] = None,
) -> None:
    """Watch cameras: RTSP in, detector, tracks, rules, events; a live table until Ctrl-C."""
    if model is not None:
        load_spec(model)
    began = time.monotonic()
    feeds = _feeds(None if source is None else read_url(source), cameras)
    options = DemoOptions(seconds, max_fps, model.resolve() if model else None, port)
    report = run_demo(feeds, options, console, time.monotonic() - began)
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=2) + "\n")
    _summarise(report)


def _feeds(source: str | None, cameras: int | None) -> list[Feed]:
    if source is None:
        return world_feeds(_world_clips(cameras or _NUM_CAMERAS))
    if source.partition("://")[0] in SCHEMES and not source.startswith("file://"):
        _check_url(source)
        return source_feeds(source, None, cameras or 1)
    path = Path(source.removeprefix("file://"))
    if not path.is_file():
        fail(
            f"--source {redacted_url(source)}: no such file; give a video file, or a URL such as "
            "rtsp://host/path"
        )
    _check_playable(path)
    return source_feeds(source, path.resolve(), cameras or 1)


def _world_clips(num_cameras: int) -> Any:
    wanted = demo_scenarios(num_cameras)
    with _progress() as progress:
        task = progress.add_task("drawing the cameras' films (once)", total=None)
        return demo_clips(
            wanted, lambda done, total: progress.update(task, completed=done, total=total)
        )


def _check_url(source: str) -> None:
    """Refuse what the API would refuse, before anything is started."""
    try:
        StreamSpec(id="camera", url=source)
    except ValidationError as error:
        fail(f"--source: {error.errors()[0]['msg'].removeprefix('Value error, ')}", 2)


def _check_playable(path: Path) -> None:
    """Refuse what is no film, and transcode once what the camera server cannot send as it is."""
    from cluster.demo.rtsp import playable_clip
    from cluster.demo.rtsp.errors import CameraServerError

    try:
        with _progress() as progress:
            task = progress.add_task("reading the film", total=None)
            playable_clip(
                path, cache_dir(), lambda done: progress.update(task, completed=done, total=1.0)
            )
    except CameraServerError as error:
        fail(f"--source {path}: {error}")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _summarise(report: dict[str, Any]) -> None:
    if not console.is_terminal:
        console.print()  # a live table leaves a pipe on its last line
    first = report["first_event_s"]
    console.print(f"first event after {first} s" if first is not None else "no event")
    balanced = "balanced" if report["ledger_balanced"] else "NOT balanced"
    console.print(f"frame ledger {balanced}")
    truth = report["truth"]
    if truth is not None:
        console.print(
            f"line crossings: {truth['happened']} happened, {truth['found']} found, "
            f"precision {truth['precision']:.3f}, recall {truth['recall']:.3f}"
        )
