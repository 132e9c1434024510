"""The registry as one object: desired streams and pipelines, leases, slots, and a wake-up call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis

from cluster.placement import SlotLoad, assumed_mpx_s
from cluster.registry.desired import DesiredStreams, Pipelines
from cluster.registry.leases import Leases
from cluster.registry.records import Lease, SlotInfo, StreamRecord, StreamStatus
from cluster.registry.scaling import Scaling
from cluster.registry.slots import Slots
from cluster.registry.states import StateView, state_of
from cluster.registry.store import Store, connect

_MAX_STREAMS = 10_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is known of streams, read in a few round trips; not one instant.

    Attributes:
        streams: Their jobs.
        leases: Of those that a slot has.
        statuses: What slots last said of them.
        slots: All that are alive; of ``snapshot_of`` none where no stream waits for one.
        assumed_mpx_s: What slots take decoding for while a stream's source is not known.
    """

    streams: Mapping[str, StreamRecord]
    leases: Mapping[str, Lease]
    statuses: Mapping[str, StreamStatus]
    slots: Mapping[str, SlotInfo]
    assumed_mpx_s: float

    def state(self, stream: str) -> StateView:
        """What one of its streams is doing."""
        return state_of(
            self.streams[stream],
            self.leases.get(stream),
            self.statuses.get(stream),
            self.slots,
            self.assumed_mpx_s,
        )


class Registry:
    """Desired state, leases and status in Redis. Safe to share between threads.

    Args:
        client: A client that decodes answers, as ``connect`` makes it.
        prefix: First part of all keys.
        max_streams: Streams that may be desired at once.

    Attributes:
        streams: Desired streams.
        pipelines: Pipelines by name.
        leases: Leases, and the status that goes with them.
        slots: Live slots.
        scaling: What the autoscaler wants.
    """

    def __init__(
        self, client: redis.Redis, prefix: str = "sightline", max_streams: int = _MAX_STREAMS
    ) -> None:
        self._store = Store(client, prefix)
        self.streams = DesiredStreams(self._store, max_streams)
        self.pipelines = Pipelines(self._store)
        self.leases = Leases(self._store)
        self.slots = Slots(self._store)
        self.scaling = Scaling(self._store)

    @classmethod
    def open(cls, url: str, prefix: str = "sightline", max_streams: int = _MAX_STREAMS) -> Registry:
        """A registry on the Redis at a URL; it connects at its first use."""
        return cls(connect(url), prefix, max_streams)

    @property
    def address(self) -> str:
        """Host and port of Redis, without credentials."""
        return self._store.address

    def ping(self) -> None:
        """Ask whether Redis answers.

        Raises:
            UnavailableError: It does not.
        """
        self._store.command("PING")

    def revision(self) -> int:
        """Counts up with every change of a desired stream or pipeline."""
        return int(self._store.command("GET", self._store.key("revision")) or 0)

    def snapshot(self) -> Snapshot:
        """All desired streams with lease and status, and the live slots."""
        streams = self.streams.all()
        return self._snapshot(streams, self.leases.lookup(streams), with_slots=True)

    def snapshot_of(self, streams: Mapping[str, StreamRecord]) -> Snapshot:
        """The same of some streams, by their ids.

        The slots are read only where one of them waits: nothing else depends on them.
        """
        leases = self.leases.lookup(streams)
        return self._snapshot(streams, leases, with_slots=len(leases) < len(streams))

    def _snapshot(
        self,
        streams: Mapping[str, StreamRecord],
        leases: Mapping[str, Lease],
        *,
        with_slots: bool,
    ) -> Snapshot:
        texts = self.slots.loads().values() if with_slots else ()
        loads = [load for load in map(SlotLoad.from_json, texts) if load is not None]
        return Snapshot(
            streams=streams,
            leases=leases,
            statuses=self.leases.statuses(streams),
            slots=self.slots.all() if with_slots else {},
            assumed_mpx_s=assumed_mpx_s(loads),
        )

    def subscribe(self) -> WakeUp:
        """Listen for changes, so that a slot need not poll often.

        Raises:
            UnavailableError: Redis does not answer.
        """
        return WakeUp(self._store)

    def close(self) -> None:
        """Close the connections."""
        self._store.client.close()


class WakeUp:
    """A subscription that tells what of the desired state changed, and which lease came free."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._messages = store.client.pubsub(ignore_subscribe_messages=True)
        with store.guarded():
            self._messages.subscribe(store.key("wake"))

    def wait(self, timeout_s: float) -> frozenset[str]:
        """Wait for a change.

        Returns:
            Names of streams and pipelines that changed or came free since the last call, and
            those of slots that were given some, after ``FOR_SLOT``; empty where there are none.

        Raises:
            UnavailableError: The connection is lost; calling again connects anew.
        """
        names = []
        with self._store.guarded():
            message = self._next(timeout_s)
            while message is not None:
                names.append(str(message["data"]))
                message = self._next(0.0)
        return frozenset(names)

    def _next(self, timeout_s: float) -> Any:
        """The first answer to a subscription is its confirmation, which counts as nothing."""
        return self._messages.get_message(timeout=timeout_s)

    def close(self) -> None:
        """End the subscription."""
        self._messages.close()
