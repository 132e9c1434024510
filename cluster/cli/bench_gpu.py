"""``sightline bench gpu``: its options, and where its figures go."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli.output import console
from engines.spec import Precision

if TYPE_CHECKING:
    from cluster.bench.gpu.path import PathPlan
    from cluster.bench.gpu.run import GpuPlan


class Part(str, Enum):
    """What can be measured alone."""

    DECODE = "decode"
    ENGINE = "engine"
    PATH = "path"
    INGEST = "ingest"


class Codec(str, Enum):
    """What the cameras send."""

    H264 = "h264"
    H265 = "h265"


class Mps(str, Enum):
    """Whether NVIDIA's Multi-Process Service shares the GPU among our processes."""

    OFF = "off"
    ON = "on"
    BOTH = "both"


_ENCODERS = {Codec.H264: "libx264", Codec.H265: "libx265"}
_MPS = {Mps.OFF: (False,), Mps.ON: (True,), Mps.BOTH: (False, True)}
_FIRST, _STEP = 32, 16
_NUM_PROCESSES = (1, 2, 4, 8)

Parts = Annotated[
    list[Part] | None,
    typer.Option(
        "--part",
        help="Measure this alone; repeat for several. ingest compares numbers of ingest processes.",
    ),
]
MpsOption = Annotated[
    Mps, typer.Option("--mps", help="Start MPS for decoder, path and ingest, and end it after.")
]
Model = Annotated[str, typer.Option(help="As a pipeline names it: builtin, an ONNX file, a YAML.")]
InputSize = Annotated[
    int | None,
    typer.Option("--input-px", min=32, max=4096, help="Width and height for an ONNX file."),
]
BatchSize = Annotated[int, typer.Option(min=1, max=256, help="Largest of the engine.")]
BatchSizes = Annotated[
    str | None,
    typer.Option(help="All of the engine, as 1,8,32, in place of the powers of two."),
]
Precisions = Annotated[
    list[Precision] | None,
    typer.Option("--precision", help="Of the engine alone; repeat. The first is the path's too."),
]
CodecOption = Annotated[Codec, typer.Option(help="Of the cameras.")]
BitRate = Annotated[int, typer.Option(min=100_000, help="Of a camera, bits a second.")]
Processes = Annotated[
    list[int] | None,
    typer.Option(min=1, help="That decode alone; repeat. 1, 2, 4 and 8 without it."),
]
Decoders = Annotated[int, typer.Option(min=1, help="That decode alone, in all processes.")]
Cameras = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        help="1080p30, at the start; without --step this number alone. "
        f"Without either {_FIRST}, and {_STEP} more each time.",
    ),
]
Step = Annotated[int | None, typer.Option(min=1, help="Cameras that are added each time.")]
MaxCameras = Annotated[int, typer.Option(min=1, max=1024, help="Where to end.")]
MaxP95 = Annotated[float, typer.Option(min=1, help="The path has failed beyond.")]
Seconds = Annotated[float, typer.Option(min=2, help="For each number of cameras.")]
ShortSeconds = Annotated[float, typer.Option(min=0.1, help="For each figure of a part alone.")]
Actors = Annotated[int | None, typer.Option(min=1, max=64, help="Of the slot, of the whole path.")]
Ingests = Annotated[
    list[int] | None,
    typer.Option(
        "--ingest", min=1, max=64, help="Processes to compare; repeat. 1, 2, 4 and 8 without it."
    ),
]
IngestCameras = Annotated[int, typer.Option(min=1, max=1024, help="With which they are compared.")]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", help="Write the figures here; parts that it has already are kept."),
]
PngFile = Annotated[Path | None, typer.Option("--png", dir_okay=False, help="Draw them here.")]


def _show_and_end(path: Path | None) -> None:
    if path is not None:
        _show(json.loads(path.read_text()), path.with_suffix(".png"))
        raise typer.Exit()


PlotFile = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        exists=True,
        dir_okay=False,
        is_eager=True,
        callback=_show_and_end,
        help="Measure nothing: show the figures of a JSON file, and draw them beside it.",
    ),
]


