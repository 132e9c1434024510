"""Which waiting frame is the first that can no longer be on time."""

from __future__ import annotations

from actors.inference.lazy_heap import LazyHeap
from actors.inference.waiting import WaitingStream


class Deadlines:
    """Streams by the deadline of the frame that waits.

    Those with a frame in flight are apart: their next one can become late, but not be taken.
    """

    def __init__(self) -> None:
        self._free: LazyHeap[WaitingStream] = LazyHeap()
        self._blocked: LazyHeap[WaitingStream] = LazyHeap()

    def __len__(self) -> int:
        return len(self._free) + len(self._blocked)

    def put(self, stream: WaitingStream) -> None:
        """Another frame of the stream waits."""
        if stream.ticket is not None:
            heap = self._blocked if stream.is_in_flight else self._free
            heap.put(stream, stream.ticket.deadline)

    def remove(self, stream: WaitingStream) -> None:
        """The stream waits no longer, or no longer there."""
        (self._blocked if stream.is_in_flight else self._free).remove(stream)

    def late(self, lasts_s: float, now: float) -> WaitingStream | None:
        """A stream whose frame is late in any batch that lasts so long."""
        for heap in (self._free, self._blocked):
            if latest_start(stream := heap.first(), lasts_s) < now:
                return stream
        return None

    def late_if_taken(self, lasts_s: float, now: float) -> WaitingStream | None:
        """As ``late``, only of those that can be taken."""
        stream = self._free.first()
        return stream if latest_start(stream, lasts_s) < now else None

    def latest_take(self, lasts_s: float) -> float:
        """When a batch that lasts so long must begin to make nothing late."""
        return latest_start(self._free.first(), lasts_s)

    def half_time(self) -> float:
        """When half of the time of the first frame that can be taken is over."""
        return latest_start(self._free.first(), float("inf"))

    def latest_start(self, lasts_s: float) -> float:
        """When the first frame will be ``late``; infinite where none waits."""
        return min(latest_start(heap.first(), lasts_s) for heap in (self._free, self._blocked))


def latest_start(stream: WaitingStream | None, lasts_s: float) -> float:
    """When a ticket is given up; half its time is always its own, whatever one slow batch cost."""
    if stream is None or stream.ticket is None:
        return float("inf")
    ticket = stream.ticket
    return ticket.deadline - min(lasts_s, (ticket.deadline - ticket.arrival) / 2)
