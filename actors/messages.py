"""The values that travel between the actors of a slot: tickets there, releases and results back.

Those of which there is one a frame are not frozen, though nobody changes them: a frozen dataclass
of eleven fields takes ten times as long to make. They cross a process as rows of plain values.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from itertools import starmap
from operator import attrgetter
from typing import Any

from actors.crop_messages import CropAnswer
from actors.specs import QosSpec, StreamSpec
from engines.detections import Detections
from engines.frames import Picture, PoolLayout

Rows = tuple[tuple[Any, ...], ...]


class DropReason(str, Enum):
    """Why a decoded frame was not inferred. Every such frame has exactly one reason."""

    SUPERSEDED = "superseded"  # a newer frame of the stream took its place while it waited
    DEADLINE = "deadline"  # it could not be inferred before its deadline
    SAMPLED = "sampled"  # above the stream's max_fps
    OVERLOAD = "overload"  # no free slot in the pool, or held back by the degrade ladder
    CORRUPT = "corrupt"  # the decoder marked it as damaged
    CLOSED = "closed"  # the stream was removed or its session ended
    LOST = "lost"  # the process that held it died


class StreamState(str, Enum):
    """What a stream is doing, as people see it."""

    PENDING = "pending"  # no slot has it
    CONNECTING = "connecting"
    RUNNING = "running"
    RECONNECTING = "reconnecting"
    ENDED = "ended"  # a file was played to its end
    FAILED = "failed"  # trying again cannot help


class DegradeStep(str, Enum):
    """What long overload takes from a stream, the mildest first."""

    NONE = "none"
    CAPPED = "capped"  # no more pictures a second than are left for it, its floor at least
    KEY_FRAMES = "key_frames"  # of these, only what is decoded without others
    PAUSED = "paused"  # the camera stays open, nothing is decoded


HELD_BACK = (DegradeStep.KEY_FRAMES, DegradeStep.PAUSED)
"""Steps in which most packets are not decoded, so that pictures need not come."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One stream as a slot gives it to its actors.

    Attributes:
        spec: The stream job.
        token: Fencing token of the lease that the slot holds.
        ledger_row: The stream's row in the slot's ledger.
        generation: Version of the spec in the registry; a higher one replaces.
    """

    spec: StreamSpec
    token: int
    ledger_row: int
    generation: int = 0


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """An ingest actor asks the engine for a lease of its pool.

    Attributes:
        ingest: The actor's name, unique at its engine.
    """

    ingest: str


@dataclass(slots=True)
class Ticket:
    """A frame that waits in the pool for inference.

    Attributes:
        stream: Stream id.
        session: Source session: counts up with each open of the camera, from the UTC second of
            the first, so that it differs across restarts.
        index: Number of the decoded frame within the session, from 0.
        slot: Where the picture lies in the pool.
        picture: Its layout.
        source_size: (width, height) in pixels of the camera's picture.
        pts_s: Presentation time in the source's own clock, seconds.
        ts: UTC, seconds since 1970, when the picture was taken as far as is known.
        arrival: ``time.monotonic()`` when its packet arrived, seconds.
        deadline: Latest ``time.monotonic()`` at which its detections are of use.
        ready: ``time.monotonic()`` when its copy into the slot was begun, seconds.
    """

    stream: str
    session: int
    index: int
    slot: int
    picture: Picture
    source_size: tuple[int, int]
    pts_s: float
    ts: float
    arrival: float
    deadline: float
    ready: float


@dataclass(frozen=True, slots=True)
class PoolLease:
    """What an ingest actor gets when it attaches: the pool and the slots that are its own.

    A new lease of the same ingest actor ends the one before: the generation counts up.
    """

    layout: PoolLayout
    slots: range
    generation: int


@dataclass(frozen=True, slots=True)
class StreamQos:
    """A stream that enters or changes in the scheduler.

    Attributes:
        stream: Stream id.
        qos: Its quality of service.
        max_fps: What its user limits it to; None for all pictures.
    """

    stream: str
    qos: QosSpec
    max_fps: float | None = None


@dataclass(frozen=True, slots=True)
class StreamStep:
    """What the degrade ladder takes from one stream.

    Attributes:
        stream: Stream id.
        step: From now on.
        max_fps: At most so many pictures a second meanwhile; None for no limit.
    """

    stream: str
    step: DegradeStep
    max_fps: float | None = None


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """One call from an ingest actor to the engine: all that came since the last.

    Attributes:
        ingest: The actor's name.
        generation: Of its lease.
        tickets: Frames, at most one a stream.
        opened: Streams that are new or have changed.
        closed: Streams that have left.
        num_given_up: Frames that ended before they could be sent: a newer one took their place, or
            no slot was free.
        decode_lag_s: How far cameras are behind because decoders get too little CPU, seconds; the
            one that is furthest.
    """

    ingest: str
    generation: int
    tickets: tuple[Ticket, ...] = ()
    opened: tuple[StreamQos, ...] = ()
    closed: tuple[str, ...] = ()
    num_given_up: int = 0
    decode_lag_s: float = 0.0

    def __reduce__(self) -> tuple[object, ...]:
        ingest, generation, tickets, *others = _REQUEST_VALUES(self)
        return _request, (ingest, generation, tuple(map(_TICKET_VALUES, tickets)), *others)


@dataclass(slots=True)
class Release:
    """A slot that the engine has finished with, and what became of its frame.

    Attributes:
        slot: Free again.
        drop: Why the frame was not inferred; None where it was.
        finished_at: ``time.monotonic()`` of the outcome, seconds.
    """

    slot: int
    drop: DropReason | None
    finished_at: float


@dataclass(frozen=True, slots=True)
class SubmitReply:
    """Slots that came free since the last call of the same ingest actor.

    Attributes:
        releases: The slots.
        is_busy: Enough frames wait to fill the next batch: more of them are of no use yet.
        steps: What the degrade ladder takes from streams of the actor, where it has changed or
            the stream has just been opened; a lease begins with none.
    """

    releases: tuple[Release, ...]
    is_busy: bool = False
    steps: tuple[StreamStep, ...] = ()

    def __reduce__(self) -> tuple[object, ...]:
        rows = tuple(map(_RELEASE_VALUES, self.releases))
        return _reply, (rows, self.is_busy, self.steps)


@dataclass(slots=True)
class FrameResult:
    """The detections of one frame on their way to analytics, in stream order.

    Attributes:
        stream: Stream id.
        session: Source session.
        index: Number of the decoded frame within the session.
        pts_s: Presentation time, seconds.
        ts: UTC, seconds since 1970.
        arrival: ``time.monotonic()`` when its packet arrived, seconds.
        source_size: (width, height) in pixels of the camera's picture.
        model: What found the detections.
        detections: In pixels of the camera's picture.
        inferred_at: ``time.monotonic()`` when they were there, seconds.
        crops: What secondary models say of crops that were asked for.
    """

    stream: str
    session: int
    index: int
    pts_s: float
    ts: float
    arrival: float
    source_size: tuple[int, int]
    model: str
    detections: Detections
    inferred_at: float
    crops: tuple[CropAnswer, ...] = ()

    @classmethod
    def of(
        cls,
        ticket: Ticket,
        detections: Detections,
        crops: tuple[CropAnswer, ...],
        model: str,
        inferred_at: float,
    ) -> FrameResult:
        """What became of a ticket."""
        return cls(
            ticket.stream,
            ticket.session,
            ticket.index,
            ticket.pts_s,
            ticket.ts,
            ticket.arrival,
            ticket.source_size,
            model,
            detections,
            inferred_at,
            crops,
        )

    def __reduce__(self) -> tuple[object, ...]:
        return FrameResult, _RESULT_VALUES(self)


_TICKET_VALUES = attrgetter(*(each.name for each in fields(Ticket)))
_REQUEST_VALUES = attrgetter(*(each.name for each in fields(SubmitRequest)))
_RELEASE_VALUES = attrgetter(*(each.name for each in fields(Release)))
_RESULT_VALUES = attrgetter(*(each.name for each in fields(FrameResult)))


def _request(ingest: str, generation: int, rows: Rows, *others: Any) -> SubmitRequest:
    return SubmitRequest(ingest, generation, tuple(starmap(Ticket, rows)), *others)


def _reply(rows: Rows, is_busy: bool, steps: tuple[StreamStep, ...]) -> SubmitReply:
    return SubmitReply(tuple(starmap(Release, rows)), is_busy, steps)
