"""Events as JSON Schema (2020-12): what readers may rely on, made from the types of this code.

Readers must not mind fields in ``data`` that they do not know: some may be added within a schema.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from actors.analytics.events import SCHEMA, EventType, Phase
from actors.messages import DegradeStep, StreamState

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "#/$defs/{model}"

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Milliseconds = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Box = tuple[float, float, float, float]


class _Described(BaseModel):
    """Fields with a default factory need not be there; without they must."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class EventRecord(_Described):
    """An event. In Redis each field is a text: nested ones are JSON, empty stands for null."""

    model_config = ConfigDict(extra="forbid")

    schema_: Literal[1] = Field(alias="schema", description="Counts up when fields change.")
    id: Id = Field(description="Hash of what happened; the same event written twice has the same.")
    type: EventType = Field(description="What happened.")
    phase: Phase = Field(description="Where in its life it is; without duration `instant`.")
    stream: str = Field(description="Id of the stream.")
    ts: Milliseconds = Field(description="When it happened: UTC, ms since 1970.")
    pts: float = Field(description="The same in the source's own clock, seconds.")
    rule: str = Field(description="Name of the rule, or of the secondary model; may be empty.")
    track: int | None = Field(description="Identity of the object within the source session.")
    class_: str = Field(alias="class", description="Label of the object; may be empty.")
    confidence: Share | None = Field(description="Of the detection.")
    box: Box | None = Field(description="Left, top, right, bottom in pixels of the source.")
    model: str = Field(description="Name of the model.")
    slot: str = Field(description="Name of the slot that saw it.")
    labels: dict[str, str] = Field(description="The stream's labels.")
    data: dict[str, Any] = Field(description="What the type adds.")


class _OfSpell(_Described):
    begin_id: Id = Field(default_factory=str, description="`id` of the begin; not in a begin.")
    duration_s: float = Field(default_factory=float, description="Since the begin; not in one.")
    reason: str = Field(
        default_factory=str,
        description="Why it ended: `left`, `track_lost`, a word of the rule, or why that was "
        "closed: `rule_removed`, `session_ended`, `labels_changed`, `stream_closed`, "
        "`off_schedule`.",
    )


class CrossingCounts(_Described):
    """Crossings since the rule was made, whichever are reported."""

    forward: int = Field(ge=0, description="From the negative side of the line to the positive.")
    backward: int = Field(ge=0, description="The other way.")


class LineCrossData(_Described):
    """An object crossed a line."""

    direction: Literal["forward", "backward"] = Field(description="Which way.")
    counts: CrossingCounts = Field(description="Crossings so far.")


class ZoneEnterData(_Described):
    """An object came into a zone."""

    reason: str = Field(description="`entered`, or `appeared` if it was first seen inside.")


class ZoneExitData(_OfSpell):
    """An object left a zone; the end of a `zone_enter`."""


class WrongWayData(_OfSpell):
    """An object goes against the direction of a zone; ends with `turned`."""

    sizes: float = Field(description="How far it went against it, in sizes of its box.")


class LoiteringData(_OfSpell):
    """An object is in a zone for long."""

    dwell_s: Seconds = Field(description="How long it has been there.")


class IllegalParkingData(_OfSpell):
    """An object stands still in a zone; ends with `moved`."""

    standing_s: Seconds = Field(description="How long it has stood.")


class OvercrowdingData(_OfSpell):
    """Too many objects are in a zone; of no single object; ends with `cleared`."""

    count: int = Field(ge=0, description="How many there are.")
    most: int = Field(ge=0, description="How many there were at most.")


class SpeedData(_OfSpell):
    """An object is too fast or too slow; ends with `back`."""

    speed_kmh: float = Field(description="Its speed over the ground.")
    limit_kmh: float = Field(description="The limit.")
    extreme_kmh: float = Field(default_factory=float, description="Farthest from it, in an end.")


PathPoint = tuple[float, float, float]


class ObjectData(_OfSpell):
    """An object appeared, and is gone; the end has a summary where the rule asks for one."""

    dwell_s: Seconds = Field(description="How long it has been there.")
    first_seen: Milliseconds = Field(default_factory=int, description="UTC, ms; summary.")
    last_seen: Milliseconds = Field(default_factory=int, description="UTC, ms; summary.")
    path: list[PathPoint] = Field(
        default_factory=list,
        description="x and y of its foot in pixels and seconds since `first_seen`, evenly spaced, "
        "33 points at most; summary.",
    )
    classes: dict[str, int] = Field(
        default_factory=dict, description="Sightings by label, the most frequent first; summary."
    )
    best_crop: str = Field(
        default_factory=str,
        description="Its largest and surest sight: a JPEG of at most 256 pixels and 8192 bytes, in "
        "Base64; summary, where the stream says `best_crop: true` and one was taken.",
    )


