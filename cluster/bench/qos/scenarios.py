"""How much is asked of the engine, by which classes, and how it arrives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle

from actors.specs import QosClass
from cluster.bench.qos.engine import CPU, LARGE_GPU, SMALL_GPU, SimulatedEngine
from cluster.bench.qos.workload import Camera, Trace, Workload, make_workload

_CAMERA_FPS = 10.0
_FAST_FPS = 120.0
NUM_MORE = 10
_MANY_OF_SECONDS, _MIN_MANY_S = 1 / 3, 5.0  # there are four times as many frames a second


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the engine.

    Attributes:
        name: For tables and checks.
        meaning: In a few words.
        demand: Frames a second by class, as a share of the engine's capacity.
        many: How many of the 1,000 streams each class has; chosen so that the floors fit.
    """

    name: str
    meaning: str
    demand: Mapping[QosClass, float]
    many: Mapping[QosClass, int]


def _by_class(*values: float) -> dict[QosClass, float]:
    return dict(zip(QosClass, values, strict=True))


def _counts(*values: int) -> dict[QosClass, int]:
    return dict(zip(QosClass, values, strict=True))


NORMAL_LOAD = Load(
    "0.8x", "0.8 of capacity", _by_class(0.20, 0.15, 0.20, 0.25), _counts(60, 120, 320, 500)
)
FITTING = Load(
    "2x fits",
    "twice the capacity; critical and high want less than their shares",
    _by_class(0.25, 0.20, 0.75, 0.80),
    _counts(60, 120, 320, 500),
)
EXCEEDING = Load(
    "2x all",
    "twice the capacity; every class wants more than its share",
    _by_class(0.65, 0.45, 0.45, 0.45),
    _counts(200, 250, 270, 280),
)
LOADS = (NORMAL_LOAD, FITTING, EXCEEDING)


@dataclass(frozen=True, slots=True)
class Cell:
    """One workload of the comparison: a load, a trace, an engine, and cameras on top of the load.

    The cameras on top are of all classes in turn.
    """

    load: Load
    trace: Trace
    engine: SimulatedEngine
    num_more: int = 0

    @property
    def name(self) -> str:
        """The trace, and what is not usual about it."""
        name = f"{self.trace.value}, CPU" if self.engine is CPU else self.trace.value
        return f"{name}, {self.num_more} more" if self.num_more else name

    def workload(self, seconds: float) -> Workload:
        """The cameras and their frames; 1,000 streams are played a third as long, but 5 s."""
        if self.trace is Trace.MANY:
            seconds = max(_MIN_MANY_S, seconds * _MANY_OF_SECONDS)
        return make_workload(tuple(self._cameras()), self.trace, seconds)

    def _cameras(self) -> Iterator[Camera]:
        for qos_class in QosClass:
            fps = self.load.demand[qos_class] * self.engine.capacity_fps
            if self.trace is Trace.FAST and qos_class is QosClass.NORMAL:
                yield Camera("fast", qos_class, _FAST_FPS)
                fps = max(fps - _FAST_FPS, _CAMERA_FPS)
            num = max(1, round(fps / _CAMERA_FPS))
            if self.trace is Trace.MANY:
                num = self.load.many[qos_class]
            for number in range(num):
                yield Camera(f"{qos_class.value}-{number}", qos_class, fps / num)
        for number, qos_class in zip(range(self.num_more), cycle(QosClass), strict=False):
            yield Camera(f"more-{number}", qos_class, _CAMERA_FPS)


def cells() -> Iterator[Cell]:
    """Every load with every trace, jittered on a CPU too, and in overload with ten more cameras."""
    for load in LOADS:
        for trace in Trace:
            yield Cell(load, trace, LARGE_GPU if trace is Trace.MANY else SMALL_GPU)
        yield Cell(load, Trace.JITTERED, CPU)
        if load is not NORMAL_LOAD:
            yield Cell(load, Trace.JITTERED, SMALL_GPU, NUM_MORE)
