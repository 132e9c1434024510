"""Prometheus metrics of the slots: what they can do, how busy they are, how long frames wait."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from cluster.gpu_metrics import gpu_metrics
from cluster.registry import SlotInfo, SlotState
from cluster.registry.scaling import ScalingInfo

_GAUGES: dict[str, tuple[str, Callable[[SlotInfo], float]]] = {
    "sightline_slot_streams": ("Streams that a slot holds.", lambda slot: slot.num_streams),
    "sightline_slot_max_streams": (
        "Streams that a slot can hold.",
        lambda slot: slot.max_streams,
    ),
    "sightline_slot_capacity_fps": (
        "Frames a second that a slot's engine infers at its best batch size; 0 until measured.",
        lambda slot: slot.capacity_fps,
    ),
    "sightline_slot_admission_fps": (
        "Frames a second against which the floors of a slot's streams are admitted.",
        lambda slot: slot.admission_fps,
    ),
    "sightline_slot_floors_fps": (
        "Frames a second that the floors of a slot's streams ask for.",
        lambda slot: slot.floors_fps,
    ),
    "sightline_slot_decode_mpx_per_second": (
        "Mpx/s that a slot's decoder does, a picture counting 230,400 pixels more; 0 until known.",
        lambda slot: slot.decode_mpx_s,
    ),
    "sightline_slot_decode_load_mpx_per_second": (
        "Mpx/s that decoding a slot's streams takes.",
        lambda slot: slot.decode_load_mpx_s,
    ),
    "sightline_slot_decode_ratio": (
        "Load of a slot's decoder over what it does.",
        lambda slot: slot.decode_ratio,
    ),
    "sightline_slot_utilisation_ratio": (
        "Share of the last seconds in which a slot's engine inferred.",
        lambda slot: slot.utilisation,
    ),
    "sightline_slot_ladder_rung": (
        "How far a slot has gone down the degrade ladder; 0 where nothing is degraded.",
        lambda slot: slot.ladder.rung,
    ),
}

_STAGE_BOUNDS_MS = (1, 2.5, 5, 10, 25, 50, 100, 150, 250, 500, 1000, 2500, 5000)


def slot_metrics(slots: Collection[SlotInfo]) -> Iterator[Metric]:
    """Metrics of these slots, which are alive."""
    count = GaugeMetricFamily("sightline_slots", "Live slots by state.", labels=["state"])
    for state in SlotState:
        count.add_metric([state.value], sum(slot.state is state for slot in slots))
    yield count
    for name, (about, value) in _GAUGES.items():
        gauge = GaugeMetricFamily(name, about, labels=["slot"])
        for slot in slots:
            gauge.add_metric([slot.name], value(slot))
        yield gauge
    yield from _classes(slots)
    yield _batch_sizes(slots)
    yield _stages(slots)
    yield from _sinks(slots)
    yield from gpu_metrics(slots)


def scaling_metrics(scaling: ScalingInfo | None) -> Iterator[Metric]:
    """What the autoscaler wants, beside ``sightline_slots``; nothing where none runs."""
    if scaling is None:
        return
    for name, about, value in (
        ("wanted", "Slots that the autoscaler asks Serve for.", scaling.wanted),
        ("min", "Slots that it never goes below.", scaling.min_slots),
        ("max", "Slots that it never goes above.", scaling.max_slots),
    ):
        yield GaugeMetricFamily(f"sightline_slots_{name}", about, value=value)


def _classes(slots: Collection[SlotInfo]) -> Iterator[Metric]:
    age = GaugeMetricFamily(
        "sightline_queue_age_seconds",
        "How long the oldest frame that waits for a batch has waited.",
        labels=["slot", "class"],
    )
    waiting = GaugeMetricFamily(
        "sightline_queue_frames", "Frames that wait for a batch.", labels=["slot", "class"]
    )
    frames = CounterMetricFamily(
        "sightline_class_frames",
        "Frames of a class since its slot's engine was started: on_time, late or dropped.",
        labels=["slot", "class", "outcome"],
    )
    for slot in slots:
        for qos, load in slot.classes.items():
            of = [slot.name, qos.value]
            age.add_metric(of, load.oldest_wait_ms / 1e3)
            waiting.add_metric(of, load.num_waiting)
            frames.add_metric([*of, "on_time"], load.num_on_time)
            frames.add_metric([*of, "late"], load.num_inferred - load.num_on_time)
            frames.add_metric([*of, "dropped"], load.num_dropped)
    yield from (age, waiting, frames)


def _batch_sizes(slots: Collection[SlotInfo]) -> Metric:
    family = HistogramMetricFamily(
        "sightline_batch_size", "Frames in a batch of the model.", labels=["slot"]
    )
    for slot in slots:
        buckets, total = [], 0
        for size in sorted({*slot.batch_ms, *slot.batch_counts}):
            total += slot.batch_counts.get(size, 0)
            buckets.append((str(float(size)), total))
        num_frames = sum(size * num for size, num in slot.batch_counts.items())
        family.add_metric([slot.name], [*buckets, ("+Inf", total)], num_frames)
    return family


def _stages(slots: Collection[SlotInfo]) -> Metric:
    """From counts in buckets of 3 %, each taken at its middle; so is the sum."""
    family = HistogramMetricFamily(
        "sightline_stage_latency_seconds",
        "How long inferred frames took for decode, queue, inference and analytics.",
        labels=["slot", "stage", "class"],
    )
    for slot in slots:
        for stage, classes in slot.stages.items():
            for qos, latency in classes.items():
                counts = latency.latency_counts
                buckets = [
                    (str(bound / 1e3), sum(num for ms, num in counts.items() if ms <= bound))
                    for bound in _STAGE_BOUNDS_MS
                ]
                total = ("+Inf", sum(counts.values()))
                sum_s = sum(ms * num for ms, num in counts.items()) / 1e3
                family.add_metric([slot.name, stage.value, qos.value], [*buckets, total], sum_s)
    return family


def _sinks(slots: Collection[SlotInfo]) -> Iterator[Metric]:
    labels = ["slot", "sink"]
    connected = GaugeMetricFamily(
        "sightline_sink_connected", "Whether a sink's last delivery worked.", labels=labels
    )
    waiting = GaugeMetricFamily(
        "sightline_sink_waiting_events", "Events that a sink has not delivered yet.", labels=labels
    )
    events = CounterMetricFamily(
        "sightline_sink_events",
        "Events of a sink: written, spooled (on disk for a while), dropped, fenced (refused, as "
        "another slot owned the stream).",
        labels=[*labels, "outcome"],
    )
    for slot in slots:
        for sink in slot.sinks:
            of = [slot.name, sink.name]
            connected.add_metric(of, float(sink.is_connected))
            waiting.add_metric(of, sink.num_waiting)
            events.add_metric([*of, "written"], sink.num_written)
            events.add_metric([*of, "spooled"], sink.num_spooled)
            events.add_metric([*of, "dropped"], sink.num_dropped)
            events.add_metric([*of, "fenced"], sink.num_fenced)
    yield from (connected, waiting, events)
