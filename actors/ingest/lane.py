"""The way of a source session into the outbox, and how its frames are booked."""

from __future__ import annotations

from dataclasses import dataclass

from actors.ledger import LedgerRow
from actors.messages import DropReason, Release, Ticket


@dataclass(slots=True, eq=False)
class Lane:
    """The way of one source session into the outbox; closed, it takes and counts nothing more."""

    stream: str
    row: LedgerRow
    is_closed: bool = False


@dataclass(slots=True)
class Entry:
    """A frame in a slot, which is booked once whatever happens to it."""

    ticket: Ticket
    lane: Lane
    is_booked: bool = False

    def drop(self, reason: DropReason) -> None:
        """It ended before the model."""
        if not self.is_booked:
            self.lane.row.count_dropped(reason)
        self.is_booked = True

    def finish(self, release: Release) -> None:
        """The engine is done with it."""
        if release.drop is not None:
            self.drop(release.drop)
        elif not self.is_booked:
            self.lane.row.count_inferred(
                release.finished_at - self.ticket.arrival,
                is_on_time=release.finished_at <= self.ticket.deadline,
            )
