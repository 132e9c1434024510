"""Time-outs and limits of one ingest actor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from actors.source_policy import SourcePolicy

DecoderName = Literal["cpu", "nvdec"]


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """How long cameras and the engine may keep an ingest actor waiting.

    Attributes:
        open_timeout_s: A source that has not opened after so long is given up and tried again; a
            camera is back no later than this and a second after it answers again.
        read_timeout_s: So long may a source be silent between two packets.
        picture_timeout_s: So long may a source send packets of which none becomes a picture; a
            camera with key frames 10 s apart needs as much.
        max_stuck_sessions: Sessions of one camera that may hang in a blocked call of FFmpeg before
            no further one is started.
        tick_s: How often cameras are looked after.
        submit_interval_s: Least time between two calls to the engine; what arrives meanwhile
            shares the next call.
        busy_interval_s: The same while the engine has two full batches waiting.
        max_waiting: Frames of a stream that may wait for the next call to the engine.
        beat_s: Where frames come closely, all actors of a machine call the engine together, at the
            multiples of this; 0 where that is of no use.
        max_round_s: A round of cameras that a GPU decodes takes milliseconds; after so long the
            GPU is given up for lost.
        poll_interval_s: How often released slots are asked for while no frame arrives.
        attach_retry_s: Pause before the engine is tried again.
        close_timeout_s: So long do closing a stream and stopping wait for frames and threads.
        decoder: What should decode; the CPU does where the GPU cannot.
        allowed: Which sources may be opened.
        max_decoding: Cameras that the CPU decodes at once: the actor's part of the cores.
    """

    open_timeout_s: float = 3.5
    read_timeout_s: float = 3.0
    picture_timeout_s: float = 20.0
    max_stuck_sessions: int = 3
    tick_s: float = 0.05
    submit_interval_s: float = 0.004
    busy_interval_s: float = 0.008
    max_waiting: int = 1
    beat_s: float = 0.0
    max_round_s: float = 10.0
    poll_interval_s: float = 0.05
    attach_retry_s: float = 0.2
    close_timeout_s: float = 3.0
    decoder: DecoderName = "cpu"
    allowed: SourcePolicy = field(default_factory=SourcePolicy)
    max_decoding: int = 2
