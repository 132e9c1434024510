"""From decoded pictures to tickets: damaged and surplus ones are dropped, the rest fill slots."""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from actors.ingest.decoder import Decoded
from actors.ingest.frame_clock import FrameClock
from actors.ingest.lane import Lane
from actors.ingest.outbox import Outbox
from actors.ingest.picture import PictureLayout
from actors.ingest.sampling import FrameSampler, RateMeter
from actors.ingest.slot_use import Slot
from actors.messages import DegradeStep, DropReason, Ticket
from actors.pools import Pool
from engines.cuda.context import device_works
from engines.errors import DeviceError, FramePoolError
from engines.frames import Picture


@dataclass(frozen=True, slots=True)
class FramePolicy:
    """What may change while a session runs.

    Attributes:
        max_fps: At most so many pictures a second become tickets; None for all.
        deadline_s: From arrival to detections, seconds.
        step: What the degrade ladder takes from the stream.
        cap_fps: At most so many of these, while it does; None for all.
        rank: Who decodes first where processor time is short; 0 before all others.
    """

    max_fps: float | None
    deadline_s: float
    step: DegradeStep = DegradeStep.NONE
    cap_fps: float | None = None
    rank: int = 0


class Arrival(NamedTuple):
    """When a packet came: ``time.monotonic()`` and UTC since 1970, seconds."""

    monotonic: float
    utc: float


class Delivery:
    """The pictures of one source session on their way into the outbox.

    Args:
        session: The session's number.
        lane: Its way into the outbox.
        outbox: Where slots are taken and tickets put.
        not_before: UTC of the last picture of the session before, seconds since 1970.
    """

    def __init__(self, session: int, lane: Lane, outbox: Outbox, not_before: float) -> None:
        self.num_frames = 0
        self.last_ts = not_before
        self.rate = RateMeter()
        self._session = session
        self._lane = lane
        self._outbox = outbox
        self._clock = FrameClock(not_before)
        phase = zlib.crc32(lane.stream.encode()) / 2**32
        self._sampler = FrameSampler(phase)
        self._cap = FrameSampler(phase)
        self._layout = PictureLayout()
        self._begun: Sequence[object] = ()
        self._pool: Pool | None = None

    def deliver(self, decoded: Decoded, arrival: Arrival, policy: FramePolicy) -> None:
        """Book a picture as dropped, or put its ticket."""
        index = self.num_frames
        self.num_frames = index + 1
        self.rate.count(arrival.monotonic)
        self.last_ts = self._clock.stamp(decoded.pts_s, arrival.utc)
        if decoded.is_corrupt:
            self._outbox.count_dropped(self._lane, DropReason.CORRUPT)
        elif not self._sampler.admit(self.last_ts, policy.max_fps):
            self._outbox.count_dropped(self._lane, DropReason.SAMPLED)
        elif not self._cap.admit(self.last_ts, policy.cap_fps):
            # Not `sampled`: the user has not asked for it.
            self._outbox.count_dropped(self._lane, DropReason.OVERLOAD)
        else:
            slot = self._outbox.take_slot(self._lane)
            if slot is not None:
                self._put(slot, decoded, index, arrival.monotonic, policy.deadline_s)

    def finish(self) -> None:
        """Wait until all has been copied: a decoder ends with the last surface that it gave out."""
        if self._begun and self._pool is not None:
            with contextlib.suppress(FramePoolError, DeviceError):  # then others will notice
                self._pool.finish_writes()

    def _put(
        self, slot: Slot, decoded: Decoded, index: int, arrival: float, deadline_s: float
    ) -> None:
        picture = self._fill(slot, decoded)
        if picture is None:
            return
        ticket = Ticket(  # by place: names cost as much again
            self._lane.stream,
            self._session,
            index,
            slot.number,
            picture,
            self._layout.source_size,
            decoded.pts_s,
            self.last_ts,
            arrival,
            arrival + deadline_s,
            time.monotonic(),
        )
        self._outbox.put(self._lane, slot, ticket)

    def _fill(self, slot: Slot, decoded: Decoded) -> Picture | None:
        frame = decoded.frame
        try:
            layout = slot.pool.layout
            picture = self._layout.picture(
                frame, layout.slot_bytes, is_device_slot=layout.device is not None
            )
            if self._begun:  # the feeder is late, and a decoder has few surfaces to give out
                self.finish()
            planes = self._layout.planes(frame, picture)
            self._pool = slot.pool
            self._begun = slot.pool.begin_write(slot.number, picture, planes)
        except FramePoolError:  # the pool has just been replaced
            self._outbox.give_back(self._lane, slot, DropReason.LOST)
            return None
        except DeviceError:  # the engine may have died, and its memory with it
            self._outbox.give_back(self._lane, slot, DropReason.LOST)
            if device_works():
                return None
            raise
        except BaseException:
            self._outbox.give_back(self._lane, slot, DropReason.CORRUPT)
            raise
        return picture