class AttributeData(_Described):
    """It is settled what an object looks like; comes again when a later look changes it."""

    name: str = Field(description="Which attribute: `label` of a classifier, else the head's name.")
    values: list[str] = Field(
        description="One label; any number where the model says of each whether it is true."
    )
    confidence: Share = Field(description="Of the values, the mean over the looks.")
    votes: int = Field(ge=1, description="Looks that it was settled by.")
    previous: list[str] | None = Field(description="What was settled before; null the first time.")


class PlateData(_Described):
    """It is settled what is written on an object; comes again when a later look changes it."""

    text: str = Field(description="What was read.")
    confidence: Share = Field(description="Of the text, the mean over the looks.")
    votes: int = Field(ge=1, description="Looks that read this text.")
    previous: str | None = Field(description="What was settled before; null the first time.")


class StreamStateData(_Described):
    """A stream does something else than before, or is degraded otherwise."""

    state: StreamState = Field(description="What it does.")
    reason: str = Field(description="Why, in a word; may be empty.")
    message: str = Field(description="The same for people.")
    degrade_step: DegradeStep = Field(description="What long overload takes from it.")
    previous: StreamState | None = Field(description="What it did before; null for a new one.")
    previous_step: DegradeStep | None = Field(description="What was taken from it before.")


_SPELL = (Phase.BEGIN, Phase.UPDATE, Phase.END)

DATA: dict[EventType, tuple[type[BaseModel], tuple[Phase, ...]]] = {
    EventType.LINE_CROSS: (LineCrossData, (Phase.INSTANT,)),
    EventType.ZONE_ENTER: (ZoneEnterData, (Phase.BEGIN,)),
    EventType.ZONE_EXIT: (ZoneExitData, (Phase.END,)),
    EventType.WRONG_WAY: (WrongWayData, (Phase.BEGIN, Phase.END)),
    EventType.LOITERING: (LoiteringData, _SPELL),
    EventType.ILLEGAL_PARKING: (IllegalParkingData, _SPELL),
    EventType.OVERCROWDING: (OvercrowdingData, _SPELL),
    EventType.SPEED: (SpeedData, _SPELL),
    EventType.OBJECT: (ObjectData, _SPELL),
    EventType.ATTRIBUTE: (AttributeData, (Phase.INSTANT,)),
    EventType.PLATE: (PlateData, (Phase.INSTANT,)),
    EventType.STREAM_STATE: (StreamStateData, (Phase.INSTANT,)),
}
"""What ``data`` has, and which phases there are, by type; another type may have anything."""


class _Untitled(GenerateJsonSchema):
    """Names of fields say what titles would."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def event_schema() -> dict[str, Any]:
    """The schema of an event as JSON, as in files and in MQTT messages."""
    models: list[type[BaseModel]] = [EventRecord, *(model for model, _ in DATA.values())]
    _, made = models_json_schema(
        [(model, "validation") for model in models],
        ref_template=_REFERENCE,
        schema_generator=_Untitled,
    )
    definitions = made["$defs"]
    record = definitions.pop(EventRecord.__name__)
    return {
        "$schema": _DIALECT,
        "$id": f"urn:sightline:event:{SCHEMA}",
        **record,
        "title": "Sightline event",
        "allOf": [_of_spells(), *(_of_type(type_) for type_ in DATA)],
        "$defs": definitions,
    }


def _of_type(type_: EventType) -> dict[str, Any]:
    model, phases = DATA[type_]
    data = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {
        "if": {"properties": {"type": {"const": type_.value}}},
        "then": {"properties": {"data": data, "phase": {"enum": [p.value for p in phases]}}},
    }


def _of_spells() -> dict[str, Any]:
    """What goes on or ends says what had begun."""
    return {
        "if": {"properties": {"phase": {"enum": [Phase.UPDATE.value, Phase.END.value]}}},
        "then": {"properties": {"data": {"required": ["begin_id", "duration_s"]}}},
    }
