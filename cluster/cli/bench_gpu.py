"""``sightline bench gpu``: its options, and where its figures go."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.pretty import pprint

from cluster.cli.output import console
from engines.spec import Precision

if TYPE_CHECKING:
    from cluster.bench.gpu.run import GpuPlan


class Part(str, Enum):
    """What can be measured alone."""

    DECODE = "decode"
    ENGINE = "engine"
    PATH = "path"


class Codec(str, Enum):
    """What the cameras send."""

    H264 = "h264"
    H265 = "h265"


_ENCODERS = {Codec.H264: "libx264", Codec.H265: "libx265"}

Parts = Annotated[
    list[Part] | None, typer.Option("--part", help="Measure this alone; repeat for several.")
]
Model = Annotated[str, typer.Option(help="As a pipeline names it.")]
BatchSize = Annotated[int, typer.Option(min=1, max=256, help="Largest of the engine.")]
Precisions = Annotated[
    list[Precision] | None,
    typer.Option("--precision", help="Of the engine alone; repeat. The first is the path's too."),
]
CodecOption = Annotated[Codec, typer.Option(help="Of the cameras.")]
BitRate = Annotated[int, typer.Option(min=100_000, help="Of a camera, bits a second.")]
Processes = Annotated[
    list[int] | None,
    typer.Option(min=1, help="That decode alone; repeat. 1, 2 and 4 without it."),
]
Threads = Annotated[int, typer.Option(min=1, help="Decoders alone, in all processes.")]
Cameras = Annotated[int, typer.Option(min=1, help="1080p30, at the start.")]
Step = Annotated[int, typer.Option(min=1, help="Cameras that are added each time.")]
MaxCameras = Annotated[int, typer.Option(min=1, max=1024, help="Where to end.")]
MaxP95 = Annotated[float, typer.Option(min=1, help="The path has failed beyond.")]
Seconds = Annotated[float, typer.Option(min=2, help="For each number of cameras.")]
ShortSeconds = Annotated[float, typer.Option(min=0.1, help="For each figure of a part alone.")]
Actors = Annotated[int | None, typer.Option(min=1, max=64, help="Of the slot, of the whole path.")]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", help="Write the figures here; parts that it has already are kept."),
]
PngFile = Annotated[Path | None, typer.Option("--png", dir_okay=False, help="Draw them here.")]


def gpu(
    part: Parts = None,
    model: Model = "builtin",
    max_batch_size: BatchSize = 32,
    precision: Precisions = None,
    codec: CodecOption = Codec.H264,
    bit_rate: BitRate = 4_000_000,
    processes: Processes = None,
    threads: Threads = 32,
    cameras: Cameras = 32,
    step: Step = 16,
    max_cameras: MaxCameras = 192,
    max_p95_ms: MaxP95 = 150.0,
    seconds: Seconds = 20.0,
    short_seconds: ShortSeconds = 3.0,
    num_ingest: Actors = None,
    num_analytics: Actors = None,
    json_file: JsonFile = None,
    png: PngFile = None,
) -> None:
    """One GPU: decoder alone, engine alone, and the whole path with more and more cameras."""
    from cluster.bench.gpu.path import PathPlan
    from cluster.bench.gpu.run import GpuPlan

    parts = [each.value for each in Part if not part or each in part]
    precisions = precision or [Precision.FP16, Precision.FP32]
    runs = {"model": model, "max_batch_size": max_batch_size, "precision": precisions[0].value}
    slots = {"num_ingest": num_ingest, "num_analytics": num_analytics}
    path = PathPlan(cameras, step, max_cameras, seconds, max_p95_ms, slots, runs)
    alone = (processes or [1, 2, 4], threads, precisions, short_seconds)
    _run(GpuPlan(parts, _ENCODERS[codec], bit_rate, *alone, path), json_file, png)


def _run(plan: GpuPlan, json_file: Path | None, png: Path | None) -> None:
    from cluster.bench.gpu.run import measure_gpu

    known = json.loads(json_file.read_text()) if json_file and json_file.exists() else {}
    figures = measure_gpu(
        plan, known, report=console.print, keep=lambda found: _write(found, json_file)
    )
    pprint(figures, console=console, expand_all=True)
    if png is not None:
        _draw(figures, png)


def _write(figures: dict[str, Any], json_file: Path | None) -> None:
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


def _draw(figures: dict[str, Any], png: Path) -> None:
    from cluster.bench.gpu.plot import draw
    from cluster.bench.qos.plot import check_can_draw

    check_can_draw()
    draw(figures, png)
