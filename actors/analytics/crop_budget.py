"""How many crops may be asked for: so many a second, with some saved up. Pure."""

from __future__ import annotations

BURST_S = 1.0
"""So much of the rate is saved up for a frame with many new objects."""


class CropBudget:
    """A token bucket, full at the start.

    Args:
        max_rate: Crops a second.
    """

    def __init__(self, max_rate: float) -> None:
        self._max_rate = max_rate
        # At least one, or a rate below one a second would never be allowed a whole crop.
        self._left = self._full = max(1.0, BURST_S * max_rate)
        self._refilled_s = 0.0

    def refill(self, at_s: float) -> None:
        """Time has come to ``at_s``, seconds of a clock that never goes back."""
        elapsed_s, self._refilled_s = at_s - self._refilled_s, at_s
        self._left = min(self._full, self._left + elapsed_s * self._max_rate)

    def take(self, num: int) -> int:
        """How many of ``num`` crops may be asked for; they are, from now on."""
        num_taken = min(num, int(self._left))
        self._left -= num_taken
        return num_taken
