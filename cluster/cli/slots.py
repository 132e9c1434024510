"""``sightline slots``: the slots, what they run and how busy they are."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from cluster.cli.output import ApiOption, JsonFlag, console, print_json
from cluster.client import ApiClient

_COLUMNS = (
    "slot",
    "state",
    "model",
    "streams",
    "fps",
    "floors",
    "use",
    "1080p fps",
    "decoding",
    "waiting",
    "batch",
    "ladder",
)
_GPU_COLUMNS = ("SM", "NVDEC", "GPU mem")


def slots(as_json: JsonFlag = False, *, api: ApiOption) -> None:
    """Show the slots, what they run, how busy they and their GPUs are, and how many are wanted."""
    with ApiClient(api) as client:
        answer = client.get("/v1/slots")
    if as_json:
        print_json(answer)
        return
    console.print(_table(answer["slots"]))
    scaling = answer.get("autoscaling")
    if scaling:
        console.print(scaling_line(scaling), highlight=False, markup=False, soft_wrap=True)


def scaling_line(scaling: dict[str, Any]) -> str:
    """What the autoscaler wants, and why."""
    bounds = f"{scaling['min_slots']} to {scaling['max_slots']}"
    return f"wants {scaling['wanted']} slots, of {bounds}: {scaling['reason']}"


def _table(slots: list[dict[str, Any]]) -> Table:
    """Columns that have nothing to say for any slot are left out."""
    has_gpus = any(slot.get("gpu") for slot in slots)
    has_labels = any(slot.get("labels") for slot in slots)
    more = (*(_GPU_COLUMNS if has_gpus else ()), *(("labels",) if has_labels else ()))
    table = Table(*_COLUMNS, *more, "message")
    for slot in slots:
        gauges = gpu_cells(slot.get("gpu")) if has_gpus else ()
        labels = (_labels(slot),) if has_labels else ()
        table.add_row(*_cells(slot), *gauges, *labels, slot["message"])
    return table


def _labels(slot: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(slot.get("labels", {}).items()))


def _floors(slot: dict[str, Any]) -> str:
    """What is promised to streams, of what the engine infers."""
    most = f"{slot['admission_fps']:.0f}" if slot["admission_fps"] else "?"
    return f"{slot['floors_fps']:.0f}/{most}"


def gpu_cells(gpu: dict[str, Any] | None) -> tuple[str, str, str]:
    """How busy a GPU and its decoders are, and how full; ``-`` for what is not known."""
    known: dict[str, Any] = gpu or {}
    used, total = (known.get(f"memory_{what}_bytes") for what in ("used", "total"))
    full = used / total if used is not None and total else None
    return _share(known.get("sm")), _share(known.get("decoder")), _share(full)


def _cells(slot: dict[str, Any]) -> tuple[str, ...]:
    return (
        slot["name"],
        slot["state"],
        slot["model"],
        f"{slot['num_streams']}/{slot['max_streams']}",
        f"{slot['capacity_fps']:.0f}" if slot["capacity_fps"] else "?",
        _floors(slot),
        f"{slot['utilisation']:.0%}",
        f"{slot['decode_1080p_fps']:.0f}" if slot["decode_1080p_fps"] else "?",
        f"{slot['decode_ratio']:.0%}" if slot["decode_1080p_fps"] else "?",
        str(slot["num_waiting"]),
        f"{slot['batch_fill']:.2f}",
        slot["ladder"]["name"] if slot["ladder"]["rung"] else "-",
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
