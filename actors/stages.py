"""How long frames take from stage to stage, counted by class of service where a stage ends.

Only frames that went through the model are counted, so that the stages of one add up to its
latency: ``decode + queue + inference`` is arrival to detections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from actors.latency import NUM_BUCKETS, buckets_of, counts_by_ms
from actors.specs import QosClass

_MAX_NOTED = 1024


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

    Times are noted, and put into buckets many at once: that costs a tenth of one by one.

    Args:
        stages: Those that end there, in order.
    """

    __slots__ = ("_num_times", "_state")

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._num_times = 1 + len(stages)
        none = np.zeros((len(stages), NUM_BUCKETS), dtype=np.int64)
        # One attribute, so that who reads while somebody counts sees no frame twice.
        self._state: tuple[NDArray[np.int64], list[tuple[float, ...]]] = none, []

    def count(self, *times: float) -> None:
        """A frame went through: when the first stage began, and when each ended, seconds.

        Raises:
            ValueError: if these are not as many as there are stages, and one.
        """
        if len(times) != self._num_times:
            raise ValueError(
                f"{len(times)} times, of {self._num_times - 1} stages expected one more"
            )
        counts, noted = self._state
        noted.append(times)
        if len(noted) == _MAX_NOTED:
            self._state = counts + _counts(noted), []

    def read(self) -> list[dict[float, int]]:
        """Of each stage, counts by the middles of their buckets, ms; empty ones are left out."""
        counts, noted = self._state
        if noted:
            counts = counts + _counts(list(noted))
        return [counts_by_ms(row) for row in counts]


def _counts(noted: Sequence[tuple[float, ...]]) -> NDArray[np.int64]:
    """Times of some frames as counts of each stage, [stages, buckets]."""
    buckets = buckets_of(np.diff(np.array(noted), axis=1))
    return np.stack([np.bincount(column, minlength=NUM_BUCKETS) for column in buckets.T])


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