def gpu(
    part: Parts = None,
    mps: MpsOption = Mps.OFF,
    model: Model = "builtin",
    input_px: InputSize = None,
    max_batch_size: BatchSize = 32,
    batch_sizes: BatchSizes = None,
    precision: Precisions = None,
    codec: CodecOption = Codec.H264,
    bit_rate: BitRate = 4_000_000,
    processes: Processes = None,
    decoders: Decoders = 64,
    cameras: Cameras = None,
    step: Step = None,
    max_cameras: MaxCameras = 192,
    max_p95_ms: MaxP95 = 150.0,
    seconds: Seconds = 20.0,
    short_seconds: ShortSeconds = 3.0,
    num_ingest: Actors = None,
    num_analytics: Actors = None,
    ingest: Ingests = None,
    ingest_cameras: IngestCameras = 96,
    json_file: JsonFile = None,
    png: PngFile = None,
    plot: PlotFile = None,
) -> None:
    """One GPU: decoder alone, engine alone, and the whole path with more and more cameras."""
    from cluster.bench.gpu.run import GpuPlan

    precisions = precision or [Precision.FP16, Precision.FP32]
    runs = _pipeline(model, input_px, max_batch_size, batch_sizes, precisions[0])
    slots = {"num_ingest": num_ingest, "num_analytics": num_analytics}
    plan = GpuPlan(
        parts=[each.value for each in Part if not part or each in part],
        mps=_MPS[mps],
        codec=_ENCODERS[codec],
        bit_rate=bit_rate,
        num_processes=processes or _NUM_PROCESSES,
        num_decoders=decoders,
        precisions=precisions,
        seconds=short_seconds,
        path=_path((cameras, step, max_cameras), (seconds, max_p95_ms), slots, runs),
        num_ingests=ingest or _NUM_PROCESSES,
        ingest_cameras=ingest_cameras,
    )
    _run(plan, json_file, png)


def _pipeline(
    model: str, input_px: int | None, largest: int, sizes: str | None, precision: Precision
) -> dict[str, Any]:
    from cluster.bench.gpu.model import model_of_size
    from cluster.demo.clips import cache_dir

    return {
        "model": model_of_size(model, input_px, cache_dir()),
        **_batches(largest, sizes),
        "precision": precision.value,
    }


def _path(
    rise: tuple[int | None, int | None, int],
    limits: tuple[float, float],
    slots: dict[str, Any],
    runs: dict[str, Any],
) -> PathPlan:
    """``rise`` is the first number of cameras, the step and the last number."""
    from cluster.bench.gpu.path import PathPlan

    cameras, step, max_cameras = rise
    by_default = _STEP if cameras is None else None
    return PathPlan(cameras or _FIRST, step or by_default, max_cameras, *limits, slots, runs)


def _batches(largest: int, sizes: str | None) -> dict[str, Any]:
    """As fields of a pipeline."""
    if sizes is None:
        return {"max_batch_size": largest}
    try:
        return {"batch_sizes": sorted({int(size) for size in sizes.split(",")})}
    except ValueError:
        message = f"{sizes!r} is no list of numbers: write 1,8,32"
        raise typer.BadParameter(message, param_hint="--batch-sizes") from None


def _run(plan: GpuPlan, json_file: Path | None, png: Path | None) -> None:
    from cluster.bench.gpu.run import measure_gpu

    known = json.loads(json_file.read_text()) if json_file and json_file.exists() else {}
    figures = measure_gpu(
        plan, known, report=console.print, keep=lambda found: _write(found, json_file)
    )
    _show(figures, png)
    if figures.get("errors"):
        raise typer.Exit(1)


def _write(figures: dict[str, Any], json_file: Path | None) -> None:
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


def _show(figures: dict[str, Any], png: Path | None) -> None:
    from cluster.bench.gpu.plot import draw
    from cluster.bench.gpu.table import show
    from cluster.bench.qos.plot import check_can_draw
    from cluster.errors import UnavailableError

    show(console, figures)
    if png is None:
        return
    try:
        check_can_draw()
    except UnavailableError as error:
        console.print(f"no picture: {error}; `bench gpu --plot` draws the JSON later")
    else:
        draw(figures, png)
