"""What every sink keeps, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.analytics.events import Event


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """Counts of one sink since it was opened.

    Attributes:
        kind: Kind of the sink.
        is_connected: Whether the last delivery worked; True before the first.
        num_written: Events that the server has.
        num_spooled: Events that had to go to disk, those found there at the start included.
        num_dropped: Events that were lost because queue or spool was full.
        num_fenced: Events that the server refused: another slot owned their stream by then.
        num_waiting: Events that are accepted and not written yet.
        error: Why the last delivery failed; empty when it worked.
    """

    kind: str
    is_connected: bool = True
    num_written: int = 0
    num_spooled: int = 0
    num_dropped: int = 0
    num_fenced: int = 0
    num_waiting: int = 0
    error: str = ""


class Sink(Protocol):
    """Takes events in order. Any thread may call it."""

    def write(self, events: Sequence[Event]) -> None:
        """Take events; never waits for a server and never raises because one is away."""

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was taken is delivered; whether it was, in time."""

    def status(self) -> SinkStatus:
        """Counts so far."""

    def close(self, timeout_s: float = 2.0) -> None:
        """Deliver what can be delivered in time, keep the rest on disk, let go of everything."""


class Transport(Protocol):
    """The way to one server, as a delivering sink uses it: from one thread, in batches."""

    kind: str

    def send(self, events: Sequence[Event]) -> int:
        """Deliver all events in order; returns when the server has them.

        Returns:
            How many of them the server refused for good, being those of a former owner.

        Raises:
            SinkError: if it may not have all of them; they are sent again.
        """

    def close(self) -> None:
        """Let go of the connection."""
