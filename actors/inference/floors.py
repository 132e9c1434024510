"""Floors: whose turn it is because it has had too little, whatever the shares say."""

from __future__ import annotations

from actors.inference.lazy_heap import LazyHeap
from actors.inference.waiting import WaitingStream
from actors.specs import CLASS_DEFAULTS, QosClass

_LEAST_PART = 0.5
_LARGEST_PART = 0.9
_MARGIN = 1.2
_OWED_S, _LEAST_OWED = 0.25, 4.0


class FloorQueue:
    """Streams that wait, by when their floor is due.

    A floor that is due goes before everything that a class takes beyond its share, but after what a
    class takes within its share: that is little, and it is what has the short deadlines. So that a
    crowd of floors shuts nobody out they get a part of the picks only: half, or what all floors
    together need of the engine and a fifth more, at most nine in ten. What floors had to leave
    to others is owed to them; when that is a quarter of a second's work they go before all.
    So floors that fit are kept over any length of time, less at most what they are in one second.

    Where floors alone are more than the engine can do, classes share their part by weight.

    Attributes:
        part: The part of the picks that floors get while any is due.
    """

    def __init__(self) -> None:
        self.part = _LEAST_PART
        self._max_owed = _LEAST_OWED
        self._heaps: dict[QosClass, LazyHeap[WaitingStream]] = {c: LazyHeap() for c in QosClass}
        self._virtual_times = dict.fromkeys(QosClass, 0.0)
        self._clock = 0.0
        self._owed = 0.0

    def reserve(self, floors_fps: float, capacity_fps: float) -> None:
        """Say what all floors together need, and what the engine can do; 0 where not known."""
        needed = _MARGIN * floors_fps / capacity_fps if capacity_fps > 0.0 else 0.0
        self.part = min(_LARGEST_PART, max(_LEAST_PART, needed))
        self._max_owed = max(_LEAST_OWED, capacity_fps * _OWED_S)

    def enter(self, stream: WaitingStream) -> None:
        """The stream waits."""
        self._heaps[stream.qos_class].put(stream, stream.due)

    def leave(self, stream: WaitingStream) -> None:
        """The stream does not wait any more."""
        self._heaps[stream.qos_class].remove(stream)

    def clear(self) -> None:
        """Nobody waits any more: nothing is overdue, and so nothing is owed."""
        for heap in self._heaps.values():
            heap.clear()
        self._owed = 0.0

    def is_kept(self, now: float) -> bool:
        """Whether no floor is due, so that nothing is owed either."""
        for heap in self._heaps.values():
            first = heap.first()
            if first is not None and first.due <= now:
                return False
        self._owed = 0.0
        return True

    def pick(self, now: float, *, is_within_share: bool) -> WaitingStream | None:
        """The stream that goes before the shares; None where the shares decide.

        Args:
            now: Seconds.
            is_within_share: Whether the shares would pick a class that has had less than its own.
        """
        stream = self._overdue(now)
        if stream is None:
            self._owed = 0.0
            return None
        self._owed = min(self._owed + self.part, self._max_owed + 1.0)
        if self._owed < (self._max_owed if is_within_share else 1.0):
            return None
        self._owed -= 1.0
        qos_class = stream.qos_class
        self._clock = self._virtual_times[qos_class]
        self._virtual_times[qos_class] += 1.0 / CLASS_DEFAULTS[qos_class].weight
        return stream

    def _overdue(self, now: float) -> WaitingStream | None:
        chosen, least = None, float("inf")
        for name, heap in self._heaps.items():
            first = heap.first()
            if first is None or first.due > now:
                continue
            time = self._virtual_times[name] = max(self._virtual_times[name], self._clock)
            if time < least:
                chosen, least = first, time
        return chosen
