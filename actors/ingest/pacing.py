"""Plays files at the speed at which they were recorded."""

from __future__ import annotations

from actors.ingest.timeline import Timeline

_MAX_BEHIND_S = 1.0
_MAX_GAP_S = 10.0


class Pacer:
    """Says how long to hold a packet back, from its time and the clock.

    Playing that has fallen behind by more than a second, and gaps of more than ten, begin anew
    instead of being made up for.

    Args:
        interval_s: Nominal time between packets, for those without a time of their own.
    """

    def __init__(self, interval_s: float) -> None:
        self._timeline = Timeline(interval_s)
        self._origin: float | None = None

    def repeat(self) -> None:
        """The file begins again."""
        self._timeline.repeat()

    def delay_s(self, time_s: float | None, now: float) -> float:
        """Seconds until a packet is due; 0 where it is already.

        Args:
            time_s: Decoding time of the packet in the file, seconds; None where it has none.
            now: Monotonic time, seconds.
        """
        pts_s = self._timeline.place(time_s)
        if self._origin is None:
            self._origin = now - pts_s
        delay_s = self._origin + pts_s - now
        if not -_MAX_BEHIND_S <= delay_s <= _MAX_GAP_S:
            self._origin = now - pts_s
            return 0.0
        return max(delay_s, 0.0)
