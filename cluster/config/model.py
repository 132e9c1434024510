"""SightlineConfig: everything that a configuration file may say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from actors.sinks.specs import SinkSpec
from actors.specs import LabelKey, LabelValue, StreamSpec
from cluster.config.allow import AllowConfig
from cluster.config.auth import AuthConfig
from cluster.config.pipelines import NAME_PATTERN, PipelineSpec
from cluster.config.section import Section


class RedisConfig(Section):
    """Where desired streams, leases and events live."""

    url: str | None = Field(
        None,
        repr=False,
        description="redis://host:6379/0 or rediss:// with TLS; null starts a Valkey on loopback.",
    )
    prefix: str = Field(
        "sightline",
        pattern=r"^[A-Za-z0-9{][A-Za-z0-9._{}-]{0,63}$",
        description="First part of all keys; systems with other prefixes do not meet.",
    )
    max_events: int = Field(
        100_000, ge=1, description="Events kept, about; the oldest go first (650 bytes each)."
    )
    frames: bool = Field(
        False, description="Whether to write the tracked objects of every frame to <prefix>:frames."
    )
    max_frames: int = Field(
        100_000, ge=1, description="Frames kept, about; the oldest go first (1 kB with 15 objects)."
    )
    spool_dir: Path | None = Field(
        None,
        description="Folder for events that this Redis cannot take yet; null takes one for its "
        "address in ~/.local/state/sightline/spool.",
    )

    @field_validator("url")
    @classmethod
    def _is_a_redis_url(cls, url: str | None) -> str | None:
        if not url:
            return None
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("is not a Redis URL: write it as redis://host:6379/0")
        return url


class ApiConfig(Section):
    """The HTTP API."""

    host: str = Field("127.0.0.1", min_length=1, description="Address that it listens on.")
    port: int = Field(
        8000, ge=0, le=65535, description="TCP port that it listens on; 0 takes a free one."
    )
    max_streams: int = Field(10_000, ge=1, le=100_000, description="Stream jobs, all together.")
    auth: AuthConfig = Field(AuthConfig(), description="Whom it lets in.")


class FarIngestConfig(Section):
    """Ingest actors of a slot on other machines; their pictures cross the network, scaled down."""

    num: int = Field(0, ge=0, le=64, description="Of each slot.")
    num_cpus: float = Field(
        1, gt=0, le=1024, description="CPUs that each reserves in Ray, and decodes on."
    )
    resources: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="What each reserves besides, as {decode: 1}: it runs where nodes offer it."
    )
    max_width: int = Field(960, ge=16, le=16_384, description="Of a picture that is sent, pixels.")
    max_height: int = Field(540, ge=16, le=16_384, description="Likewise.")
    max_mbytes_s: float = Field(
        100, gt=0, le=100_000, description="What each sends in a second at most, megabytes."
    )


class SlotsConfig(Section):
    """The slots: a GPU's worth of pipeline each, or some CPUs."""

    num: int = Field(1, ge=0, le=10_000, description="Slots at the start.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="What a slot runs on: cuda takes a GPU a slot for decoder and model, with "
        "sightline[gpu]; auto does so where there are GPUs.",
    )
    num_ingest: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Ingest actors of a slot; null takes one for two CPUs, on a GPU at most four.",
    )
    num_analytics: int | None = Field(
        None, ge=1, le=64, description="Analytics actors of a slot; null takes 1, on a GPU 2."
    )
    max_streams: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Streams that a slot can hold; null takes 64, on a GPU 256.",
    )
    spares: bool | None = Field(
        None,
        description="Keep a spare process of each kind that takes a dead one's place at once; null "
        "does so on a GPU.",
    )
    mps: bool | None = Field(
        None,
        description="Let the processes of a slot use the GPU together, through NVIDIA's "
        "Multi-Process Service: null starts it with `sightline up` where the driver has it and "
        "none runs, true says so where it cannot, false never does.",
    )
    num_cpus: float | None = Field(
        None,
        gt=0,
        description="CPUs that a slot reserves in Ray; null takes all of the machine, on a GPU 1.",
    )
    reserve_gpu: bool = Field(
        False,
        description="Reserve a GPU in Ray where device is cpu, too: its actors see it, and use it "
        "for nothing.",
    )
    resources: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {},
        description="What a slot reserves in Ray besides, as {nvdec: 1}: it runs where nodes offer "
        "that.",
    )

    far_ingest: FarIngestConfig = Field(
        FarIngestConfig(), description="Decoding on machines without a GPU."
    )
    labels: dict[LabelKey, LabelValue] = Field(
        {},
        max_length=64,
        description="By which streams choose slots, as {site: harbour}; the labels of a slot's "
        "node in Ray count, too.",
    )

    @field_validator("resources")
    @classmethod
    def _are_custom(cls, resources: dict[str, float]) -> dict[str, float]:
        if {"CPU", "GPU"} & set(resources):
            raise ValueError("has CPU or GPU: a GPU is slots.device, and CPUs are slots.num_cpus")
        return resources


