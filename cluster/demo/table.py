"""The demo's live table: one line a camera."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from cluster.demo.feeds import Feed
from cluster.demo.watch import EventWatch
from cluster.wording import describe_event, state_style


def render(
    feeds: Iterable[Feed],
    streams: Iterable[dict[str, Any]],
    watch: EventWatch,
    api_url: str,
    elapsed_s: float,
) -> RenderableType:
    """The table of all streams, with the address of the API and the events so far.

    Args:
        feeds: What is watched.
        streams: Answers of ``/v1/streams/{id}/stats``.
        watch: Events.
        api_url: Shown below.
        elapsed_s: Seconds since the streams were submitted.
    """
    table = Table(title="Sightline", title_justify="left", title_style="bold", expand=False)
    table.add_column("camera", no_wrap=True)
    table.add_column("class", no_wrap=True)
    table.add_column("state", min_width=7)
    for heading in ("fps in", "inferred"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("dropped", min_width=11)
    for heading in ("p50 ms", "p95 ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("last event", min_width=24, max_width=44, no_wrap=True)
    classes = {feed.name: feed.qos_class for feed in feeds}
    for stream in streams:
        table.add_row(*_row(stream, classes[stream["id"]], watch))
    counts = "  ".join(f"{kind} {number}" for kind, number in watch.counts().items())
    footer = f"{elapsed_s:5.0f} s   API {api_url}   events: {counts or 'none yet'}"
    return Group(table, f"[dim]{footer}[/]   [dim]Ctrl-C ends[/]")


def _row(stream: dict[str, Any], qos_class: str, watch: EventWatch) -> list[str]:
    latency = stream["latency_ms"]
    state = stream["state"]
    reason = f" ({stream['reason']})" if stream.get("reason") and state != "running" else ""
    event = watch.last(stream["id"])
    return [
        escape(stream["id"]),
        qos_class,
        f"[{state_style(state)}]{state}[/]{escape(reason)}",
        f"{stream['fps']:.1f}",
        str(stream["inferred"]),
        _drops(stream["dropped"]),
        _ms(latency.get("p50")),
        _ms(latency.get("p95")),
        escape(describe_event(event)) if event else "",
    ]


def _drops(dropped: dict[str, int]) -> str:
    return " ".join(f"{reason} {number}" for reason, number in dropped.items() if number) or "-"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
