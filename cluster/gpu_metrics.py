"""Prometheus metrics of the slots' GPUs, as NVML has them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from cluster.registry import GpuLoad, SlotInfo

_GAUGES: dict[str, tuple[str, Callable[[GpuLoad], float | None]]] = {
    "sightline_gpu_sm_ratio": (
        "Share of the last second in which a slot's GPU ran a kernel.",
        lambda gpu: gpu.sm,
    ),
    "sightline_gpu_decoder_ratio": (
        "Share of the last second in which the decoders of a slot's GPU were busy.",
        lambda gpu: gpu.decoder,
    ),
    "sightline_gpu_memory_used_bytes": (
        "Memory of a slot's GPU that is taken, by whomever.",
        lambda gpu: gpu.memory_used_bytes,
    ),
    "sightline_gpu_memory_total_bytes": (
        "Memory of a slot's GPU.",
        lambda gpu: gpu.memory_total_bytes,
    ),
    "sightline_gpu_power_watts": ("Power that a slot's GPU draws.", lambda gpu: gpu.power_w),
    "sightline_gpu_temperature_celsius": (
        "Temperature of a slot's GPU.",
        lambda gpu: gpu.temperature_c,
    ),
}


def gpu_metrics(slots: Collection[SlotInfo]) -> Iterator[Metric]:
    """Gauges of the GPUs that answer; the label ``gpu`` is the UUID."""
    for name, (about, value) in _GAUGES.items():
        gauge = GaugeMetricFamily(name, about, labels=["slot", "gpu"])
        for slot in slots:
            known = None if slot.gpu is None else value(slot.gpu)
            if slot.gpu is not None and known is not None:
                gauge.add_metric([slot.name, slot.gpu.uuid], known)
        yield gauge
