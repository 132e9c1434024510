"""Keeps a slot's streams as the registry wants them: claims, renews, changes, ends, publishes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import ray

from actors.ingest.status import StreamStatus as CameraStatus
from actors.ledger import Ledger
from cluster.registry import Registry, StreamRecord, StreamStatus, plan_claims
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holdings
from cluster.slot.report import cameras_of, last_events_of, stream_status

logger = logging.getLogger(__name__)

PIPELINE = "default"

# The last counts of a stream that was disabled stay readable for a while.
_STATUS_TTL_MS = 600_000


class StreamKeeper:
    """The streams of one slot.

    Args:
        name: The slot's.
        registry: Where leases and desired streams are.
        crew: The slot's actors.
        ledger: Its frame ledger.
        holdings: The streams that it holds, shared with the crew.
        max_streams: How many it may hold.
        ttl_ms: Life of a lease.
    """

    def __init__(
        self,
        name: str,
        registry: Registry,
        crew: Crew,
        ledger: Ledger,
        holdings: Holdings,
        *,
        max_streams: int,
        ttl_ms: int,
    ) -> None:
        self._name = name
        self._registry = registry
        self._crew = crew
        self._ledger = ledger
        self._holdings = holdings
        self._max_streams = max_streams
        self._ttl_ms = ttl_ms
        self._closing: dict[str, Any] = {}
        self._deleted: set[str] = set()
        self._last_seen: dict[str, CameraStatus] = {}

    def renew(self) -> None:
        """Renew all leases; a stream whose lease is lost belongs to another slot and is ended."""
        lost = self._registry.leases.renew(self._name, self._holdings.tokens(), self._ttl_ms)
        for stream in lost:
            logger.warning("%s: the lease is lost", stream)
        self._close_all(lost)

    def sync(self) -> None:
        """Compare what is desired with what is held, and do what is to be done."""
        desired = self._registry.streams.all()
        leases = self._registry.leases.lookup(desired)
        claims = plan_claims(desired, leases, self._name, self._max_streams, (PIPELINE,))
        gone = {stream for stream, _ in self._holdings.items() if stream not in desired}
        self._deleted |= gone
        self._close_all(gone.union(claims.release))
        self._claim(claims.claim, desired)
        self._apply_changes(desired)

    def finish_closing(self) -> bool:
        """Let go of streams whose frames have all ended; True where none is left to end."""
        if not self._closing:
            return True
        done, _ = ray.wait(list(self._closing.values()), num_returns=len(self._closing), timeout=0)
        for stream in [s for s, ref in self._closing.items() if ref in done]:
            self._let_go(stream)
            del self._closing[stream]
        return not self._closing

    def publish(self) -> None:
        """Write the status of all streams."""
        self._publish([stream for stream, _ in self._holdings.items()])

    def close_all(self) -> None:
        """Begin to end every stream."""
        self._close_all(stream for stream, _ in self._holdings.items())

    def abandon(self) -> None:
        """Give up the leases of what could not be ended in time."""
        self._registry.leases.release(self._name, self._holdings.tokens())

    def _claim(self, streams: Iterable[str], desired: Mapping[str, StreamRecord]) -> None:
        """Claim what there is room for: a stream that is closing keeps its place until it ends."""
        new = [stream for stream in streams if stream not in self._holdings]
        won = self._registry.leases.claim(self._name, new[: self._holdings.room], self._ttl_ms)
        for stream, token in won.items():
            self._crew.open(self._holdings.add(desired[stream], token))

    def _apply_changes(self, desired: Mapping[str, StreamRecord]) -> None:
        for stream, holding in self._holdings.items():
            record = desired.get(stream)
            if record is None or holding.closing:
                continue
            if record.generation != holding.assignment.generation:
                self._crew.update(self._holdings.update(record))

    def _close_all(self, streams: Iterable[str]) -> None:
        """A lease whose claim was never answered is ours but holds no stream: it runs out."""
        for stream in [stream for stream in streams if stream in self._holdings]:
            holding = self._holdings[stream]
            if not holding.closing:
                self._closing[stream] = self._crew.close_camera(stream, holding)
                self._holdings.close(stream)

    def _let_go(self, stream: str) -> None:
        """Publish the last counts, then give up the lease."""
        holding = self._holdings[stream]
        row = self._ledger.row(holding.assignment.ledger_row)
        row.settle()
        self._crew.close_rules(stream, holding)
        self._publish([stream])
        self._registry.leases.release(self._name, {stream: holding.token})
        row.clear()
        self._holdings.drop(stream)
        self._deleted.discard(stream)
        self._last_seen.pop(stream, None)

    def _publish(self, streams: Iterable[str]) -> None:
        """Not of deleted streams: the status would be that of a new one with the same id."""
        statuses = self._statuses(stream for stream in streams if stream not in self._deleted)
        self._registry.leases.publish_statuses(statuses, _STATUS_TTL_MS)

    def _statuses(self, streams: Iterable[str]) -> dict[str, tuple[int, StreamStatus]]:
        cameras, events = cameras_of(self._crew), last_events_of(self._crew)
        statuses = {}
        for stream in streams:
            holding = self._holdings[stream]
            entry = self._ledger.row(holding.assignment.ledger_row).read()
            status = stream_status(
                holding, self._camera(stream, cameras), entry, events.get(stream), self._name
            )
            statuses[stream] = (holding.token, status)
        return statuses

    def _camera(self, stream: str, now: Mapping[str, CameraStatus]) -> CameraStatus | None:
        """A camera that was closed is still shown as it was last seen, until it is let go."""
        if stream in now:
            self._last_seen[stream] = now[stream]
        return self._last_seen.get(stream) if self._holdings[stream].closing else now.get(stream)
