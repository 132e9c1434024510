"""``sightline model build`` and ``model plans``: TensorRT plans, made ahead of the first start."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from cluster import gpu_host
from cluster.cli.output import JsonFlag, console, errors, print_json
from cluster.cli.service import ConfigOption
from cluster.config import PipelineSpec, load_config
from cluster.errors import InvalidError
from cluster.models import engine_options, resolve_model, resolve_secondaries
from cluster.validation import faults_of
from engines.errors import DeviceError
from engines.spec import ModelSpec, Precision

if TYPE_CHECKING:
    from engines.tensorrt.builder import BuiltPlan
    from engines.tensorrt.inventory import StoredPlan
    from engines.tensorrt.plan import PlanRequest, Platform
    from engines.tensorrt.versions import BuildProgress, Report

_MIB = 2**20

ModelArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="PATH|builtin",
        help="ONNX file, or a ModelSpec in YAML, or the detector that ships.",
        show_default=False,
    ),
]
PipelineOption = Annotated[
    str | None, typer.Option(help="Build for this pipeline of the configuration instead.")
]
PrecisionOption = Annotated[
    Precision | None, typer.Option(help="Of the plan; without it that which a slot takes.")
]
SizesOption = Annotated[
    str | None, typer.Option(metavar="1,8,32", help="As `batch_sizes` of the pipeline says them.")
]
RebuildFlag = Annotated[bool, typer.Option("--rebuild", help="Also if the plan is there.")]
PruneFlag = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Delete what is damaged, of an older Sightline, or of another TensorRT for this GPU.",
    ),
]


def build(
    model: ModelArgument = None,
    pipeline: PipelineOption = None,
    config: ConfigOption = None,
    precision: PrecisionOption = None,
    batch_sizes: SizesOption = None,
    rebuild: RebuildFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Build a model's TensorRT plan on this machine's GPU, so that `sightline up` starts at once.

    A slot finds the plan if its pipeline says the same model, precision and batch sizes. Of a
    pipeline the plans of its secondaries are built, too.
    """
    if (model is None) == (pipeline is None):
        raise typer.BadParameter("name a model or a --pipeline, and not both")
    wanted = _pipeline(model, pipeline, config)
    changes: dict[str, Any] = {} if precision is None else {"precision": precision}
    if batch_sizes is not None:
        changes |= {"batch_sizes": _numbers(batch_sizes), "max_batch_size": None}
    built = _build(_changed(wanted, changes), rebuild)
    if as_json:
        told, *secondaries = [_as_json(*one) for one in built]
        print_json(told | {"secondaries": secondaries})
        return
    for one in built:
        _tell(*one)


def plans(as_json: JsonFlag = False, prune: PruneFlag = False) -> None:
    """Show the plans that were built, and whether they fit this GPU and TensorRT."""
    from engines.tensorrt.cache import default_folder
    from engines.tensorrt.inventory import left_behind, stored_plans, useless

    folder, here = default_folder(), _platform_if_any()
    found = stored_plans(folder)
    gone = useless(found, here) if prune else []
    for path in [*(plan.path for plan in gone), *(left_behind(folder, time.time()) * prune)]:
        path.unlink(missing_ok=True)
    rows = [_row(plan, here) for plan in found if plan not in gone]
    if as_json:
        removed = [str(plan.path) for plan in gone]
        print_json({"folder": str(folder), "plans": rows, "removed": removed})
        return
    for plan in gone:
        console.print(f"removed {plan.path}", highlight=False)
    _show(rows, folder)


def _pipeline(model: str | None, name: str | None, config: Path | None) -> PipelineSpec:
    if name is None:
        return PipelineSpec(model=model or "")
    pipelines = load_config(config).pipelines
    if name not in pipelines:
        raise typer.BadParameter(f"no pipeline {name}: choose one of {', '.join(pipelines)}")
    return pipelines[name]


def _changed(pipeline: PipelineSpec, changes: Mapping[str, Any]) -> PipelineSpec:
    try:
        return PipelineSpec.model_validate({**pipeline.model_dump(), **changes})
    except ValidationError as error:
        raise InvalidError(faults_of(error, PipelineSpec)) from None


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no list of numbers: write them as 1,8,32", param_hint="--batch-sizes"
        ) from None


def _build(pipeline: PipelineSpec, rebuild: bool) -> list[tuple[PlanRequest, BuiltPlan]]:
    """The plan of the detector, then those of the secondaries."""
    from engines.cuda.context import open_device
    from engines.tensorrt.builder import build_plan
    from engines.tensorrt.cache import PlanCache

    platform, built = _platform(), []
    wanted = [(one[0], _request(platform, *one)) for one in _models(pipeline)]
    for spec, request in wanted:
        with open_device(), _progress(spec.name) as report:
            plan = build_plan(spec, request, PlanCache(), report=report, rebuild=rebuild)
        built.append((request, plan))
    return built


