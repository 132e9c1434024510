"""Times of pictures where the source gives none, and over the end of a file that is looped."""

from __future__ import annotations


class Timeline:
    """Gives each picture a time in the source's clock.

    Args:
        interval_s: Nominal time between pictures, for those without a time of their own.
    """

    def __init__(self, interval_s: float) -> None:
        self.offset_s = 0.0
        self._interval_s = interval_s
        self._first_s: float | None = None
        self._last_s: float | None = None

    def place(self, time_s: float | None) -> float:
        """The time of the next picture, seconds.

        Args:
            time_s: Its time in the file; None where it has none.
        """
        if time_s is None:
            time_s = 0.0 if self._last_s is None else self._last_s + self._interval_s
        if self._first_s is None:
            self._first_s = time_s
        self._last_s = time_s if self._last_s is None else max(self._last_s, time_s)
        return time_s + self.offset_s

    def repeat(self) -> None:
        """The file begins again: its first picture follows the last one at the usual interval."""
        if self._first_s is not None and self._last_s is not None:
            self.offset_s += self._last_s - self._first_s + self._interval_s
        self._first_s = self._last_s = None