class ScalingConfig(Section):
    """Slots that come and go with the streams, and ask Ray for machines."""

    min_slots: int = Field(1, ge=0, le=10_000, description="No fewer, whatever is needed.")
    max_slots: int = Field(8, ge=1, le=10_000, description="No more.")
    headroom: float = Field(
        0.8, gt=0, le=1, description="Share of a slot's capacity up to which it is planned."
    )
    upscale_delay_s: float = Field(
        0.0, ge=0, le=3600, description="For how long more must be wanted before more are started."
    )
    downscale_delay_s: float = Field(
        300.0, ge=0, le=86_400, description="For how long fewer must do before some are ended."
    )

    @model_validator(mode="after")
    def _floor_is_below_the_ceiling(self) -> ScalingConfig:
        if self.min_slots > self.max_slots:
            raise ValueError(
                f"min_slots is {self.min_slots} and max_slots is {self.max_slots}: "
                "give a max_slots that is no less"
            )
        return self


class PoolConfig(Section):
    """The frame pool of a slot: decoded pictures that wait for the model."""

    num_slots: int | None = Field(
        None, ge=2, le=65_536, description="Pictures that it holds; null takes 128, on a GPU 1024."
    )
    max_width: int = Field(
        1920, ge=16, le=16_384, description="Widest picture, pixels; wider ones are scaled down."
    )
    max_height: int = Field(
        1080, ge=16, le=16_384, description="Highest picture, pixels; higher ones are scaled down."
    )


class LeaseConfig(Section):
    """How long a slot may be silent before others take its streams."""

    ttl_s: float = Field(
        5.0,
        ge=0.5,
        le=300,
        description="When a slot has died, others have its streams within this time.",
    )


class CamerasConfig(Section):
    """Which cameras may be opened, and how patient ingest is with them."""

    allow: AllowConfig = Field(AllowConfig(), description="Which cameras may be opened.")

    open_timeout_s: float = Field(3.5, gt=0, le=300, description="Longest wait for a connection.")
    read_timeout_s: float = Field(
        3.0, gt=0, le=300, description="Longest silence between two packets."
    )


class SightlineConfig(Section):
    """One file says it all; what it leaves out has the value that is written here."""

    redis: RedisConfig = Field(RedisConfig(), description="Where the shared state lives.")
    api: ApiConfig = Field(ApiConfig(), description="The HTTP API.")
    slots: SlotsConfig = Field(SlotsConfig(), description="What runs the streams.")
    autoscaling: ScalingConfig | None = Field(
        None, description="Slots follow the streams; null keeps slots.num of them."
    )
    pool: PoolConfig = Field(PoolConfig(), description="Frames that wait for the model.")
    pipelines: dict[str, PipelineSpec] = Field(
        {"default": PipelineSpec()}, description="Models by the name that streams choose."
    )
    sinks: tuple[SinkSpec, ...] = Field((), description="Where events go besides the Redis above.")
    streams: tuple[StreamSpec, ...] = Field(
        (), description="Stream jobs that are added, or changed, at the start."
    )
    lease: LeaseConfig = Field(LeaseConfig(), description="When a slot counts as dead.")
    cameras: CamerasConfig = Field(CamerasConfig(), description="What is asked of cameras.")

    @field_validator("pipelines")
    @classmethod
    def _pipelines_have_names(cls, pipelines: dict[str, PipelineSpec]) -> dict[str, PipelineSpec]:
        bad = [name for name in pipelines if not re.match(NAME_PATTERN, name)]
        if bad:
            raise ValueError(f"'{bad[0]}' is not a valid name: use letters, digits, '.', '_', '-'")
        if not pipelines:
            raise ValueError("has no pipeline: add one named default")
        return pipelines

    @model_validator(mode="after")
    def _ids_differ(self) -> SightlineConfig:
        ids = [stream.id for stream in self.streams]
        twice = sorted({stream for stream in ids if ids.count(stream) > 1})
        if twice:
            raise ValueError(
                f"streams: the id {', '.join(twice)} is used twice: give each stream its own"
            )
        return self

    @model_validator(mode="after")
    def _pipelines_exist(self) -> SightlineConfig:
        for stream in self.streams:
            if stream.pipeline not in self.pipelines:
                raise ValueError(
                    f"streams: {stream.id} asks for the pipeline '{stream.pipeline}', which is "
                    f"not there: choose one of {', '.join(self.pipelines)}, or add it"
                )
        return self
