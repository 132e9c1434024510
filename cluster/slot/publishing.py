"""Writes what a slot says of its streams: what they do at once, their counts in turn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from operator import attrgetter
from typing import Any

from cluster.registry import Registry, StreamStatus
from cluster.slot.changes import StateWatch
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holdings
from cluster.slot.stream_report import Doing

MAX_PARTS = 4
"""Each stream's counts are written with one of so many calls, which are half a second apart."""

MIN_A_CALL = 16
"""Where a slot has no more streams than these, each call writes all."""

# The last counts of a stream that was disabled stay readable for a while.
_STATUS_TTL_MS = 600_000


class Publishing:
    """Tells of changes, and writes statuses.

    Args:
        registry: Where statuses lie.
        crew: Hands changes to analytics, which makes events of them.
        holdings: The slot's streams.
    """

    def __init__(self, registry: Registry, crew: Crew, holdings: Holdings) -> None:
        self._registry = registry
        self._crew = crew
        self._holdings = holdings
        self._watch = StateWatch()
        self._turns = Turns()
        self._deleted: set[str] = set()

    def begin(self, streams: Collection[str]) -> None:
        """These were claimed."""
        self._watch.begin(streams, self._registry.leases.statuses(streams))

    def end(self, stream: str) -> None:
        """The stream was let go."""
        self._watch.end(stream)
        self._turns.forget(stream)
        self._deleted.discard(stream)

    def deleted(self, streams: Iterable[str]) -> None:
        """Write no more of these: the status would be that of a new stream with the same id."""
        self._deleted.update(streams)

    def all(
        self,
        doing: Mapping[str, Doing],
        statuses_of: Callable[[Iterable[str]], dict[str, StreamStatus]],
        now: float,
    ) -> None:
        """Tell of changes, and write what is due.

        Args:
            doing: What all streams do.
            statuses_of: Gives the status of those that are written.
            now: Seconds, never going back.
        """
        self._tell_changes(doing, now)
        due = self._turns.due(doing)
        self.write(statuses_of(due))
        self._turns.written(due)

    def write(self, statuses: Mapping[str, StreamStatus]) -> None:
        """Write these at once."""
        written = {
            stream: (self._holdings[stream].token, status)
            for stream, status in statuses.items()
            if stream not in self._deleted
        }
        self._registry.leases.publish_statuses(written, _STATUS_TTL_MS)

    def _tell_changes(self, doing: Mapping[str, Doing], now: float) -> None:
        """What a stream does while it is ended is its user's doing, and no news."""
        running = {s: each for s, each in doing.items() if not self._holdings[s].closing}
        for change in self._crew.report_states(self._watch.changes(running, now)):
            self._watch.told(change.stream, doing[change.stream], now)


class Turns:
    """Whose status is due: those of which something else than counts has changed, and some others.

    All statuses of ten thousand streams, twice a second, took half of what one Redis can do.
    """

    def __init__(self) -> None:
        self._written: dict[str, Any] = {}  # what was last written, the oldest first

    def due(self, doing: Mapping[str, Doing]) -> dict[str, Doing]:
        """Those that are to be written now."""
        news = [s for s, each in doing.items() if self._written.get(s) != _news(each)]
        num = max(MIN_A_CALL, -(-len(doing) // MAX_PARTS))
        oldest = [stream for stream in self._written if stream in doing][:num]
        return {stream: doing[stream] for stream in dict.fromkeys((*news, *oldest))}

    def written(self, doing: Mapping[str, Doing]) -> None:
        """These were written: it is the turn of all others before them."""
        for stream, each in doing.items():
            self._written.pop(stream, None)
            self._written[stream] = _news(each)

    def forget(self, stream: str) -> None:
        """The stream was let go."""
        self._written.pop(stream, None)


_news = attrgetter(
    *("token", "generation", "state", "reason", "message", "degrade_step", "session"),
    *("decode_mpx_s", "has_source"),
)
