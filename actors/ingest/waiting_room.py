"""Frames that wait for the feeder's next call, the newest few of each stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator, KeysView
from typing import Generic, TypeVar

T = TypeVar("T")


class WaitingRoom(Generic[T]):
    """A short queue for each stream.

    With room for one, a newer frame always takes the place of an older one. A second place lets
    both go through where the decoder gave out one late and the next on time; they leave one by one,
    so that the first is in a batch when the other comes.

    Args:
        max_waiting: Frames of a stream; at least 1.
    """

    def __init__(self, max_waiting: int = 1) -> None:
        self._max_waiting = max_waiting
        self._queues: dict[str, deque[T]] = {}

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def __iter__(self) -> Iterator[T]:
        return (frame for queue in self._queues.values() for frame in queue)

    def put(self, stream: str, frame: T) -> T | None:
        """Let the stream's newest frame wait; gives the oldest where there is no place for it."""
        queue = self._queues.get(stream)
        if queue is None:
            queue = self._queues[stream] = deque()
        pushed_out = queue.popleft() if len(queue) >= self._max_waiting else None
        queue.append(frame)
        return pushed_out

    def pop(self, stream: str) -> T | None:
        """Take the oldest frame of a stream; None where none waits."""
        queue = self._queues.get(stream)
        if queue is None:
            return None
        frame = queue.popleft()
        if not queue:
            del self._queues[stream]
        return frame

    def pop_each(self, but: Container[str] = ()) -> list[T]:
        """Take the oldest frame of every stream, but not of these."""
        frames = [queue.popleft() for stream, queue in self._queues.items() if stream not in but]
        self._queues = {stream: queue for stream, queue in self._queues.items() if queue}
        return frames

    def streams(self) -> KeysView[str]:
        """Those of which frames wait."""
        return self._queues.keys()

    def clear(self) -> None:
        """Let nothing wait any more."""
        self._queues.clear()
