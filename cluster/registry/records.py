"""What the registry holds: desired streams, leases, status, slots and pipelines, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from actors.crop_messages import MissReason
from actors.ledger import LedgerEntry
from actors.messages import DegradeStep, DropReason, StreamState
from actors.specs import QosClass, StreamSpec
from actors.stages import Stage
from cluster.config.pipelines import PipelineSpec


class _Record(BaseModel):
    """Read as leniently as written strictly: a newer version may have added fields."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", protected_namespaces=(), hide_input_in_errors=True
    )


class StreamRecord(_Record):
    """A desired stream.

    Attributes:
        spec: What the user asked for, with the camera's credentials.
        generation: Revision of the registry at which the spec was written; counts up across all
            streams, so a stream that is deleted and made again has a higher one.
        created_at: UTC, seconds since 1970, by the clock of Redis.
        updated_at: UTC, seconds since 1970.
    """

    spec: StreamSpec
    generation: int
    created_at: float
    updated_at: float


class PipelineRecord(_Record):
    """A pipeline by name; ``generation`` as for streams."""

    spec: PipelineSpec
    generation: int
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class Lease:
    """Who runs a stream. A later lease of any stream has a higher token."""

    slot: str
    token: int


class SlotState(str, Enum):
    """What a slot is doing."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class ClassLoad(_Record):
    """The streams of one class at a slot's engine, counted since it was started."""

    num_streams: int = Field(0, description="Streams of the class.")
    num_waiting: int = Field(0, description="Frames that wait for a batch.")
    oldest_wait_ms: float = Field(0.0, description="How long the oldest of these has waited.")
    num_inferred: int = Field(0, description="Frames that went through the model.")
    num_on_time: int = Field(0, description="Of these, how many before their deadline.")
    num_dropped: int = Field(0, description="Frames that the scheduler gave up.")


class StageLatency(_Record):
    """How long frames of one class took for one stage, since the processes of it were started."""

    latency_ms: dict[str, float] = Field({}, description="p50, p95, p99; empty before the first.")
    latency_counts: dict[float, int] = Field(
        {}, description="Inferred frames by latency, each bucket of 3 % by its middle in ms."
    )


class Ladder(_Record):
    """How far long overload has taken a slot down the degrade ladder."""

    rung: int = Field(0, description="Rungs in force; 0 takes nothing from anybody.")
    name: str = Field("none", description="Of the rung: class and step, as in `low capped`.")
    since: float = Field(0.0, description="UTC of the last change, seconds since 1970.")
    steps: dict[str, DegradeStep] = Field({}, description="Streams that are degraded, and how.")
    num_climbs: int = Field(0, description="Rungs taken since the engine started.")
    num_held: int = Field(0, description="Streams that are held back: key frames only, or paused.")


class SinkLoad(_Record):
    """Where a slot's events go, counted since its analytics actors were started."""

    name: str = Field(description="Kind, and number in the configuration: redis-0 is our own.")
    is_connected: bool = Field(True, description="Whether the last delivery worked.")
    num_written: int = Field(0, description="Events that it has.")
    num_spooled: int = Field(0, description="Events that had to wait on disk.")
    num_dropped: int = Field(0, description="Events that were lost: memory or disk was full.")
    num_fenced: int = Field(0, description="Events refused, as another slot owned their stream.")
    num_waiting: int = Field(0, description="Events that wait.")
    error: str = Field("", description="Why the last delivery failed; empty when it worked.")


class GpuLoad(_Record):
    """The gauges of a slot's GPU, whoever uses it; null where it does not say."""

    uuid: str = Field(description="The GPU, by the name that NVIDIA's tools have for it.")
    name: str = Field("", description="Its product name.")
    sm: float | None = Field(None, description="Share of the last second with a kernel running.")
    decoder: float | None = Field(None, description="Share of it that NVDEC was busy.")
    memory_used_bytes: int | None = Field(None, description="Memory that is taken.")
    memory_total_bytes: int | None = Field(None, description="Memory that there is.")
    power_w: float | None = Field(None, description="Power that it draws.")
    temperature_c: float | None = Field(None, description="Temperature of the chip.")


