"""How many frames a second of a stream come and are inferred, from its ledger. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from actors.ledger import LedgerEntry
from actors.messages import DropReason

_WINDOW_S = 3.0
_NOT_OFFERED = (DropReason.SAMPLED, DropReason.CORRUPT)


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

    def measure(self, entry: LedgerEntry, now: float) -> Rates:
        """Take the counts as of ``now`` (seconds, never going back); zero at the first."""
        offered = entry.decoded - sum(entry.dropped[reason] for reason in _NOT_OFFERED)
        self._seen.append((now, offered, entry.inferred))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _WINDOW_S:
            self._seen.popleft()
        then, offered_then, inferred_then = self._seen[0]
        span_s = now - then
        if span_s <= 0:
            return Rates()
        return Rates((offered - offered_then) / span_s, (entry.inferred - inferred_then) / span_s)
