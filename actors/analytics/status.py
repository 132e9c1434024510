"""What a shard tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.analytics.events import Event
from actors.crop_counts import CropTally
from actors.messages import FrameResult
from actors.sinks import SinkStatus
from actors.stages import StageCounts


@dataclass(frozen=True, slots=True)
class StreamAnalytics:
    """One stream of a shard.

    Attributes:
        generation: Of the assignment that it follows.
        last_frame: Last frame that was analysed, with the detections that belong to tracks; None
            before the first.
        last_event: None before the first.
        num_late: Frames that were refused because they came out of order or twice.
        crops: What became of crops for secondary models, by secondary.
    """

    generation: int
    last_frame: FrameResult | None = None
    last_event: Event | None = None
    num_late: int = 0
    crops: dict[str, CropTally] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnalyticsStatus:
    """One shard.

    Attributes:
        incarnation: Random name of this life of the shard; another one means that it began anew
            and must be given its streams again.
        streams: By stream id.
        sinks: In the order of their specs.
        num_unknown: Frames of streams that the shard does not have; they are ignored.
        stages: How long frames took from their detections until sinks had their events.
    """

    incarnation: str
    streams: dict[str, StreamAnalytics]
    sinks: tuple[SinkStatus, ...]
    num_unknown: int
    stages: StageCounts = field(default_factory=dict)
