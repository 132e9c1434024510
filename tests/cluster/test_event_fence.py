"""A slot whose stream another one has claimed: the registry's list of owners stops its events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.analytics.events import Event, EventType, Phase
from actors.sinks import SinkStatus, open_sink
from cluster.config import SightlineConfig
from cluster.registry import Registry
from cluster.slot.plan import redis_sink
from tests.cluster.builders import eventually, fresh_prefix, stream_spec

LONG_MS = 60_000


@pytest.fixture
def registry(redis_url: str) -> Iterator[Registry]:
    registry = Registry.open(redis_url, fresh_prefix())
    registry.streams.create(stream_spec("gate"))
    yield registry
    registry.close()


def claim(registry: Registry, slot: str, ttl_ms: int = LONG_MS) -> int:
    """The token of a slot that claims the stream, as soon as it can."""
    held = eventually(lambda: registry.leases.claim(slot, ["gate"], ttl_ms))
    return int(held["gate"])


def claimed_at_ms(registry: Registry) -> int:
    """When the stream was claimed last, by the clock of Redis."""
    newest = registry._store.client.lindex(registry._store.key("owners", "gate"), 0)
    return int(newest.split()[1])


def write(
    registry: Registry, url: str, folder: Path, slot: str, token: int, *times_ms: int
) -> SinkStatus:
    """Let a slot's sink deliver events of these times."""
    redis = {"url": url, "prefix": registry._store.prefix, "spool_dir": folder}
    sink = open_sink(redis_sink(SightlineConfig.model_validate({"redis": redis})))
    sink.write(
        [
            Event(
                f"{ts:032x}",
                EventType.LINE_CROSS,
                Phase.INSTANT,
                "gate",
                ts,
                0.0,
                slot=slot,
                token=token,
            )
            for ts in times_ms
        ]
    )
    assert sink.flush(20)
    sink.close()
    return sink.status()


def told(registry: Registry) -> list[tuple[str, int]]:
    key = registry._store.key("events")
    return [(f["slot"], int(f["ts"])) for _, f in registry._store.client.xrange(key)]


def test_what_a_slot_saw_before_its_successor_claimed_is_told_and_the_rest_is_not(
    registry: Registry, redis_url: str, tmp_path: Path
) -> None:
    first = claim(registry, "a", ttl_ms=30)
    second = claim(registry, "b")
    at = claimed_at_ms(registry)
    write(registry, redis_url, tmp_path, "b", second, at, at + 5)
    status = write(registry, redis_url, tmp_path, "a", first, at - 1000, at - 1, at, at + 5)
    assert told(registry) == [("b", at), ("b", at + 5), ("a", at - 1000), ("a", at - 1)]
    assert (status.num_written, status.num_fenced) == (2, 2)


def test_a_slot_that_claims_its_own_stream_again_may_tell_what_it_saw_meanwhile(
    registry: Registry, redis_url: str, tmp_path: Path
) -> None:
    first = claim(registry, "a", ttl_ms=30)
    assert claim(registry, "a") > first
    at = claimed_at_ms(registry)
    status = write(registry, redis_url, tmp_path, "a", first, at - 5, at + 5)
    assert told(registry) == [("a", at - 5), ("a", at + 5)]
    assert status.num_fenced == 0
