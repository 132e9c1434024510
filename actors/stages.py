"""How long frames take from stage to stage, counted by class of service where a stage ends.

Only frames that went through the model are counted, so that the stages of one add up to its
latency: ``decode + queue + inference`` is arrival to detections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum

from actors.latency import NUM_BUCKETS, bucket_of, middle_ms
from actors.specs import QosClass


class Stage(str, Enum):
    """The parts of a frame's way, in order."""

    DECODE = "decode"  # arrival of its packet to its picture in a slot of the pool
    QUEUE = "queue"  # from there to the beginning of its batch
    INFERENCE = "inference"  # from there to its detections
    ANALYTICS = "analytics"  # from there until tracker, rules and sinks have had them


StageCounts = dict[Stage, dict[QosClass, dict[float, int]]]
"""Frames so far by stage, class and latency; each bucket of 3 % by its middle in ms."""


class StageClock:
    """Latencies of the frames of one class in the process where their stages end.

    Args:
        stages: Those that end there, in order.
    """

    __slots__ = ("_counts",)

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._counts = tuple([0] * NUM_BUCKETS for _ in stages)

    def count(self, began: float, *ended: float) -> None:
        """A frame went through: when the first stage began, and when each ended, seconds."""
        for counts, end in zip(self._counts, ended, strict=True):
            counts[bucket_of(end - began)] += 1
            began = end

    def read(self) -> list[dict[float, int]]:
        """Of each stage, counts by the middles of their buckets, ms; empty ones are left out."""
        return [
            {middle_ms(bucket): num for bucket, num in enumerate(counts) if num}
            for counts in self._counts
        ]


class StageClocks:
    """One clock for each class. Threads that count take turns; any may read.

    Args:
        stages: Those that end in this process, in order.
    """

    def __init__(self, *stages: Stage) -> None:
        self._stages = stages
        self._clocks = {qos_class: StageClock(stages) for qos_class in QosClass}

    def of(self, qos_class: QosClass) -> StageClock:
        """Where frames of a class are counted."""
        return self._clocks[qos_class]

    def read(self) -> StageCounts:
        """All counts; classes without frames are left out."""
        clocks = {qos_class: clock.read() for qos_class, clock in self._clocks.items()}
        return {
            stage: {name: counts[i] for name, counts in clocks.items() if counts[i]}
            for i, stage in enumerate(self._stages)
        }


def add_counts(parts: Iterable[StageCounts]) -> StageCounts:
    """What several processes have counted, together."""
    total: dict[Stage, dict[QosClass, Counter[float]]] = {}
    for part in parts:
        for stage, classes in part.items():
            for qos_class, counts in classes.items():
                total.setdefault(stage, {}).setdefault(qos_class, Counter()).update(counts)
    return {stage: {c: dict(n) for c, n in classes.items()} for stage, classes in total.items()}
