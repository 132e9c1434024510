"""Leases: which slot runs which stream, until when, and what it may write meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from pydantic import ValidationError

from cluster.registry import scripts
from cluster.registry.records import Lease, StreamStatus
from cluster.registry.store import Store


class Leases:
    """Claim, renew and release leases; write and read the status that goes with one.

    A lease that is not renewed for its time to live is gone, and another slot may claim the
    stream. Every lease has a fencing token that is higher than all before it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def claim(self, slot: str, streams: Iterable[str], ttl_ms: int) -> dict[str, int]:
        """Claim streams that nobody holds; returns the token of each that was won."""
        names = list(streams)
        if not names:
            return {}
        keys = [self._store.key("fence"), *map(self._lease_key, names)]
        tokens = self._store.script(scripts.CLAIM, keys, [slot, ttl_ms])
        return {name: int(token) for name, token in zip(names, tokens, strict=True) if token}

    def renew(self, slot: str, held: Mapping[str, int], ttl_ms: int) -> frozenset[str]:
        """Renew leases by their tokens; returns the streams whose lease is lost."""
        if not held:
            return frozenset()
        keys = [self._lease_key(name) for name in held]
        kept = self._store.script(scripts.RENEW, keys, [slot, ttl_ms, *held.values()])
        return frozenset(name for name, ok in zip(held, kept, strict=True) if not ok)

    def release(self, slot: str, held: Mapping[str, int]) -> int:
        """Give up leases, so that others can claim at once; returns how many were still held."""
        if not held:
            return 0
        keys = [self._store.key("wake"), *map(self._lease_key, held)]
        return int(self._store.script(scripts.RELEASE, keys, [slot, *held.values()]))

    def lookup(self, streams: Iterable[str]) -> dict[str, Lease]:
        """The live leases of these streams."""
        names = list(streams)
        answers = self._store.commands(
            [("HMGET", self._lease_key(name), "slot", "token") for name in names]
        )
        return {
            name: Lease(slot=slot, token=int(token))
            for name, (slot, token) in zip(names, answers, strict=True)
            if slot is not None and token is not None
        }

    def publish_status(self, stream: str, token: int, status: StreamStatus, ttl_ms: int) -> bool:
        """Write a stream's status; False where the token is no longer that of its lease."""
        return not self.publish_statuses({stream: (token, status)}, ttl_ms)

    def publish_statuses(
        self, statuses: Mapping[str, tuple[int, StreamStatus]], ttl_ms: int
    ) -> frozenset[str]:
        """Write the status of many streams; returns those whose token is no longer good."""
        if not statuses:
            return frozenset()
        keys: list[str] = []
        args: list[str | int] = [ttl_ms]
        for name, (token, status) in statuses.items():
            keys += [self._lease_key(name), self._status_key(name)]
            args += [token, status.model_dump_json()]
        accepted = self._store.script(scripts.PUBLISH_STATUS, keys, args)
        return frozenset(name for name, ok in zip(statuses, accepted, strict=True) if not ok)

    def statuses(self, streams: Iterable[str]) -> dict[str, StreamStatus]:
        """The last status of each of these streams that has one."""
        names = list(streams)
        if not names:
            return {}
        texts = self._store.command("MGET", *map(self._status_key, names))
        parsed = {name: _parsed(text) for name, text in zip(names, texts, strict=True) if text}
        return {name: status for name, status in parsed.items() if status is not None}

    def _lease_key(self, stream: str) -> str:
        return self._store.key("lease", stream)

    def _status_key(self, stream: str) -> str:
        return self._store.key("status", stream)


@lru_cache(maxsize=16384)
def _parsed(text: str) -> StreamStatus | None:
    try:
        return StreamStatus.model_validate_json(text)
    except ValidationError:
        return None
