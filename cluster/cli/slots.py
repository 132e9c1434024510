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
    "use",
    "1080p fps",
    "decoding",
    "waiting",
    "batch",
    "ladder",
)
_GPU_COLUMNS = ("SM", "NVDEC", "GPU mem")


def slots(as_json: JsonFlag = False, *, api: ApiOption) -> None:
    """Show the slots, what they run and how busy they and their GPUs are."""
    with ApiClient(api) as client:
        answer = client.get("/v1/slots")
    if as_json:
        print_json(answer)
        return
    has_gpus = any(slot.get("gpu") for slot in answer["slots"])
    table = Table(*_COLUMNS, *(_GPU_COLUMNS if has_gpus else ()), "message")
    for slot in answer["slots"]:
        gauges = gpu_cells(slot.get("gpu")) if has_gpus else ()
        table.add_row(*_cells(slot), *gauges, slot["message"])
    console.print(table)


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
        f"{slot['utilisation']:.0%}",
        f"{slot['decode_1080p_fps']:.0f}" if slot["decode_1080p_fps"] else "?",
        f"{slot['decode_ratio']:.0%}" if slot["decode_1080p_fps"] else "?",
        str(slot["num_waiting"]),
        f"{slot['batch_fill']:.2f}",
        slot["ladder"]["name"] if slot["ladder"]["rung"] else "-",
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
