"""The scheduler's state for people and for the API, and the counts that it is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from actors.inference.waiting import WaitingStream
from actors.messages import Ticket
from actors.specs import QosClass


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """One stream in the scheduler.

    Attributes:
        qos_class: Its class as of now.
        waiting_ms: How long its waiting frame has been here; None where none waits.
        num_inferred: Frames that went through the engine.
        num_on_time: Those of them that were done before their deadline.
    """

    qos_class: QosClass
    waiting_ms: float | None
    num_inferred: int
    num_on_time: int

    def __reduce__(self) -> tuple[object, ...]:
        return StreamSnapshot, (
            self.qos_class,
            self.waiting_ms,
            self.num_inferred,
            self.num_on_time,
        )


@dataclass(frozen=True, slots=True)
class ClassSnapshot:
    """One class in the scheduler; counts go on when streams leave.

    Attributes:
        num_streams: Streams that are in it now.
        num_waiting: Those of them with a frame that waits.
        oldest_wait_ms: The longest of these waits; 0 where none waits.
        num_inferred: Frames that went through the engine.
        num_on_time: Those of them that were done before their deadline.
        num_dropped: Frames given up here, for whatever reason.
    """

    num_streams: int = 0
    num_waiting: int = 0
    oldest_wait_ms: float = 0.0
    num_inferred: int = 0
    num_on_time: int = 0
    num_dropped: int = 0


@dataclass(frozen=True, slots=True)
class SchedulerSnapshot:
    """The scheduler as of its last call.

    Attributes:
        num_streams: Streams that are open.
        num_waiting: Frames that wait, at most two a stream, in overload one.
        num_in_flight: Frames at the engine.
        num_batches: Batches so far.
        num_batched: Frames in them.
        batch_ms: What a batch uses of the engine by size, milliseconds.
        capacity_fps: Most frames a second over the batch sizes that were seen; 0 before the first.
        utilisation: Share of the last five seconds in which a batch was in flight, 0 to 1.
        classes: By class of service.
        batch_counts: Batches so far by number of frames.
        streams: By stream id.
    """

    num_streams: int
    num_waiting: int
    num_in_flight: int
    num_batches: int
    num_batched: int
    batch_ms: dict[int, float]
    capacity_fps: float = 0.0
    utilisation: float = 0.0
    classes: dict[QosClass, ClassSnapshot] = field(default_factory=dict)
    batch_counts: dict[int, int] = field(default_factory=dict)
    streams: dict[str, StreamSnapshot] = field(default_factory=dict)


class Tally:
    """Counts what becomes of tickets, by class; each stream carries its own counts."""

    def __init__(self) -> None:
        self._inferred = dict.fromkeys(QosClass, 0)
        self._on_time = dict.fromkeys(QosClass, 0)
        self._dropped: Counter[QosClass] = Counter()
        self._batches: Counter[int] = Counter()

    @property
    def num_batched(self) -> int:
        """Frames in all batches so far."""
        return sum(size * num for size, num in self._batches.items())

    def batch(self, size: int) -> None:
        """A batch was made."""
        self._batches[size] += 1

    def dropped(self, stream: WaitingStream) -> None:
        """A ticket was given up."""
        self._dropped[stream.qos_class] += 1

    def inferred(self, stream: WaitingStream, ticket: Ticket, now: float) -> None:
        """A ticket came back from the engine."""
        is_on_time = now <= ticket.deadline
        stream.num_inferred += 1
        stream.num_on_time += is_on_time
        self._inferred[stream.qos_class] += 1
        self._on_time[stream.qos_class] += is_on_time

    def classes(self, streams: Iterable[StreamSnapshot]) -> dict[QosClass, ClassSnapshot]:
        """The classes, with what the streams say of themselves."""
        waits: dict[QosClass, list[float]] = {name: [] for name in QosClass}
        num_streams: Counter[QosClass] = Counter()
        for stream in streams:
            num_streams[stream.qos_class] += 1
            if stream.waiting_ms is not None:
                waits[stream.qos_class].append(stream.waiting_ms)
        return {
            name: ClassSnapshot(
                num_streams=num_streams[name],
                num_waiting=len(waits[name]),
                oldest_wait_ms=max(waits[name], default=0.0),
                num_inferred=self._inferred[name],
                num_on_time=self._on_time[name],
                num_dropped=self._dropped[name],
            )
            for name in QosClass
        }

    def batch_counts(self) -> dict[int, int]:
        """Batches by number of frames, ascending."""
        return dict(sorted(self._batches.items()))


def stream_snapshot(stream: WaitingStream, now: float) -> StreamSnapshot:
    """One stream as of now."""
    waited_s = None if stream.ticket is None else now - stream.waiting_since
    return StreamSnapshot(
        stream.qos_class,
        None if waited_s is None else round(waited_s * 1e3, 3),
        stream.num_inferred,
        stream.num_on_time,
    )
