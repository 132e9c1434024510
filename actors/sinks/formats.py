"""Events as text: our own fields, or the minimal message of DeepStream for those who read that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from actors.analytics.events import SCHEMA, Event
from actors.sinks.specs import Format
from engines.detections import NO_TRACK

_DEEPSTREAM_VERSION = "4.0"
DEEPSTREAM_KEY = "metadata"  # what DeepStream's own Redis adapter calls it


def to_text(event: Event, format_: Format) -> str:
    """One line of JSON."""
    if format_ == "deepstream_minimal":
        return json.dumps(to_deepstream(event), separators=(",", ":"))
    return event.to_json()


def to_entry(event: Event, format_: Format) -> dict[str, str]:
    """Fields of an entry of a Redis stream: our own are flat, DeepStream's message is one field."""
    if format_ == "deepstream_minimal":
        return {DEEPSTREAM_KEY: to_text(event, format_)}
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
    objects = []
    if event.box is not None:
        track = NO_TRACK if event.track is None else event.track
        objects.append(deepstream_object(track, event.box, event.class_name))
    return deepstream_message(event.id, event.ts, event.stream, objects)


def deepstream_message(id_: str, ts: int, stream: str, objects: Sequence[str]) -> dict[str, Any]:
    """What was seen by a stream at a time, UTC in ms."""
    at = datetime.fromtimestamp(ts / 1e3, timezone.utc)
    return {
        "version": _DEEPSTREAM_VERSION,
        "id": id_,
        "@timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "sensorId": stream,
        "objects": list(objects),
    }


def deepstream_object(track: int, box: Sequence[float], class_name: str) -> str:
    """One object; a label cannot add a field."""
    return "|".join([str(track), *(f"{v:g}" for v in box), class_name.replace("|", "_")])
