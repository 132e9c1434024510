"""How many frames a second of a stream come and are inferred, from its ledger. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from actors.messages import DropReason

_WINDOW_S = 3.0
NOT_OFFERED = (DropReason.SAMPLED, DropReason.CORRUPT)
"""Why decoded frames were none of those that a stream would have inferred."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Frames a second over the last three seconds.

    Attributes:
        offered: What the stream would have inferred: decoded, whole, and within ``max_fps``.
        inferred: What was.
    """

    offered: float = 0.0
    inferred: float = 0.0


class RateMeter:
    """Rates of one stream, from the counts that it is shown now and then."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int]] = deque()

    def measure(self, offered: int, inferred: int, now: float) -> Rates:
        """Take the counts as of ``now`` (seconds, never going back); zero at the first.

        Args:
            offered: Frames so far that were decoded, but for those ``NOT_OFFERED``.
            inferred: Frames so far that were inferred.
            now: Seconds.
        """
        self._seen.append((now, offered, inferred))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _WINDOW_S:
            self._seen.popleft()
        then, offered_then, inferred_then = self._seen[0]
        span_s = now - then
        if span_s <= 0:
            return Rates()
        return Rates((offered - offered_then) / span_s, (inferred - inferred_then) / span_s)
