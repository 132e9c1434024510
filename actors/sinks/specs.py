"""What users ask of sinks, validated at the edges."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Format = Literal["sightline", "deepstream_minimal"]


def default_spool_dir() -> Path:
    """Where undelivered events wait where the configuration does not say."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "sightline" / "spool"


class _SinkSpec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Format = Field(
        "sightline",
        description="What is written: our own fields, or the minimal message of DeepStream.",
    )


class _SpooledSpec(_SinkSpec):
    max_queue: int = Field(
        10_000, ge=1, description="Events in memory; with more the oldest are dropped."
    )
    max_batch: int = Field(200, ge=1, le=10_000, description="Events a round trip.")
    spool_dir: Path = Field(
        default_factory=default_spool_dir,
        description="Folder for events that cannot be delivered yet; sinks may share it.",
    )
    spool_name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9{][A-Za-z0-9._{}-]*$",
        description="The sink's own folder in spool_dir; null takes one for the server's address.",
    )
    max_spool_bytes: int = Field(
        256 * 2**20, ge=2**16, description="Bytes on disk; with more the oldest are dropped."
    )


class RedisSinkSpec(_SpooledSpec):
    """Append events to a Redis stream."""

    kind: Literal["redis"] = "redis"
    url: str = Field(
        pattern=r"^(redis|rediss|unix)://", repr=False, description="redis://host:6379/0."
    )
    stream: str = Field("sightline:events", min_length=1, description="Key of the stream.")
    max_len: int = Field(
        1_000_000, ge=1, description="Entries that the stream keeps, approximately."
    )
    fence: str = Field(
        "",
        description="First part of the keys that say who owns a stream, filled in for the Redis "
        "that has them: events of former owners are refused there. Empty for no fence.",
    )
    timeout_s: float = Field(2.0, gt=0, le=60, description="To connect, and for an answer.")
    frames: bool = Field(
        False, description="Whether to write the tracked objects of every frame, too."
    )
    frames_stream: str = Field(
        "sightline:frames", min_length=1, description="Key of the stream of frames."
    )
    max_frames: int = Field(
        100_000, ge=1, description="Frames that it keeps, approximately; the oldest go first."
    )


class MqttSinkSpec(_SpooledSpec):
    """Publish events to an MQTT 5 broker, QoS 1, topic ``<prefix>/<stream>/<type>``."""

    kind: Literal["mqtt"] = "mqtt"
    host: str = Field(min_length=1, description="Name or address of the broker.")
    port: int = Field(1883, ge=1, le=65535)
    tls: bool = Field(False, description="Encrypt, and check the broker's certificate.")
    username: str = ""
    password: str = Field("", repr=False)
    topic_prefix: str = Field(
        "sightline", pattern=r"^[^+#]+$", description="First levels of the topic."
    )
    expiry_s: int | None = Field(
        None, ge=1, lt=2**32, description="The broker forgets a message then; null for never."
    )
    timeout_s: float = Field(5.0, gt=0, le=60, description="To connect, and for an answer.")


class FileSinkSpec(_SinkSpec):
    """Append events to a file, one JSON object a line; several processes may write it."""

    kind: Literal["file"] = "file"
    path: Path = Field(description="The file; its folder is made if need be.")
    max_bytes: int = Field(
        100 * 2**20, ge=2**10, description="A fuller one is renamed <path>.<number> and begun anew."
    )
    max_files: int = Field(
        10, ge=1, le=100_000, description="Files that are kept, this one included; the oldest go."
    )
    compress: bool = Field(False, description="Compress the renamed ones with gzip.")


SinkSpec = Annotated[RedisSinkSpec | MqttSinkSpec | FileSinkSpec, Field(discriminator="kind")]
