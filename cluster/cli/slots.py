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
    table = Table("slot", "state", "device", "model", "streams", "waiting", "batch fill", "message")
    for slot in answer["slots"]:
        details = slot["details"]
        table.add_row(
            slot["name"],
            slot["state"],
            slot["device"],
            str(details.get("model", "")),
            f"{slot['num_streams']}/{slot['max_streams']}",
            str(details.get("num_waiting", "")),
            f"{details.get('batch_fill', 0):.2f}",
            slot["message"],
        )
    console.print(table)
