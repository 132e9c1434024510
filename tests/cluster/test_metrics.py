"""Prometheus metrics made from the registry."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from actors.crop_messages import MissReason
from actors.messages import DegradeStep, DropReason, StreamState
from actors.specs import QosClass
from actors.stages import Stage
from cluster.embedded import EmbeddedRedis
from cluster.metrics import OTHER, collector_registry
from cluster.registry import (
    ClassLoad,
    CropStatus,
    GpuLoad,
    Ladder,
    LedgerStatus,
    Registry,
    SinkLoad,
    SlotState,
    StageLatency,
)
from cluster.registry.scaling import ScalingInfo
from tests.cluster.builders import slot_info, stream_spec, stream_status

TTL_MS = 60_000


def scrape(registry: Registry, max_labels: int = 100) -> dict[tuple[str, ...], float]:
    """Samples by name and label values, in order of the labels, with ``stream`` first."""
    text = generate_latest(collector_registry(registry, max_labels)).decode()
    return {
        (sample.name, *_values(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _values(labels: dict[str, str]) -> list[str]:
    return [labels[name] for name in sorted(labels, key=lambda name: (name != "stream", name))]


def run(registry: Registry, stream: str, ledger: LedgerStatus, **fields: Any) -> None:
    registry.streams.create(stream_spec(stream))
    token = registry.leases.claim("slot-a", [stream], TTL_MS)[stream]
    status = stream_status("slot-a", token, state=StreamState.RUNNING, ledger=ledger, **fields)
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


def test_how_many_slots_are_wanted_stands_beside_how_many_there_are(registry: Registry) -> None:
    registry.slots.publish(slot_info("slot-a"), TTL_MS)
    assert ("sightline_slots_wanted",) not in scrape(registry), "where no autoscaler runs"
    registry.scaling.publish(ScalingInfo(wanted=3, current=1, min_slots=1, max_slots=8))
    samples = scrape(registry)
    assert samples["sightline_slots", "ready"] == 1
    assert samples["sightline_slots_wanted",] == 3
    assert (samples["sightline_slots_min",], samples["sightline_slots_max",]) == (1, 8)


def test_what_became_of_deadlines_is_counted_and_the_step_shown(registry: Registry) -> None:
    ledger = LedgerStatus(
        decoded=20, inferred=12, on_time=11, dropped={DropReason.DEADLINE: 4, DropReason.LOST: 1}
    )
    run(registry, "gate", ledger, degrade_step=DegradeStep.KEY_FRAMES)
    registry.streams.create(stream_spec("yard"))
    samples = scrape(registry)
    assert samples["sightline_deadlines_total", "gate", "hit"] == 11
    assert samples["sightline_deadlines_total", "gate", "late"] == 1
    assert samples["sightline_deadlines_total", "gate", "dropped"] == 4
    assert samples["sightline_stream_degrade_step", "gate", "key_frames"] == 1
    assert samples["sightline_stream_degrade_step", "yard", "none"] == 1


def test_a_slot_shows_capacity_use_queues_batches_and_ladder(registry: Registry) -> None:
    waiting = ClassLoad(
        num_waiting=3, oldest_wait_ms=40, num_inferred=100, num_on_time=97, num_dropped=5
    )
    info = slot_info(
        capacity_fps=80.2,
        floors_fps=36.5,
        decode_mpx_s=900.0,
        decode_load_mpx_s=225.0,
        decode_ratio=0.25,
        utilisation=0.97,
        batch_ms={1: 8.0, 2: 14.0, 4: 26.0},
        batch_counts={1: 10, 4: 5},
        classes={QosClass.LOW: waiting},
        ladder=Ladder(rung=2, name="normal capped"),
    )
    registry.slots.publish(info, TTL_MS)
    samples = scrape(registry)
    assert samples["sightline_slot_capacity_fps", "slot-a"] == 80.2
    assert samples["sightline_slot_floors_fps", "slot-a"] == 36.5
    assert samples["sightline_slot_decode_mpx_per_second", "slot-a"] == 900.0
    assert samples["sightline_slot_decode_load_mpx_per_second", "slot-a"] == 225.0
    assert samples["sightline_slot_decode_ratio", "slot-a"] == 0.25
    assert samples["sightline_slot_utilisation_ratio", "slot-a"] == 0.97
    assert samples["sightline_slot_ladder_rung", "slot-a"] == 2
    assert samples["sightline_queue_age_seconds", "low", "slot-a"] == pytest.approx(0.04)
    assert samples["sightline_queue_frames", "low", "slot-a"] == 3
    outcomes = {"on_time": 97, "late": 3, "dropped": 5}
    for outcome, number in outcomes.items():
        assert samples["sightline_class_frames_total", "low", outcome, "slot-a"] == number
    sizes = {"1.0": 10, "2.0": 10, "4.0": 15, "+Inf": 15}
    for size, number in sizes.items():
        assert samples["sightline_batch_size_bucket", size, "slot-a"] == number
    assert samples["sightline_batch_size_sum", "slot-a"] == 30
    assert samples["sightline_batch_size_count", "slot-a"] == 15


def test_the_stages_of_a_slot_are_histograms_by_class(registry: Registry) -> None:
    queue = StageLatency(latency_counts={0.9: 5, 30.0: 3, 9000.0: 2})
    registry.slots.publish(slot_info(stages={Stage.QUEUE: {QosClass.HIGH: queue}}), TTL_MS)
    samples = scrape(registry)
    name = "sightline_stage_latency_seconds"
    for bound, num in {"0.001": 5, "0.025": 5, "0.05": 8, "5.0": 8, "+Inf": 10}.items():
        assert samples[f"{name}_bucket", "high", bound, "slot-a", "queue"] == num
    assert samples[f"{name}_count", "high", "slot-a", "queue"] == 10
    assert samples[f"{name}_sum", "high", "slot-a", "queue"] == pytest.approx(18.0945)


def test_sinks_show_what_became_of_their_events(registry: Registry) -> None:
    sink = SinkLoad(
        name="redis-0",
        is_connected=False,
        num_written=90,
        num_spooled=20,
        num_dropped=1,
        num_fenced=4,
        num_waiting=7,
    )
    registry.slots.publish(slot_info(sinks=(sink, SinkLoad(name="file-1"))), TTL_MS)
    samples = scrape(registry)
    for outcome, num in {"written": 90, "spooled": 20, "dropped": 1, "fenced": 4}.items():
        assert samples["sightline_sink_events_total", outcome, "redis-0", "slot-a"] == num
    assert samples["sightline_sink_waiting_events", "redis-0", "slot-a"] == 7
    assert samples["sightline_sink_connected", "redis-0", "slot-a"] == 0
    assert samples["sightline_sink_connected", "file-1", "slot-a"] == 1


def test_the_gauges_of_a_slots_gpu_are_shown_as_far_as_it_has_them(registry: Registry) -> None:
    gpu = GpuLoad(
        uuid="GPU-8a3f",
        sm=0.87,
        decoder=0.99,
        memory_used_bytes=31 << 30,
        memory_total_bytes=141 << 30,
        power_w=412.5,
    )
    registry.slots.publish(slot_info("slot-a", gpu=gpu), TTL_MS)
    registry.slots.publish(slot_info("slot-b"), TTL_MS)
    samples = scrape(registry)
    shown = {key[0]: value for key, value in samples.items() if key[1:] == ("GPU-8a3f", "slot-a")}
    assert shown == {
        "sightline_gpu_sm_ratio": 0.87,
        "sightline_gpu_decoder_ratio": 0.99,
        "sightline_gpu_memory_used_bytes": 31 << 30,
        "sightline_gpu_memory_total_bytes": 141 << 30,
        "sightline_gpu_power_watts": 412.5,
    }
    assert not [key for key in samples if key[0].startswith("sightline_gpu") and "slot-b" in key]


def test_a_slot_that_has_measured_nothing_can_be_scraped(registry: Registry) -> None:
    registry.slots.publish(slot_info(), TTL_MS)
    samples = scrape(registry)
    assert samples["sightline_slot_capacity_fps", "slot-a"] == 0
    assert samples["sightline_batch_size_count", "slot-a"] == 0


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


def test_crops_are_counted_by_stream_secondary_and_reason(registry: Registry) -> None:
    missed = {MissReason.BUSY: 3, MissReason.ABSENT: 1}
    crops = {"vehicle": CropStatus(num_asked=10, num_answered=5, missed=missed)}
    run(registry, "a", LedgerStatus())
    for stream in ("gate", "yard", "zoo"):
        run(registry, stream, LedgerStatus(), crops=crops)
    samples = scrape(registry, max_labels=2)
    for stream, factor in (("gate", 1), (OTHER, 2)):
        assert samples["sightline_crops_asked_total", stream, "vehicle"] == 10 * factor
        assert samples["sightline_crops_answered_total", stream, "vehicle"] == 5 * factor
        for why in MissReason:
            num = factor * missed.get(why, 0)
            assert samples["sightline_crops_missed_total", stream, why.value, "vehicle"] == num
    assert not any(name.startswith("sightline_crops") and "a" in of for name, *of in samples)


def test_without_redis_only_its_absence_is_shown() -> None:
    with EmbeddedRedis() as server:
        registry = Registry.open(server.url)
        assert scrape(registry)["sightline_redis_up",] == 1
    assert scrape(registry) == {("sightline_redis_up",): 0}
    registry.close()
