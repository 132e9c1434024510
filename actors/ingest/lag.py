"""How far a session is behind its source because its thread gets too little processor time.

Or too little of a decoder that others use, too: then it waits for pictures, not for packets.
"""

from __future__ import annotations

_WINDOW_S = 1.0
# Measured on threads that keep up beside many others: they wait more than half of the time. Those
# that do not keep up wait a tenth at most, since packets lie there already.
_MIN_WAITED = 0.25
_MAX_BUSY = 0.9
_MAX_GAP_S = 10.0


class DecodeLag:
    """Compares when packets are taken up with the times that the source gave them.

    Counted is what was lost since the thread last kept up, that is, had to wait for packets. So a
    slow link does not count, nor does a picture that is too large for one thread, which then has
    the processor all the time: taking work from other cameras helps neither of the two.
    """

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._last_media_s = 0.0
        self._late_s = 0.0
        self._kept_s = 0.0
        self._is_starved = False
        self._begin: float | None = None
        self._due_at = float("-inf")
        self._busy_s = 0.0
        self._waited_s = 0.0

    def is_due(self, now: float) -> bool:
        """Whether the next note has to tell the processor time."""
        return now >= self._due_at

    def note(
        self, media_s: float | None, now: float, waited_s: float, busy_s: float | None
    ) -> None:
        """A packet is taken up.

        Args:
            media_s: Its time in the source's clock, seconds; None where it has none.
            now: Monotonic time, seconds.
            waited_s: How long the thread waited for it, seconds.
            busy_s: Processor time of the session's thread so far, seconds; None where none is due.
        """
        self._waited_s += waited_s
        if busy_s is not None and now >= self._due_at:
            self._judge(now - (self._begin or now), busy_s - self._busy_s)
            self._begin, self._busy_s, self._waited_s = now, busy_s, 0.0
            self._due_at = now + _WINDOW_S
        if media_s is not None:
            self._follow(media_s, now)

    def repeat(self) -> None:
        """A file begins again: its times do, what is late remains late."""
        self._offset_s, self._kept_s = None, self._late_s

    def lag_s(self, now: float) -> float:
        """Seconds behind, as of ``now``; 0 where packets do not come, or come as they should."""
        begin = self._begin
        is_current = begin is not None and now - begin <= 2 * _WINDOW_S
        return self._late_s if self._is_starved and is_current else 0.0

    def late_s(self, media_s: float | None, now: float) -> float:
        """How late a packet is, seconds; 0 where that is not for want of processor time.

        Args:
            media_s: Its time in the source's clock, seconds; None where it has none.
            now: Monotonic time, seconds.
        """
        if media_s is None or self._offset_s is None or not self._is_starved:
            return 0.0
        return max(now - media_s - self._offset_s, 0.0)

    def _judge(self, elapsed_s: float, busy_s: float) -> None:
        keeps_up = self._waited_s >= _MIN_WAITED * elapsed_s
        self._is_starved = not keeps_up and busy_s < _MAX_BUSY * elapsed_s
        if keeps_up:
            self._offset_s, self._kept_s = None, 0.0

    def _follow(self, media_s: float, now: float) -> None:
        step_s, self._last_media_s = media_s - self._last_media_s, media_s
        offset_s, found_s = self._offset_s, now - media_s
        if offset_s is None or not 0 <= step_s <= _MAX_GAP_S:
            offset_s, self._kept_s = found_s - self._kept_s, 0.0
        if found_s < offset_s:
            offset_s = found_s  # a packet comes late, never early: the least offset is the true one
        self._offset_s = offset_s
        self._late_s = found_s - offset_s
