"""What users ask of a stream: source, quality of service and rules, validated at the edges."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from actors.rule_shapes import Spec
from actors.rule_specs import RuleSpec

SCHEMES = ("rtsp", "rtsps", "http", "https", "file")


class QosClass(str, Enum):
    """Classes of service, the most important first."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class ClassDefaults(Spec):
    """What a class means where a stream does not say otherwise."""

    weight: float = Field(gt=0)
    deadline_ms: float = Field(gt=0)
    min_fps: float = Field(ge=0)


CLASS_DEFAULTS: dict[QosClass, ClassDefaults] = {
    QosClass.CRITICAL: ClassDefaults(weight=8, deadline_ms=100, min_fps=5),
    QosClass.HIGH: ClassDefaults(weight=4, deadline_ms=200, min_fps=2),
    QosClass.NORMAL: ClassDefaults(weight=2, deadline_ms=400, min_fps=1),
    QosClass.LOW: ClassDefaults(weight=1, deadline_ms=1000, min_fps=0.5),
}


class QosSpec(Spec):
    """Quality of service of one stream; None takes the value of its class."""

    class_name: QosClass = Field(
        QosClass.NORMAL, alias="class", description="critical, high, normal or low."
    )
    weight: float | None = Field(None, gt=0, description="Share of the engine under overload.")
    deadline_ms: float | None = Field(
        None, gt=0, description="Arrival to detections, milliseconds."
    )
    min_fps: float | None = Field(None, ge=0, description="Floor that overload does not take away.")

    def resolved(self) -> ClassDefaults:
        """Weight, deadline and floor with the defaults of the class filled in."""
        defaults = CLASS_DEFAULTS[self.class_name]
        return ClassDefaults(
            weight=defaults.weight if self.weight is None else self.weight,
            deadline_ms=defaults.deadline_ms if self.deadline_ms is None else self.deadline_ms,
            min_fps=defaults.min_fps if self.min_fps is None else self.min_fps,
        )


LabelKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$")]
LabelValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class Decoding(str, Enum):
    """Where a stream is decoded."""

    AUTO = "auto"
    NEAR = "near"
    FAR = "far"


class PlacementSpec(Spec):
    """Which slots may run a stream, and which streams shall not share one."""

    labels: dict[LabelKey, LabelValue] = Field(
        {},
        max_length=16,
        description="Only slots that have all of these labels run the stream, as {site: harbour}.",
    )
    spread: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$",
        description="Streams with the same word are kept on different machines, then on different "
        "slots, where there is room: cameras that see the same place.",
    )
    decode: Decoding = Field(
        Decoding.AUTO,
        description="near: on the machine of the slot. far: on another one, where the slot has "
        "ingest actors there. auto: there, too, once the slot's own decoder is full.",
    )


class StreamSpec(Spec):
    """A stream job: which source, how often, how important, which rules.

    Neither its ``repr`` nor its errors show the URL, which may hold a password.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Letters, digits, '.', '_' and '-', at most 64.",
    )
    url: str = Field(
        max_length=2048,
        repr=False,
        description="rtsp://, rtsps://, http://, https:// or file://.",
    )
    name: str = Field("", max_length=200, description="For people; the id where it is empty.")
    enabled: bool = Field(True, description="False keeps the job but closes the camera.")
    pipeline: str = Field(
        "default",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Which pipeline's model sees the stream.",
    )
    transport: Literal["auto", "tcp", "udp"] = Field("auto", description="RTP over TCP or UDP.")
    max_fps: float | None = Field(
        None, gt=0, le=1000, description="Infer at most so many a second."
    )
    loop: bool = Field(False, description="Play a file again from its start when it ends.")
    qos: QosSpec = Field(QosSpec(), description="Quality of service.")
    tracker: Literal["bytetrack", "sort", "ocsort", "deepsort"] = Field(
        "bytetrack",
        description="How objects are followed; deepsort needs a pipeline that gives embeddings.",
    )
    rules: tuple[RuleSpec, ...] = Field(
        (), max_length=64, description="What is reported of the objects that are seen."
    )
    best_crop: bool = Field(
        False,
        description="Summaries of `object` rules have a small JPEG of the largest and surest sight "
        "of the object.",
    )
    labels: dict[str, str] = Field({}, description="Copied into every event of the stream.")
    placement: PlacementSpec = Field(PlacementSpec(), description="Which slots may run it.")

    @property
    def floor_fps(self) -> float:
        """Inferred frames a second that overload does not take away: no more than ``max_fps``."""
        min_fps = self.qos.resolved().min_fps
        return min_fps if self.max_fps is None else min(min_fps, self.max_fps)

    @field_validator("url")
    @classmethod
    def _url_has_scheme(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise ValueError("is not a URL: write it as rtsp://host:554/path") from None
        if parts.scheme not in SCHEMES:
            raise ValueError(
                "has no known scheme: begin the URL with one of "
                + ", ".join(f"{scheme}://" for scheme in SCHEMES)
            )
        if parts.scheme == "file" and not parts.path:
            raise ValueError("a file URL needs an absolute path: file:///folder/clip.mp4")
        if parts.scheme != "file" and not parts.hostname:
            raise ValueError("the URL names no host: write it as rtsp://host:554/path")
        return url

    @model_validator(mode="after")
    def _rule_names_differ(self) -> StreamSpec:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"rules: the name {', '.join(twice)} is used twice: give each rule its own"
            )
        return self
