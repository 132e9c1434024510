"""Prometheus metrics made from the registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from actors.messages import DropReason, StreamState
from cluster.embedded import EmbeddedRedis
from cluster.metrics import OTHER, collector_registry
from cluster.registry import LedgerStatus, Registry, SlotState
from tests.cluster.builders import fresh_prefix, slot_info, stream_spec, stream_status

TTL_MS = 60_000


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with EmbeddedRedis() as server:
        yield server.url


@pytest.fixture
def registry(redis_url: str) -> Iterator[Registry]:
    registry = Registry.open(redis_url, fresh_prefix())
    yield registry
    registry.close()


def scrape(registry: Registry, max_labels: int = 100) -> dict[tuple[str, ...], float]:
    """Samples by name and label values, whose label ``stream`` comes first."""
    text = generate_latest(collector_registry(registry, max_labels)).decode()
    return {
        (sample.name, *_values(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _values(labels: dict[str, str]) -> list[str]:
    return [labels[name] for name in sorted(labels, key=lambda name: name != "stream")]


def run(registry: Registry, stream: str, ledger: LedgerStatus) -> None:
    registry.streams.create(stream_spec(stream))
    token = registry.leases.claim("slot-a", [stream], TTL_MS)[stream]
    status = stream_status("slot-a", token, state=StreamState.RUNNING, ledger=ledger)
    registry.leases.publish_status(stream, token, status, TTL_MS)


def test_the_counts_of_a_stream_are_shown(registry: Registry) -> None:
    ledger = LedgerStatus(
        decoded=10,
        inferred=6,
        analysed=5,
        dropped={DropReason.SAMPLED: 3, DropReason.DEADLINE: 0},
        events=4,
        reconnects=2,
        decode_errors=1,
        latency_ms={"p50": 10.0, "p95": 20.0, "p99": 30.0},
    )
    run(registry, "gate", ledger)
    samples = scrape(registry)
    assert samples["sightline_frames_decoded_total", "gate"] == 10
    assert samples["sightline_frames_inferred_total", "gate"] == 6
    assert samples["sightline_frames_analysed_total", "gate"] == 5
    assert samples["sightline_frames_dropped_total", "gate", "sampled"] == 3
    assert samples["sightline_frames_dropped_total", "gate", "deadline"] == 0
    assert samples["sightline_events_total", "gate"] == 4
    assert samples["sightline_reconnects_total", "gate"] == 2
    assert samples["sightline_decode_errors_total", "gate"] == 1
    assert samples["sightline_latency_seconds", "gate", "0.99"] == pytest.approx(0.030)
    assert samples["sightline_stream_state", "gate", "running"] == 1


def test_streams_and_slots_are_counted_by_state(registry: Registry) -> None:
    run(registry, "a", LedgerStatus())
    registry.streams.create(stream_spec("b"))
    registry.streams.create(stream_spec("c", enabled=False))
    registry.slots.publish(slot_info("slot-a", num_streams=1, max_streams=8), TTL_MS)
    registry.slots.publish(slot_info("slot-b", state=SlotState.STARTING), TTL_MS)
    samples = scrape(registry)
    assert samples["sightline_streams", "running"] == 1
    assert samples["sightline_streams", "pending"] == 1
    assert samples["sightline_streams", "disabled"] == 1
    assert samples["sightline_streams", "failed"] == 0
    assert samples["sightline_slots", "ready"] == 1
    assert samples["sightline_slots", "starting"] == 1
    assert samples["sightline_slot_streams", "slot-a"] == 1
    assert samples["sightline_slot_max_streams", "slot-a"] == 8


def test_streams_beyond_the_bound_share_a_label_and_no_count_is_lost(registry: Registry) -> None:
    for number in range(5):
        ledger = LedgerStatus(
            decoded=10, dropped={DropReason.LOST: number}, latency_ms={"p50": 1.0}
        )
        run(registry, f"cam{number}", ledger)
    samples = scrape(registry, max_labels=2)
    decoded = {key[1]: value for key, value in samples.items() if "decoded" in key[0]}
    assert decoded == {"cam0": 10, "cam1": 10, OTHER: 30}
    assert samples["sightline_frames_dropped_total", OTHER, "lost"] == 2 + 3 + 4
    assert ("sightline_latency_seconds", OTHER, "0.5") not in samples
    assert samples["sightline_streams", "running"] == 5


def test_without_redis_only_its_absence_is_shown() -> None:
    with EmbeddedRedis() as server:
        registry = Registry.open(server.url)
        assert scrape(registry)["sightline_redis_up",] == 1
    assert scrape(registry) == {("sightline_redis_up",): 0}
    registry.close()
