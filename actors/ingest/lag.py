"""How far a session is behind its source because its thread gets too little processor time."""

from __future__ import annotations

_WINDOW_S = 1.0
_MAX_SPENT = 0.9
_MAX_GAP_S = 10.0
_SLEW = 1e-3


class DecodeLag:
    """Compares when packets are taken up with the times that the source gave them.

    Packets that are late have waited somewhere: in the network, or here. Here it was only where
    the thread neither waited for packets nor had the processor for a good part of the last second.
    So neither a slow link counts, nor a picture that is too large for one thread: taking work from
    other cameras helps neither of the two.
    """

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._last_media_s = 0.0
        self._late_s = 0.0
        self._is_starved = False
        self._begin: float | None = None
        self._busy_s = 0.0
        self._waited_s = 0.0

    def note(self, media_s: float | None, now: float, waited_s: float, busy_s: float) -> None:
        """A packet is taken up.

        Args:
            media_s: Its time in the source's clock, seconds; None where it has none.
            now: Monotonic time, seconds.
            waited_s: How long the thread waited for it, seconds.
            busy_s: Processor time of the session's thread so far, seconds.
        """
        self._waited_s += waited_s
        elapsed_s = None if self._begin is None else now - self._begin
        if elapsed_s is None or elapsed_s >= _WINDOW_S:
            spent_s = self._waited_s + busy_s - self._busy_s
            self._is_starved = elapsed_s is not None and spent_s < _MAX_SPENT * elapsed_s
            self._begin, self._busy_s, self._waited_s = now, busy_s, 0.0
        if media_s is not None:
            self._follow(media_s, now)

    def lag_s(self, now: float) -> float:
        """Seconds behind, as of ``now``; 0 where packets do not come, or come as they should."""
        begin = self._begin
        is_current = begin is not None and now - begin <= 2 * _WINDOW_S
        return self._late_s if self._is_starved and is_current else 0.0

    def _follow(self, media_s: float, now: float) -> None:
        step_s, self._last_media_s = media_s - self._last_media_s, media_s
        if self._offset_s is None or not 0 <= step_s <= _MAX_GAP_S:
            self._offset_s = now - media_s
        # A packet comes late, never early: the least offset is the true one, but for slow drift.
        self._offset_s = min(self._offset_s + _SLEW * max(step_s, 0.0), now - media_s)
        self._late_s = now - media_s - self._offset_s
