"""Whether the events that were made have arrived: each once, and in order. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event as it lies in Redis.

    Attributes:
        id: Of the event; the same for one that was written twice.
        stream: Whose it is.
        ts_ms: When it happened, UTC.
    """

    id: str
    stream: str
    ts_ms: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of events.

    Attributes:
        num_made: As the ledgers of the slots count.
        num_lost: Of these, how many are not in Redis.
        num_twice: Entries in Redis beyond the first of an event.
    """

    num_made: int
    num_lost: int
    num_twice: int

    def since(self, before: Tally) -> Tally:
        """What came after an earlier one."""
        return Tally(
            self.num_made - before.num_made,
            self.num_lost - before.num_lost,
            self.num_twice - before.num_twice,
        )


def tally(num_made: int, arrived: Sequence[Arrival]) -> Tally:
    """Hold what arrived against what was made.

    Args:
        num_made: Events of these streams.
        arrived: All of them that are there.
    """
    num_different = len({event.id for event in arrived})
    return Tally(num_made, num_made - num_different, len(arrived) - num_different)


def longest_way_back_s(arrived: Sequence[Arrival]) -> float:
    """The longest way back in time from events of a stream to a later entry.

    A rule tells of some things a while after they happened, so order is kept where this is no
    longer than in calm times.

    Args:
        arrived: In the order of Redis; what comes twice counts at its first place.
    """
    newest: dict[str, int] = {}
    known: set[str] = set()
    back_ms = 0
    for event in arrived:
        if event.id in known:
            continue
        known.add(event.id)
        before_ms = newest.get(event.stream, event.ts_ms)
        back_ms = max(back_ms, before_ms - event.ts_ms)
        newest[event.stream] = max(before_ms, event.ts_ms)
    return back_ms / 1e3
