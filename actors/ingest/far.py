"""The way to an engine on another machine: pictures travel with their tickets, scaled down.

The actor fills slots of a pool of its own, which are numbered as those that the engine leased to it
and hold smaller pictures. A call carries copies of them. Times are told by the engine's clock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from actors.channel import ChannelAddress, Route
from actors.far_messages import FarReply, FarRequest
from actors.messages import (
    AttachRequest,
    PoolLease,
    SubmitReply,
    SubmitRequest,
    Ticket,
)
from engines.frames import FramePool, PoolLayout

_CALL_TIMEOUT_S = 10.0
_INTRODUCTION_TIMEOUT_S = 1.0
_NUM_SAMPLES = 64
_NUM_FIRST_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class FarConfig:
    """How pictures travel.

    Attributes:
        slot_bytes: Of the largest picture that is sent; larger ones are scaled down to it.
        max_bytes_s: No more is sent in a second; pictures that come meanwhile supersede each other.
    """

    slot_bytes: int
    max_bytes_s: float


class ClockOffset:
    """How far another machine's clock is ahead, as the quickest of the last exchanges tells.

    As in NTP (RFC 5905, section 8): both ways are taken to last equally long, so that the error is
    at most half of an exchange.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=_NUM_SAMPLES)

    @property
    def seconds(self) -> float:
        """Add it to a time of here to have one of there; 0 before the first exchange."""
        return min(self._samples)[1] if self._samples else 0.0

    def note(self, sent: float, received: float, answered: float, returned: float) -> None:
        """Take an exchange: times of here, there, there and here, seconds."""
        delay_s = (returned - sent) - (answered - received)
        self._samples.append((delay_s, ((received - sent) + (answered - returned)) / 2))


class Allowance:
    """Bytes that may be sent: so many a second, and what a tenth of one saves up.

    Args:
        bytes_s: A second.
    """

    def __init__(self, bytes_s: float) -> None:
        self._bytes_s = bytes_s
        self._free_at = 0.0

    def pause_s(self, num_bytes: int, now: float) -> float:
        """How long to wait after sending so much; ``now`` in seconds, never going back."""
        self._free_at = max(self._free_at, now - 0.1) + num_bytes / self._bytes_s
        return max(0.0, self._free_at - now)


class FarRoute:
    """The way to the engine of a slot on another machine.

    Keeps the EngineLink protocol.

    Args:
        config: How pictures travel.
        clock: Seconds, the clock of the tickets.
    """

    def __init__(self, config: FarConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._route = Route("the engine", _CALL_TIMEOUT_S)
        self._offset = ClockOffset()
        self._allowance = Allowance(config.max_bytes_s)
        self._pool: FramePool | None = None
        self._has_file = False
        self._engine_layout: PoolLayout | None = None

    def lead_to(self, engine: ChannelAddress) -> None:
        """The engine is there now."""
        self._route.lead_to(engine)

    def attach(self, ingest: str) -> PoolLease:
        """Get a lease of the engine's pool, in the shape of a pool of this machine."""
        self._route.close()
        self._route.wait_until_known(_INTRODUCTION_TIMEOUT_S)
        lease = cast(PoolLease, self._route.call(AttachRequest(ingest)))
        self._offset = ClockOffset()
        for _ in range(_NUM_FIRST_SAMPLES):
            self._exchange(FarRequest(SubmitRequest(ingest, lease.generation)))
        return replace(lease, layout=self._own_pool(lease.layout).layout)

    def submit(self, request: SubmitRequest) -> SubmitReply:
        """Bring tickets with their pictures, fetch releases."""
        pool, ahead_s = self._pool, self._offset.seconds
        if pool is None:
            raise ConnectionError("not attached yet")
        if self._has_file:  # whoever needs it has it mapped by now, and none is left behind
            pool.unlink()
            self._has_file = False
        pictures = tuple(pool.packed(ticket.slot, ticket.picture) for ticket in request.tickets)
        tickets = tuple(_shifted(ticket, ahead_s) for ticket in request.tickets)
        reply = self._exchange(FarRequest(replace(request, tickets=tickets), pictures))
        time.sleep(self._allowance.pause_s(sum(map(len, pictures)), self._clock()))
        releases = tuple(
            replace(release, finished_at=release.finished_at - ahead_s)
            for release in reply.releases
        )
        return replace(reply, releases=releases)

    def _exchange(self, request: FarRequest) -> SubmitReply:
        sent_at = self._clock()
        answer = cast(FarReply, self._route.call(request))
        self._offset.note(sent_at, answer.received_at, answer.answered_at, self._clock())
        return answer.reply

    def _own_pool(self, layout: PoolLayout) -> FramePool:
        """As many slots as the engine's, so that their numbers are the same; few are ever used."""
        if self._pool is None or layout != self._engine_layout:
            slot_bytes = min(layout.slot_bytes, self._config.slot_bytes)
            self._pool = FramePool.create(layout.num_slots, slot_bytes, name="far-pool")
            self._has_file = True
            self._engine_layout = layout
        return self._pool


def _shifted(ticket: Ticket, seconds: float) -> Ticket:
    return replace(
        ticket,
        arrival=ticket.arrival + seconds,
        deadline=ticket.deadline + seconds,
        ready=ticket.ready + seconds,
    )
