"""Latency by stage between two looks at a slot, whose counts only grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from actors.latency import percentiles_ms
from actors.stages import Stage

Slot = Mapping[str, Any]


def stage_latencies(before: Slot, after: Slot) -> dict[str, dict[str, float]]:
    """p50, p95 and p99 in ms of each stage that frames went through in between, all classes.

    Args:
        before: A slot, as ``/v1/slots`` shows it.
        after: The same slot later. Counts of a process that began anew count as they are.
    """
    found = {}
    for stage in Stage:
        counts = _counts(after, stage)
        known = _counts(before, stage)
        if all(counts[ms] >= num for ms, num in known.items()):
            counts.subtract(known)
        if percentiles := percentiles_ms(counts):
            found[stage.value] = percentiles
    return found


def _counts(slot: Slot, stage: Stage) -> Counter[float]:
    total: Counter[float] = Counter()
    for latency in slot["stages"].get(stage.value, {}).values():
        total.update({float(ms): num for ms, num in latency["latency_counts"].items()})
    return total
