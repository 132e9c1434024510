"""Keeps a slot's streams as the registry wants them: claims, renews, changes, ends, publishes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

import ray

from actors.ledger import Ledger
from cluster.registry import Lease, Registry, StreamRecord, StreamStatus, plan_claims
from cluster.registry.admission import NOTHING, Axes
from cluster.slot.changes import StateWatch
from cluster.slot.crew import Crew
from cluster.slot.holdings import Holdings
from cluster.slot.statuses import Statuses

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
        self._statuses = Statuses(name, crew, ledger, holdings)
        self._watch = StateWatch()

    def renew(self) -> None:
        """Renew all leases; a stream whose lease is lost belongs to another slot and is ended."""
        held = self._holdings.tokens()
        lost = self._registry.leases.renew(self._name, held, self._ttl_ms).lost
        for stream in lost:
            logger.warning("%s: the lease is lost", stream)
        self._close_all(lost)

    def sync(self, capacity: Axes = NOTHING) -> None:
        """Compare what is desired with what is held, and do what is to be done.

        Args:
            capacity: What the slot has on each axis; 0 while that is unknown.
        """
        desired = self._registry.streams.all()
        leases = self._registry.leases.lookup(desired)
        claims = plan_claims(
            desired,
            leases,
            self._name,
            self._max_streams,
            (PIPELINE,),
            capacity,
            self._decode_costs(desired, leases) if capacity.decode_mpx_s > 0 else {},
        )
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

    def publish(self, now: float) -> None:
        """Tell of changes, and write the status of all streams; ``now`` never goes back."""
        statuses = self._statuses.of([stream for stream, _ in self._holdings.items()], now)
        self._tell_changes(statuses, now)
        self._publish(statuses)

    @property
    def decode_load_mpx_s(self) -> float:
        """What decoding the held streams takes; those whose source is not known yet left out."""
        return sum(self._statuses.decode_costs.values())

    def close_all(self) -> None:
        """Begin to end every stream."""
        self._close_all(stream for stream, _ in self._holdings.items())

    def abandon(self) -> None:
        """Give up the leases of what could not be ended in time."""
        self._registry.leases.release(self._name, self._holdings.tokens())

    def _decode_costs(
        self, desired: Mapping[str, StreamRecord], leases: Mapping[str, Lease]
    ) -> dict[str, float]:
        """What decoding takes, Mpx/s: of free streams as the last slot that had them found it.

        A spec that has changed since may name another source.
        """
        last = self._registry.leases.statuses([s for s in desired if s not in leases])
        known = {
            stream: status.decode_mpx_s
            for stream, status in last.items()
            if status.decode_mpx_s is not None and status.generation == desired[stream].generation
        }
        return known | self._statuses.decode_costs

    def _claim(self, streams: Iterable[str], desired: Mapping[str, StreamRecord]) -> None:
        """Claim what there is room for: a stream that is closing keeps its place until it ends."""
        new = [s for s in streams if s not in self._holdings][: self._holdings.room]
        last = self._registry.leases.statuses(new)
        won = self._registry.leases.claim(self._name, new, self._ttl_ms)
        self._watch.begin(won, last)
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
        self._publish(self._statuses.of([stream], time.monotonic()))
        self._registry.leases.release(self._name, {stream: holding.token})
        row.clear()
        self._holdings.drop(stream)
        self._deleted.discard(stream)
        self._statuses.forget(stream)
        self._watch.end(stream)

    def _publish(self, statuses: Mapping[str, StreamStatus]) -> None:
        """Not of deleted streams: the status would be that of a new one with the same id."""
        written = {
            stream: (self._holdings[stream].token, status)
            for stream, status in statuses.items()
            if stream not in self._deleted
        }
        self._registry.leases.publish_statuses(written, _STATUS_TTL_MS)

    def _tell_changes(self, statuses: Mapping[str, StreamStatus], now: float) -> None:
        """What a stream does while it is ended is its user's doing, and no news."""
        running = {s: status for s, status in statuses.items() if not self._holdings[s].closing}
        for change in self._crew.report_states(self._watch.changes(running, now)):
            self._watch.told(change.stream, statuses[change.stream], now)
