"""``sightline slots``: the slots, what they run and how busy they are."""

from __future__ import annotations

from rich.table import Table

from cluster.cli.output import ApiOption, JsonFlag, console, print_json
from cluster.client import ApiClient


def slots(as_json: JsonFlag = False, *, api: ApiOption) -> None:
    """Show the slots, what they run and how busy they are."""
    with ApiClient(api) as client:
        answer = client.get("/v1/slots")
    if as_json:
        print_json(answer)
        return
    table = Table("slot", "state", "model", "streams", "fps", "use", "waiting", "batch", "ladder")
    table.add_column("message")
    for slot in answer["slots"]:
        table.add_row(
            slot["name"],
            slot["state"],
            slot["model"],
            f"{slot['num_streams']}/{slot['max_streams']}",
            f"{slot['capacity_fps']:.0f}" if slot["capacity_fps"] else "?",
            f"{slot['utilisation']:.0%}",
            str(slot["num_waiting"]),
            f"{slot['batch_fill']:.2f}",
            slot["ladder"]["name"] if slot["ladder"]["rung"] else "-",
            slot["message"],
        )
    console.print(table)
