"""Events: what people are told, as flat fields that any Redis client can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from typing import Any

SCHEMA = 1

Box = tuple[float, float, float, float]


class EventType(str, Enum):
    """What happened."""

    LINE_CROSS = "line_cross"
    ZONE_ENTER = "zone_enter"
    ZONE_EXIT = "zone_exit"
    WRONG_WAY = "wrong_way"
    LOITERING = "loitering"
    ILLEGAL_PARKING = "illegal_parking"
    OVERCROWDING = "overcrowding"
    SPEED = "speed"
    OBJECT = "object"
    ATTRIBUTE = "attribute"
    PLATE = "plate"
    STREAM_STATE = "stream_state"


class Phase(str, Enum):
    """Where in its life an event is; one without duration is ``instant``."""

    BEGIN = "begin"
    UPDATE = "update"
    END = "end"
    INSTANT = "instant"


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        id: 32 hex digits, see ``event_id``; the same event written twice has the same id.
        type: What happened.
        phase: Where in its life the event is.
        stream: Stream id.
        ts: UTC, milliseconds since 1970.
        pts: Time in the source's own clock, seconds.
        rule: Name of the rule; empty where no rule made the event.
        track: Identity of the object within the source session, or None.
        class_name: Label of the object, ``class`` in the fields; may be empty.
        confidence: Of the detection, 0 to 1, or None.
        box: Left, top, right, bottom in pixels of the source picture, or None.
        model: Name of the model.
        slot: Name of the slot that saw it.
        labels: The stream's labels.
        data: What the type adds, as JSON values.
        token: Fencing token of the lease under which it was seen; 0 for none. Sinks that can ask
            who owns the stream refuse what came after a newer one; readers never see it.
    """

    id: str
    type: EventType
    phase: Phase
    stream: str
    ts: int
    pts: float
    rule: str = ""
    track: int | None = None
    class_name: str = ""
    confidence: float | None = None
    box: Box | None = None
    model: str = ""
    slot: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    token: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The event as JSON values, by field name."""
        return {
            "schema": SCHEMA,
            "id": self.id,
            "type": self.type.value,
            "phase": self.phase.value,
            "stream": self.stream,
            "ts": self.ts,
            "pts": self.pts,
            "rule": self.rule,
            "track": self.track,
            "class": self.class_name,
            "confidence": self.confidence,
            "box": None if self.box is None else list(self.box),
            "model": self.model,
            "slot": self.slot,
            "labels": dict(self.labels),
            "data": dict(self.data),
        }

    def to_json(self) -> str:
        """The event as one line of JSON."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    def to_line(self) -> str:
        """The event as one line of JSON with its token, for a spool of our own."""
        return json.dumps({**self.to_dict(), "token": self.token}, separators=(",", ":"))

    def to_fields(self) -> dict[str, str]:
        """The event as flat strings; empty where there is no value, JSON where it is nested."""
        return {name: _to_field(value) for name, value in self.to_dict().items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Event:
        """Read what ``to_dict`` gave, or a spool's line.

        Raises:
            ValueError: if the schema is another one, or a value is not of its kind.
            KeyError: if a field is missing.
        """
        if values["schema"] != SCHEMA:
            raise ValueError(f"event schema {values['schema']}: this version reads {SCHEMA}")
        box = values["box"]
        return cls(
            id=values["id"],
            type=EventType(values["type"]),
            phase=Phase(values["phase"]),
            stream=values["stream"],
            ts=values["ts"],
            pts=values["pts"],
            rule=values["rule"],
            track=values["track"],
            class_name=values["class"],
            confidence=values["confidence"],
            box=None if box is None else (box[0], box[1], box[2], box[3]),
            model=values["model"],
            slot=values["slot"],
            labels=values["labels"],
            data=values["data"],
            token=values.get("token", 0),
        )

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Event:
        """Read what ``to_fields`` gave.

        Raises:
            ValueError: if the schema is another one, or a field is not of its kind.
            KeyError: if a field is missing.
        """
        decoded = {
            name: _from_field(text) if name in _ENCODED else text for name, text in fields.items()
        }
        return cls.from_dict(decoded)


_ENCODED = frozenset({"schema", "ts", "pts", "track", "confidence", "box", "labels", "data"})


def event_id(
    stream: str, session: str, rule: str, track: int | None, phase: Phase, count: int
) -> str:
    """A name for what happened: the same happening always has the same.

    Args:
        stream: Stream id.
        session: Source session; must not come again for the stream.
        rule: Name of the rule.
        track: Identity of the object, if any.
        phase: Phase of the event.
        count: How many events of this phase the rule made for the track, this one included.
    """
    what = json.dumps([stream, session, rule, track, phase.value, count])
    return blake2b(what.encode(), digest_size=16).hexdigest()


def _to_field(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _from_field(text: str) -> Any:
    return json.loads(text) if text else None
