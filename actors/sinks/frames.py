"""The tracked objects of every frame, as a Redis stream that is bounded and forgets.

For programs that draw boxes or follow objects themselves. Unlike events they do not wait: what was
seen a moment ago is of no use once it is late, so nothing goes to disk, and nothing is sent twice.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Sequence

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.typing import EncodableT, FieldT

from actors.messages import FrameResult
from actors.sinks.formats import DEEPSTREAM_KEY, deepstream_message, deepstream_object
from actors.sinks.sink import SinkStatus
from actors.sinks.specs import Format, RedisSinkSpec
from engines.detections import Detections

_MAX_QUEUE = 2_000
_MAX_BATCH = 100
_RETRY_S = 1.0

_Frame = tuple[FrameResult, Detections, Sequence[str], str]


def to_entry(frame: _Frame, format_: Format) -> dict[str, str]:
    """Fields of an entry: flat, with the objects as one list of lists."""
    result, tracked, labels, slot = frame
    ts, names = round(result.ts * 1e3), _names(tracked, labels)
    boxes = [[round(v, 1) for v in box] for box in tracked.xyxy.tolist()]
    tracks = tracked.track_id.tolist()
    if format_ == "deepstream_minimal":
        objects = [deepstream_object(*each) for each in zip(tracks, boxes, names, strict=True)]
        message = deepstream_message(str(result.index), ts, result.stream, objects)
        return {DEEPSTREAM_KEY: json.dumps(message, separators=(",", ":"))}
    rows = [
        [track, name, round(confidence, 3), *box]
        for track, name, confidence, box in zip(
            tracks, names, tracked.confidence.tolist(), boxes, strict=True
        )
    ]
    width, height = result.source_size
    return {
        "stream": result.stream,
        "session": str(result.session),
        "index": str(result.index),
        "ts": str(ts),
        "pts": str(round(result.pts_s, 6)),
        "size": f"{width}x{height}",
        "model": result.model,
        "slot": slot,
        "objects": json.dumps(rows, separators=(",", ":")),
    }


class FrameSink:
    """Takes frames at once and appends them in its own time; the oldest go where it cannot.

    Args:
        spec: A Redis sink with ``frames``.
    """

    def __init__(self, spec: RedisSinkSpec) -> None:
        self._spec = spec
        self._client = redis.Redis.from_url(
            spec.url,
            socket_connect_timeout=spec.timeout_s,
            socket_timeout=spec.timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
        self._queue: deque[_Frame] = deque()
        self._num_in_hand = self._num_written = self._num_dropped = 0
        self._error = ""
        self._stop_at: float | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="sink-frames", daemon=True)
        self._thread.start()

    def write(
        self, result: FrameResult, tracked: Detections, labels: Sequence[str], slot: str
    ) -> None:
        """Take a frame with its tracked objects; never waits."""
        with self._changed:
            if len(self._queue) == _MAX_QUEUE:
                self._queue.popleft()
                self._num_dropped += 1
            self._queue.append((result, tracked, labels, slot))
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was taken is written or dropped; whether it was, in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._queue and not self._num_in_hand, timeout_s
            )

    def status(self) -> SinkStatus:
        """Counts so far, of frames."""
        with self._changed:
            return SinkStatus(
                "frames",
                is_connected=not self._error,
                num_written=self._num_written,
                num_dropped=self._num_dropped,
                num_waiting=len(self._queue) + self._num_in_hand,
                error=self._error,
            )

    def close(self, timeout_s: float = 2.0) -> None:
        """Write in time what the server takes, drop the rest."""
        with self._changed:
            self._stop_at = time.monotonic() + timeout_s
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            error = self._append(batch)
            with self._changed:
                self._error, self._num_in_hand = error, 0
                self._num_written += 0 if error else len(batch)
                self._num_dropped += len(batch) if error else 0
                self._changed.notify_all()
                if error:
                    self._changed.wait_for(lambda: self._stop_at is not None, _RETRY_S)
        self._client.close()

    def _next_batch(self) -> list[_Frame]:
        """What is to be written next; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stop_at is not None)
            if self._stop_at is not None and (time.monotonic() >= self._stop_at or self._error):
                self._num_dropped += len(self._queue)
                self._queue.clear()
            self._num_in_hand = min(len(self._queue), _MAX_BATCH)
            return [self._queue.popleft() for _ in range(self._num_in_hand)]

    def _append(self, batch: Sequence[_Frame]) -> str:
        """Write a batch; what is wrong if it was not, or not all of it."""
        spec, pipeline = self._spec, self._client.pipeline(transaction=False)
        for frame in batch:
            entry = to_entry(frame, spec.format)
            fields: dict[FieldT, EncodableT] = {k: v for k, v in entry.items()}
            pipeline.xadd(spec.frames_stream, fields, maxlen=spec.max_frames, approximate=True)
        try:
            pipeline.execute()
        except redis.RedisError as error:
            return f"Redis took not all of {len(batch)} frames: {error}"
        return ""


def _names(tracked: Detections, labels: Sequence[str]) -> list[str]:
    """A class without a label is called by its number."""
    return [labels[n] if n < len(labels) else str(n) for n in tracked.class_id.tolist()]
