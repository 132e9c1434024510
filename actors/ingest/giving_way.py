"""Which cameras make room where the decoder that they share is behind: those that matter least.

A GPU's decoder takes all in turn, so all come late alike. Without room each picture would be
decoded, and each would be too late.
"""

from __future__ import annotations

import random

_LATEST_S = (1.0, 0.5, 0.3, 0.2)
"""By rank: a camera that is later makes room, or one that sees a more important one so late."""
_SPREAD = 0.5
"""Up to so much more, drawn anew each time, so that not all of a rank make room at once."""


class Lateness:
    """How late the cameras of an actor are, by rank; what was seen a while ago passes by itself.

    Any thread may tell and ask.
    """

    def __init__(self) -> None:
        self._passes_at = [0.0] * len(_LATEST_S)  # by rank, that of all who matter more

    def note(self, rank: int, late_s: float, now: float) -> None:
        """A camera is so late, seconds, for want of the decoder."""
        for below in range(rank + 1, len(_LATEST_S)):
            self._passes_at[below] = max(self._passes_at[below], now + late_s)

    def above_s(self, rank: int, now: float) -> float:
        """Of the cameras that matter more, the latest one's, seconds; below 0 where none is."""
        return self._passes_at[rank] - now


class Patience:
    """How much lateness a camera bears before it makes room.

    Args:
        lateness: Of all cameras.
    """

    def __init__(self, lateness: Lateness) -> None:
        self._lateness = lateness
        self._factor = _drawn()

    def ends(self, rank: int, late_s: float, now: float) -> bool:
        """Whether it is time to make room; then it begins anew.

        Args:
            rank: 0 for cameras that matter most.
            late_s: How late the camera's packet is for want of the decoder, seconds.
            now: Monotonic time, seconds.
        """
        if late_s:
            self._lateness.note(rank, late_s, now)
        worst_s = max(late_s, self._lateness.above_s(rank, now))
        if worst_s <= self._factor * _LATEST_S[rank]:
            return False
        self._factor = _drawn()
        return True


def _drawn() -> float:
    return random.uniform(1.0, 1.0 + _SPREAD)
