"""RTP times of 32 bits as presentation and decoding times that go on."""

from __future__ import annotations

from actors.ingest.rtsp.sdp import CLOCK_HZ

_MAX_GAP = 10 * CLOCK_HZ
_NUM_REORDERED = 5
_WRAP = 1 << 32


class Stamps:
    """The times of one session, in ticks from its first picture.

    Args:
        is_reordered: Whether pictures are shown in another order than they come; decoding times
            are then the least of the last five presentation times, which is monotonic for what
            encoders do and never later than the picture's own.
    """

    def __init__(self, *, is_reordered: bool) -> None:
        self._size = _NUM_REORDERED if is_reordered else 1
        self._last: int | None = None
        self._pts = 0
        self._recent: list[int] = []

    def place(self, timestamp: int) -> tuple[int, int]:
        """Presentation and decoding time of the next picture; jumps of half a wrap are kept."""
        step = 0 if self._last is None else (timestamp - self._last) % _WRAP
        if step >= _WRAP // 2:
            step -= _WRAP
        self._last = timestamp
        self._pts += step
        if self._size == 1:
            return self._pts, self._pts
        if abs(step) > _MAX_GAP:
            self._recent.clear()
        self._recent = [*self._recent[1 - self._size :], self._pts]
        return self._pts, min(self._recent)
