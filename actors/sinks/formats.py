"""Events as text: our own fields, or the minimal message of DeepStream for those who read that."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from actors.analytics.events import SCHEMA, Event
from actors.sinks.specs import Format

_DEEPSTREAM_VERSION = "4.0"
_DEEPSTREAM_KEY = "metadata"  # what DeepStream's own Redis adapter calls it


def to_text(event: Event, format_: Format) -> str:
    """One line of JSON."""
    if format_ == "deepstream_minimal":
        return json.dumps(to_deepstream(event), separators=(",", ":"))
    return event.to_json()


def to_entry(event: Event, format_: Format) -> dict[str, str]:
    """Fields of an entry of a Redis stream: our own are flat, DeepStream's message is one field."""
    if format_ == "deepstream_minimal":
        return {_DEEPSTREAM_KEY: to_text(event, format_)}
    return event.to_fields()


def schema_of(format_: Format) -> str:
    """What names the schema of the text."""
    return f"deepstream-{_DEEPSTREAM_VERSION}" if format_ == "deepstream_minimal" else str(SCHEMA)


def to_deepstream(event: Event) -> dict[str, Any]:
    """The minimal message of DeepStream's message converter, of the object that an event is about.

    ``objects`` has ``trackingId|left|top|right|bottom|class``, and is empty for an event that is
    of no single object. The message has no place for what happened; an event's type, phase and rule
    are not in it.
    """
    at = datetime.fromtimestamp(event.ts / 1e3, timezone.utc)
    return {
        "version": _DEEPSTREAM_VERSION,
        "id": event.id,
        "@timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "sensorId": event.stream,
        "objects": [] if event.box is None else [_deepstream_object(event)],
    }


def _deepstream_object(event: Event) -> str:
    label = event.class_name.replace("|", "_")
    track = -1 if event.track is None else event.track
    return "|".join([str(track), *(f"{v:g}" for v in event.box or ()), label])
