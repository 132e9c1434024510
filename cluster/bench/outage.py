"""When streams fell silent and when they spoke again, seen by counters that go up with each frame.

Pure: time is an argument, in seconds of a clock that never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SILENCE_S = 0.5
"""A stream that counts nothing for so long is silent; less is the rhythm of its frames."""


@dataclass(frozen=True, slots=True)
class Outage:
    """What a fault did to a number of streams.

    Attributes:
        num_silent: Streams that were silent at some time.
        first_s: From the fault to the first of these that counts again; None where none was.
        all_s: To the last of them; None where none was, or one is silent still.
    """

    num_silent: int
    first_s: float | None
    all_s: float | None


class OutageWatch:
    """Follows a counter of each stream from the moment of a fault on.

    Args:
        counts: Of each stream, now.
        now: The moment of the fault.
    """

    def __init__(self, counts: ArrayLike, now: float) -> None:
        self._fault_at = self._calm_since = now
        self._counts: NDArray[np.int64] = np.array(counts, np.int64)
        self._moved_at = np.full(self._counts.shape, now)
        self._back_at = np.full(self._counts.shape, np.nan)

    def note(self, counts: ArrayLike, now: float) -> None:
        """Take the counters as they are now."""
        given: NDArray[np.int64] = np.array(counts, np.int64)
        is_silent, has_moved = self._silent(now), given != self._counts
        self._back_at[is_silent & has_moved] = now
        self._moved_at[has_moved] = now
        self._counts = given
        if is_silent.any():
            self._calm_since = now

    def calm_s(self, now: float) -> float:
        """For how long no stream has been silent."""
        return 0.0 if self._silent(now).any() else now - self._calm_since

    def outage(self, now: float) -> Outage:
        """What has happened up to now; a stream that fell silent twice is back at the second."""
        is_silent = self._silent(now)
        back_s = self._back_at[~np.isnan(self._back_at)] - self._fault_at
        num_silent = int(np.count_nonzero(is_silent | ~np.isnan(self._back_at)))
        is_over = len(back_s) > 0 and not is_silent.any()
        return Outage(
            num_silent,
            round(float(back_s.min()), 3) if len(back_s) else None,
            round(float(back_s.max()), 3) if is_over else None,
        )

    def _silent(self, now: float) -> NDArray[np.bool_]:
        return now - self._moved_at >= SILENCE_S