class SlotInfo(_Record):
    """What a slot says of itself."""

    name: str = Field(description="Unique among slots, and over restarts.")
    state: SlotState = Field(SlotState.READY, description="Only a ready slot claims streams.")
    message: str = Field("", description="What it waits for, or why it failed.")
    node: str = Field("", description="Machine that it runs on.")
    labels: dict[str, str] = Field({}, description="By which streams choose it.")
    device: str = Field("cpu", description="What it runs on: cpu, cuda.")
    pipelines: tuple[str, ...] = Field(("default",), description="Pipelines that it serves.")
    max_streams: int = Field(description="Streams that it can hold.")
    num_streams: int = Field(0, description="Streams that it holds.")
    started_at: float = Field(0.0, description="UTC, seconds since 1970.")
    updated_at: float = Field(0.0, description="UTC, seconds since 1970.")
    model: str = Field("", description="Model that runs; empty before the first is loaded.")
    capacity_fps: float = Field(
        0.0,
        description="Frames a second that the engine infers at its best batch size: median of the "
        "last 10 s; 0 until it is known.",
    )
    admission_fps: float = Field(
        0.0,
        description="What floors are admitted against: the capacity when the engine was last busy; "
        "twice `capacity_fps` before, as batches overlap then; 0 until it is known.",
    )
    frame_ms: float = Field(
        0.0, description="What one frame costs, a batch of its own, in ms; 0 until it is known."
    )
    floors_fps: float = Field(0.0, description="Sum of the floors of the streams that it holds.")
    decoder: str = Field("", description="What decodes: cpu, nvdec; empty until it is known.")
    decode_mpx_s: float = Field(
        0.0,
        description="What its decoder does, in Mpx/s: measured at the start, on a CPU then by what "
        "its streams cost; a picture counts its pixels and 230,400 more. 0 until it is known.",
    )
    decode_1080p_fps: float = Field(
        0.0, description="The same in frames a second of 1920x1080; 1080p25 takes 57.6 Mpx/s."
    )
    decode_admission_mpx_s: float = Field(
        0.0, description="Up to which it takes streams: that and a margin; 0 until it is known."
    )
    decode_load_mpx_s: float = Field(
        0.0, description="What decoding its streams takes, of those whose source is known."
    )
    decode_ratio: float = Field(0.0, description="That load over what the decoder does.")
    utilisation: float = Field(0.0, description="Share of the last seconds that it inferred.")
    num_waiting: int = Field(0, description="Frames that wait for a batch.")
    batch_fill: float = Field(0.0, description="Frames in a batch, on average.")
    batch_ms: dict[int, float] = Field({}, description="What a batch costs in ms, by its size.")
    batch_counts: dict[int, int] = Field({}, description="Batches so far, by number of frames.")
    classes: dict[QosClass, ClassLoad] = Field({}, description="Load by class of service.")
    ladder: Ladder = Field(Ladder(), description="What long overload takes from its streams.")
    stages: dict[Stage, dict[QosClass, StageLatency]] = Field(
        {},
        description="Latency by stage and class: `decode` (arrival to a picture in the pool), "
        "`queue` (to the begin of its batch), `inference` (to its detections), `analytics` (until "
        "tracker, rules and sinks have had them).",
    )
    sinks: tuple[SinkLoad, ...] = Field((), description="Where its events go.")
    gpu: GpuLoad | None = Field(None, description="Its GPU; null on a CPU, or without NVML.")
    details: dict[str, Any] = Field({}, description="Its processes, for people.")


class SourceStatus(_Record):
    """The camera's picture as the decoder found it."""

    codec: str = Field("", description="Name of the codec: h264, hevc.")
    width: int = Field(0, description="Pixels.")
    height: int = Field(0, description="Pixels.")
    fps: float = Field(0.0, description="Frames a second that the source declares or shows.")
    decoder: str = Field("", description="What decodes it: cpu, nvdec; empty until it is known.")
    fallback: str = Field("", description="Why that is the CPU where the GPU should decode.")