def _models(pipeline: PipelineSpec) -> list[tuple[ModelSpec, Precision, Sequence[int]]]:
    """What a slot would load, in which precision and with which batch sizes."""
    from engines.factory import CROPS_ON_GPU, batch_sizes_up_to, crop_precision, fastest_precision

    spec, options = resolve_model(pipeline, "cuda"), engine_options(pipeline, "cuda")
    sizes = options.batch_sizes or batch_sizes_up_to(options.max_batch_size)
    found: list[tuple[ModelSpec, Precision, Sequence[int]]] = [
        (spec, options.precision or fastest_precision(spec), sizes)
    ]
    for one in resolve_secondaries(pipeline, spec):
        found.append((one.model, crop_precision(one.model, options.precision), CROPS_ON_GPU))
    return found


def _request(
    platform: Platform, spec: ModelSpec, precision: Precision, batch_sizes: Sequence[int]
) -> PlanRequest:
    from engines.tensorrt.builder import request_for
    from engines.tensorrt.options import BuildOptions

    return request_for(
        spec,
        platform,
        precision=precision,
        batch_sizes=tuple(batch_sizes),
        options=BuildOptions().overridden(),
    )


def _platform() -> Platform:
    """This machine's GPU and TensorRT.

    Raises:
        DeviceError: naming what is missing, and what to do.
    """
    from engines.tensorrt.runtime import platform_of

    if not gpu_host.has_driver():
        raise DeviceError(
            "there is no GPU here (no NVIDIA driver): build plans on the machine that runs them; "
            "a CPU needs none. `sightline doctor` says more"
        )
    return platform_of()


def _platform_if_any() -> Platform | None:
    try:
        return _platform()
    except DeviceError:
        return None


@contextmanager
def _progress(model: str) -> Iterator[Report]:
    """A line on the terminal for as long as the build lasts; a log gets one at its beginning."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(f"looking for the plan of {model}", total=None)
        started = False

        def report(progress: BuildProgress) -> None:
            nonlocal started
            sentence = progress.sentence(model)
            if not errors.is_terminal and not started:
                errors.print(sentence, highlight=False)
            started = True
            phase = f": {progress.phase}" if progress.phase else ""
            bar.update(
                task,
                description=f"{sentence.rpartition(' (')[0]}{phase}",
                total=progress.num_steps or None,
                completed=progress.num_done,
            )

        yield report


def _as_json(request: PlanRequest, built: BuiltPlan) -> dict[str, Any]:
    return {
        "path": str(built.path),
        "built": built.is_new,
        "elapsed_s": round(built.elapsed_s, 1),
        "size_bytes": built.path.stat().st_size,
        "model": request.model,
        "precision": request.precision.value,
        "batch_sizes": request.batch_sizes,
        "tensorrt": request.platform.tensorrt,
        "gpu": request.platform.gpu,
        "arch": request.platform.arch,
    }


def _tell(request: PlanRequest, built: BuiltPlan) -> None:
    sizes = ", ".join(map(str, request.batch_sizes))
    how = f"built in {built.elapsed_s:.0f} s" if built.is_new else "was there already"
    console.print(
        f"{request.model}, {request.precision.value}, batch sizes {sizes}: {how}\n"
        f"{built.path} ({built.path.stat().st_size / _MIB:.1f} MiB)",
        highlight=False,
        soft_wrap=True,
    )


def _row(plan: StoredPlan, here: Platform | None) -> dict[str, Any]:
    """A plan as JSON; ``fits`` is null where there is no GPU to fit."""
    header = plan.header
    misfit = plan.misfit(here) if here else plan.fault
    request = header.request if header else {}
    return {
        "file": plan.path.name,
        "model": request.get("model"),
        "precision": request.get("precision"),
        "batch_sizes": request.get("batch_sizes"),
        "tensorrt": header.platform.tensorrt if header else None,
        "gpu": header.platform.gpu if header else None,
        "arch": header.platform.arch if header else None,
        "size_bytes": plan.size_bytes,
        "written_at": plan.written_at,
        "fits": False if misfit else None if here is None else True,
        "reason": misfit,
    }


def _show(rows: list[dict[str, Any]], folder: Path) -> None:
    if not rows:
        console.print(f"no plans in {folder}", highlight=False)
        return
    table = Table("model", "precision", "batch sizes", "TensorRT", "GPU", "MiB", "fits", title=None)
    for row in rows:
        fits = {True: "yes", False: "no", None: "no GPU here"}[row["fits"]]
        table.add_row(
            row["model"] or row["file"],
            row["precision"],
            ",".join(map(str, row["batch_sizes"] or ())),
            row["tensorrt"],
            row["gpu"],
            f"{row['size_bytes'] / _MIB:.1f}",
            f"{fits}: {row['reason']}" if row["reason"] else fits,
        )
    console.print(table)
    console.print(folder, highlight=False, soft_wrap=True)
