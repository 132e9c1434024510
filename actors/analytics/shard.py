"""A shard: the analytics of some streams, from frame results to sinks and ledger."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from actors.analytics.events import Event
from actors.analytics.life_cycle import EventContext
from actors.analytics.pipeline import StreamPipeline
from actors.analytics.status import AnalyticsStatus, StreamAnalytics
from actors.analytics.stream_state import StateChange, state_event
from actors.crop_messages import CropRequest, SecondaryModel
from actors.ledger import Ledger, LedgerRow
from actors.messages import Assignment, FrameResult
from actors.sinks import FrameSink, Sink
from actors.stages import Stage, StageClock, StageClocks
from engines.detections import Detections


@dataclass(slots=True)
class _Stream:
    generation: int
    counts: LedgerRow
    pipeline: StreamPipeline
    latencies: StageClock
    last: tuple[FrameResult, Detections] | None = None  # with what is tracked in it
    last_event: Event | None = None

    @property
    def last_frame(self) -> FrameResult | None:
        return replace(self.last[0], detections=self.last[1], crops=()) if self.last else None


class AnalyticsShard:
    """The streams of one analytics actor. Any thread may call it; calls run one at a time.

    Args:
        ledger: Where analysed frames and events are counted.
        sinks: Where events go; the shard closes them.
        slot: Name of the slot, for events.
        labels: Class names of the model, in class order.
        frame_sinks: Where the tracked objects of every frame go; the shard closes them.
        clock: Seconds, the same clock as the results' ``inferred_at``.
    """

    def __init__(
        self,
        ledger: Ledger,
        sinks: Sequence[Sink],
        slot: str,
        labels: Sequence[str] = (),
        *,
        frame_sinks: Sequence[FrameSink] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.incarnation = uuid.uuid4().hex
        self._ledger = ledger
        self._sinks = tuple(sinks)
        self._frame_sinks = tuple(frame_sinks)
        self._all_sinks: tuple[Sink | FrameSink, ...] = (*self._sinks, *self._frame_sinks)
        self._slot = slot
        self._labels = tuple(labels)
        self._secondaries: tuple[SecondaryModel, ...] = ()
        self._streams: dict[str, _Stream] = {}
        self._num_unknown = 0
        self._clock = clock
        self._stages = StageClocks(Stage.ANALYTICS)
        self._lock = threading.Lock()

    def open_stream(self, assignment: Assignment, state: bytes | None = None) -> None:
        """Take a stream, or a newer spec of one; an older one than is known changes nothing.

        A newer spec keeps the tracks and the state of the rules that stay.

        Args:
            assignment: The stream.
            state: What ``export`` of another shard gave; a new stream goes on from there.
        """
        with self._lock:
            stream = self._streams.get(assignment.spec.id)
            if stream is None:
                self._streams[assignment.spec.id] = self._open(assignment, state or b"")
            elif assignment.generation >= stream.generation:
                self._replace(stream, assignment)

    def close_stream(self, stream_id: str) -> None:
        """Give a stream up, if the shard has it: what is open ends."""
        with self._lock:
            stream = self._streams.pop(stream_id, None)
            if stream is not None:
                self._emit(stream, stream.pipeline.close())

    def export(self, stream_id: str) -> bytes:
        """Give a stream up to another shard: nothing ends, what is open ends there.

        Returns:
            What that shard must be told; empty if there is nothing to tell.
        """
        with self._lock:
            stream = self._streams.pop(stream_id, None)
            return stream.pipeline.state() if stream is not None else b""

    def end_exported(self, assignment: Assignment, state: bytes) -> None:
        """End what ``export`` left open, since nobody goes on with the stream."""
        self.open_stream(assignment, state)
        self.close_stream(assignment.spec.id)

    def set_labels(self, labels: Sequence[str], secondaries: Sequence[SecondaryModel] = ()) -> None:
        """Take the class names and the secondary models of another pipeline."""
        with self._lock:
            self._labels, self._secondaries = tuple(labels), tuple(secondaries)
            for stream in self._streams.values():
                self._emit(stream, stream.pipeline.set_labels(labels, secondaries))

    def process(self, results: Sequence[FrameResult]) -> tuple[CropRequest, ...]:
        """Analyse frames, of any streams, each stream's in order.

        Returns:
            What secondary models should look at in the streams' next frames.
        """
        requests: list[CropRequest] = []
        with self._lock:
            for turn in in_turns(results):
                known = [(s, each) for each in turn if (s := self._streams.get(each.stream))]
                self._num_unknown += len(turn) - len(known)
                requests += self._process(known)
        return tuple(requests)

    def report_states(self, changes: Sequence[StateChange]) -> None:
        """Write an event of each change; of streams that the shard does not have, none."""
        with self._lock:
            for change in changes:
                stream = self._streams.get(change.stream)
                if stream is not None:
                    self._emit(stream, [self._state_event(stream, change)])

    def status(self) -> AnalyticsStatus:
        """The last frame and event of each stream, and counts."""
        with self._lock:
            streams = {name: _status(stream) for name, stream in self._streams.items()}
            sinks = tuple(sink.status() for sink in self._all_sinks)
            counts = self._num_unknown, self._stages.read()
            return AnalyticsStatus(self.incarnation, streams, sinks, *counts)

    def close(self) -> None:
        """Give up all streams and close the sinks."""
        for stream_id in list(self._streams):
            self.close_stream(stream_id)
        for sink in self._all_sinks:
            sink.close()

    def _open(self, assignment: Assignment, state: bytes) -> _Stream:
        spec = assignment.spec
        pipeline = StreamPipeline(
            spec, self._labels, self._slot, assignment.token, self._secondaries
        )
        pipeline.restore(state)
        return _Stream(
            assignment.generation,
            self._ledger.row(assignment.ledger_row),
            pipeline,
            self._stages.of(spec.qos.class_name),
        )

    def _replace(self, stream: _Stream, assignment: Assignment) -> None:
        stream.generation = assignment.generation
        stream.counts = self._ledger.row(assignment.ledger_row)
        stream.latencies = self._stages.of(assignment.spec.qos.class_name)
        stream.pipeline.token = assignment.token
        if assignment.spec != stream.pipeline.spec:
            self._emit(stream, stream.pipeline.replace_spec(assignment.spec))

    def _process(self, frames: Sequence[tuple[_Stream, FrameResult]]) -> list[CropRequest]:
        """Analyse one frame of each of some streams; what is to be looked at in the next ones."""
        requests: list[CropRequest] = []
        analysed = StreamPipeline.process_all([(s.pipeline, result) for s, result in frames])
        now = self._clock()
        for (stream, result), events in zip(frames, analysed, strict=True):
            if events is not None:
                requests += stream.pipeline.requests
                stream.last = result, stream.pipeline.tracked
                stream.counts.count_analysed()
                if events:
                    self._emit(stream, events)
                stream.latencies.count(result.inferred_at, now)
                for sink in self._frame_sinks:
                    sink.write(*stream.last, self._labels, self._slot)
        return requests

    def _state_event(self, stream: _Stream, change: StateChange) -> Event:
        frame = stream.last_frame
        labels, token = stream.pipeline.spec.labels, stream.pipeline.token
        model = frame.model if frame else ""
        context = EventContext(change.stream, self._slot, model, labels, token)
        return state_event(change, context, frame.pts_s if frame else 0.0)

    def _emit(self, stream: _Stream, events: Sequence[Event]) -> None:
        if events:
            stream.counts.count_events(len(events))
            stream.last_event = _without_picture(events[-1])
            for sink in self._sinks:
                sink.write(events)


def in_turns(results: Sequence[FrameResult]) -> list[list[FrameResult]]:
    """The first frame of each stream, then the second of each, and so on.

    Each turn is analysed together. Decoders that are nearly full give frames out late, two of a
    stream one after the other, so that they come in any order with those of other streams.
    """
    turns: list[list[FrameResult]] = []
    nums: dict[str, int] = {}
    for result in results:
        nums[result.stream] = num = nums.get(result.stream, 0) + 1
        if num > len(turns):
            turns.append([])
        turns[num - 1].append(result)
    return turns


def _without_picture(event: Event) -> Event:
    """For statuses, which are written twice a second."""
    if "best_crop" not in event.data:
        return event
    return replace(event, data={k: v for k, v in event.data.items() if k != "best_crop"})


def _status(stream: _Stream) -> StreamAnalytics:
    pipeline = stream.pipeline
    return StreamAnalytics(
        stream.generation,
        stream.last_frame,
        stream.last_event,
        pipeline.num_late,
        pipeline.crops.read(),
    )
