"""``sightline bench recovery`` and ``agreement``: promises, and whether they are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cluster.cli.output import console
from engines.spec import Precision


class Device(str, Enum):
    """What a slot, or an engine, runs on."""

    CUDA = "cuda"
    CPU = "cpu"


class DecoderChoice(str, Enum):
    """What decodes."""

    NVDEC = "nvdec"
    CPU = "cpu"


DeviceOption = Annotated[Device, typer.Option(help="What runs the model.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Write the figures to this file too.")
]


def recovery(
    cameras: Annotated[int, typer.Option(min=1, max=1024, help="In real time.")] = 100,
    device: DeviceOption = Device.CUDA,
    model: Annotated[str, typer.Option(help="As a pipeline names it.")] = "builtin",
    max_batch_size: Annotated[
        int, typer.Option(min=1, max=256, help="Largest of the engine, on a GPU.")
    ] = 32,
    precision: Annotated[Precision, typer.Option(help="Of the engine, on a GPU.")] = Precision.FP16,
    max_fps: Annotated[
        float | None,
        typer.Option(min=2.5, help="Inferences a second and camera; all frames on a GPU, 5 else."),
    ] = None,
    spares: Annotated[
        bool | None,
        typer.Option(help="Whether spare processes wait; without it as suits the device."),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Kill engine, ingest and analytics in turn while cameras run, and time what follows."""
    from cluster.bench.recovery import RecoveryPlan, measure_recovery

    pipeline: dict[str, Any] = {"model": model}
    if device is Device.CUDA:
        pipeline |= {"max_batch_size": max_batch_size, "precision": precision.value}
    elif max_fps is None:
        max_fps = 5.0
    plan = RecoveryPlan(cameras, device.value, max_fps, pipeline, spares)
    found = measure_recovery(plan, console.print)
    columns = ("num_silent", "process_s", "first_s", "all_s", "load_s", "num_reopened", "dropped")
    show_rows(found["kills"], "victim", columns)
    conclude(found, json_file)


def simulator(
    cameras: Annotated[int, typer.Option(min=100, max=100_000, help="Streams.")] = 10_000,
    slots: Annotated[int, typer.Option(min=2, max=1000, help="Of 256 streams at most.")] = 100,
    lease_s: Annotated[float, typer.Option(min=2, help="lease.ttl_s of all slots.")] = 5.0,
    json_file: JsonFile = None,
) -> None:
    """Registry, leases and placement of a large cluster, without pictures: slots come and go."""
    from cluster.bench.simulator.simulator import SimulatorPlan, simulate

    plan = SimulatorPlan(num_cameras=cameras, num_slots=slots, ttl_s=lease_s)
    found = simulate(plan, console.print)
    parts = ("claim_ms", "placed", "rest", "died", "joined", "left")
    show_rows([{"part": part, "found": found[part]} for part in parts], "part", ("found",))
    conclude(found, json_file)


def agreement(
    data: Annotated[Path, typer.Option(file_okay=False, help="Folder with film, truth, model.")],
    model: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Another YOLOX file that knows persons.")
    ] = None,
    decoder: Annotated[
        DecoderChoice, typer.Option(help="nvdec plays the film through both decoders.")
    ] = DecoderChoice.NVDEC,
    device: DeviceOption = Device.CUDA,
    batch_size: Annotated[
        list[int] | None,
        typer.Option(min=1, max=256, help="Of the plans; repeat. 8 alone without it."),
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="Look at no more than these, to try it.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """PETS09-S2L1 through the GPU and through ONNX Runtime: pictures, input, AP50 of persons."""
    from cluster.bench.gpu.agreement import AgreementPlan, measure_agreement
    from cluster.bench.gpu.sides import CpuSide, GpuSide

    side = GpuSide if device is Device.CUDA else CpuSide
    sizes = tuple(sorted(set(batch_size or [8])))
    open_side = partial(side, batch_sizes=sizes, report=console.print)
    plan = AgreementPlan(data, model, decoder.value, open_side, max_frames)
    found = measure_agreement(plan, console.print)
    show_rows(found["rows"], "decoder", ("engine", "ap50", "difference"))
    for decoder_name, levels in found["preprocessing"].items():
        console.print(f"{decoder_name}: decoded {_text(found['decoding'][decoder_name])}")
        console.print(f"{decoder_name}: preprocessed, grey levels: {_text(levels)}")
    conclude(found, json_file)


def show_rows(rows: Iterable[Mapping[str, Any]], first: str, columns: Sequence[str]) -> None:
    """A table of some fields of each row."""
    table = Table(first, *columns, box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(str(row[first]), *(_text(row[column]) for column in columns))
    console.print(table)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "none" if not value else ", ".join(f"{key} {each}" for key, each in value.items())
    return "-" if value is None else str(value)


def conclude(found: Mapping[str, Any], json_file: Path | None) -> None:
    """Show the claims, write the file, and end with status 1 where one does not hold."""
    table = Table("claim", "found", "holds", box=SIMPLE_HEAD)
    for claim in found["claims"]:
        verdict = "[green]yes[/]" if claim["holds"] else "[bold red]no[/]"
        table.add_row(claim["text"], _text(claim["found"]), verdict)
    console.print(table)
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n")
    if not found["holds"]:
        raise SystemExit(1)