class LedgerStatus(_Record):
    """Where the decoded frames of a stream ended."""

    decoded: int = Field(0, description="Pictures that came out of the decoder.")
    inferred: int = Field(0, description="Of these, how many went through the model.")
    dropped: dict[DropReason, int] = Field({}, description="Of these, how many did not, and why.")
    on_time: int = Field(0, description="Of the inferred, how many before their deadline.")
    analysed: int = Field(0, description="Of the inferred, how many went through the rules.")
    events: int = Field(0, description="Events written.")
    reconnects: int = Field(0, description="Times that the camera was opened again.")
    decode_errors: int = Field(0, description="Packets that the decoder refused.")
    skipped: int = Field(
        0,
        description="Packets that were not decoded: to catch up with the camera where processor "
        "time is short, or because the degrade ladder leaves key frames only.",
    )
    in_flight: int = Field(0, description="Decoded frames that have not ended yet.")
    latency_ms: dict[str, float] = Field(
        {}, description="p50, p95, p99 from arrival to detections; empty before the first frame."
    )
    latency_counts: dict[float, int] = Field(
        {}, description="Inferred frames by latency, each bucket of 3 % by its middle in ms."
    )

    @property
    def late(self) -> int:
        """Inferred frames whose deadline had passed."""
        return self.inferred - self.on_time

    @property
    def deadline_hits(self) -> float | None:
        """Share on time, of the frames that were inferred or given up for their deadline."""
        due = self.inferred + self.dropped.get(DropReason.DEADLINE, 0)
        return round(self.on_time / due, 4) if due else None

    @classmethod
    def from_entry(cls, entry: LedgerEntry) -> LedgerStatus:
        """The counts of a ledger row."""
        return cls(
            decoded=entry.decoded,
            inferred=entry.inferred,
            dropped=entry.dropped,
            on_time=entry.on_time,
            analysed=entry.analysed,
            events=entry.events,
            reconnects=entry.reconnects,
            decode_errors=entry.decode_errors,
            skipped=entry.skipped,
            in_flight=entry.in_flight,
            latency_ms=entry.latency_ms,
            latency_counts=entry.latency_counts,
        )


class CropStatus(_Record):
    """Crops of a stream for one secondary model; what is in none of the others is under way."""

    num_asked: int = Field(0, description="Crops that were asked for.")
    num_answered: int = Field(0, description="Of these, how many were read.")
    missed: dict[MissReason, int] = Field({}, description="Of these, how many were not, and why.")


class StreamStatus(_Record):
    """What the slot that holds a stream's lease says of it."""

    state: StreamState
    reason: str = Field("", description="Short word for the state: timeout, refused, stalled.")
    message: str = Field("", description="For people, without credentials.")
    since: float = Field(0.0, description="UTC, seconds since 1970, of the last change of state.")
    slot: str
    token: int = Field(description="Fencing token of the lease.")
    generation: int = Field(0, description="Version of the spec that runs.")
    degrade_step: DegradeStep = Field(
        DegradeStep.NONE, description="What long overload takes from it."
    )
    fps: float = Field(0.0, description="Decoded frames a second, lately.")
    offered_fps: float = Field(
        0.0, description="Of these, how many it would have inferred: whole and within max_fps."
    )
    inferred_fps: float = Field(0.0, description="Of these, how many were.")
    decode_mpx_s: float | None = Field(
        None,
        description="What decoding it takes, in Mpx/s, at the rate of its source; null until that "
        "is known.",
    )
    queue_age_ms: float | None = Field(
        None, description="How long its waiting frame has waited; null where none waits."
    )
    source: SourceStatus | None = None
    session: int = Field(
        0,
        description="Names the last open of the camera: counts up from its UTC second, so that it "
        "differs across restarts, too.",
    )
    ledger: LedgerStatus = LedgerStatus()
    crops: dict[str, CropStatus] = {}
    last_event: dict[str, Any] | None = None
    updated_at: float = Field(0.0, description="UTC, seconds since 1970.")
