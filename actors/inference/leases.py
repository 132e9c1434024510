"""Which ingest actor owns which part of the pool, and what it must be told about its slots."""

from __future__ import annotations

from collections.abc import Iterable

from actors.errors import StaleGenerationError
from actors.messages import DropReason, PoolLease, Release, Ticket
from engines.errors import FramePoolError
from engines.frames import PoolLayout


class PoolLeases:
    """Divides the pool evenly; an ingest actor that attaches again gets the same part anew."""

    def __init__(self, layout: PoolLayout, max_ingests: int) -> None:
        self._layout = layout
        self._max_ingests = max_ingests
        self._share = layout.num_slots // max_ingests
        self._leases: dict[str, PoolLease] = {}
        self._owners: list[str] = []  # of the parts, in their order
        self._releases: dict[str, list[Release]] = {}

    def attach(self, ingest: str) -> PoolLease:
        """Lease a part of the pool; an earlier lease of the same ingest actor ends.

        Raises:
            FramePoolError: if all parts are taken.
        """
        before = self._leases.get(ingest)
        if before is None and len(self._leases) == self._max_ingests:
            raise FramePoolError(
                f"the pool is divided for {self._max_ingests} ingest actors, {ingest} is one more"
            )
        first = before.slots.start if before else len(self._leases) * self._share
        generation = before.generation + 1 if before else 1
        lease = PoolLease(self._layout, range(first, first + self._share), generation)
        self._leases[ingest] = lease
        if before is None:
            self._owners.append(ingest)
        self._releases[ingest] = []
        return lease

    def check(self, ingest: str, generation: int) -> None:
        """Refuse a caller whose lease has ended.

        Raises:
            StaleGenerationError: with both generations.
        """
        lease = self._leases.get(ingest)
        if lease is None or lease.generation != generation:
            current = lease.generation if lease else "none"
            raise StaleGenerationError(
                f"{ingest} speaks of lease {generation}, the present one is {current}: attach again"
            )

    def check_slots(self, ingest: str, generation: int, tickets: Iterable[Ticket]) -> None:
        """Refuse to write where another one may.

        Raises:
            StaleGenerationError: if the lease has ended.
            FramePoolError: if a ticket names a slot that is not of the lease.
        """
        self.check(ingest, generation)
        leased = self._leases[ingest].slots
        for ticket in tickets:
            if ticket.slot not in leased:
                raise FramePoolError(f"{ingest} names slot {ticket.slot}, which is not its own")

    def release(self, slots: Iterable[int], drop: DropReason | None, now: float) -> None:
        """Give slots back to their owner, with what became of their frames."""
        for slot in slots:
            self._releases[self._owners[slot // self._share]].append(Release(slot, drop, now))

    def take(self, ingest: str) -> tuple[Release, ...]:
        """All releases of this ingest actor since the last call."""
        releases = tuple(self._releases[ingest])
        self._releases[ingest].clear()
        return releases
