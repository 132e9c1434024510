"""The shortest deadline, and how much earlier frames are given up than the usual cost says.

What a batch lasts on cores that others use too has a long tail, which mean and deviation do not
tell. A frame that is inferred late was paid for and is of no use, so the margin grows with each
one, and shrinks with each that was on time, until as many are late as are meant to be (Robbins and
Monro, A Stochastic Approximation Method, 1951). The frames with the shortest deadline are the first
to be late: what suits them, suits all.
"""

from __future__ import annotations

from collections import Counter

from actors.inference.waiting import WaitingStream
from actors.messages import Ticket
from actors.specs import QosClass

_PROMPT_CLASSES = frozenset((QosClass.CRITICAL, QosClass.HIGH))
_MAX_LATE = 0.005
"""Of the frames that are inferred: half of what a 99th percentile under the deadline allows."""
_STEP_S = 0.004
_LARGEST_S = 0.1


class Punctuality:
    """Of ``critical`` and ``high`` streams, which are to be in time.

    Attributes:
        shortest_s: The shortest of their deadlines, seconds; infinite without such streams.
        margin_s: Seconds that a batch is expected to last beyond its usual cost.
    """

    def __init__(self) -> None:
        self.margin_s = 0.0
        self.shortest_s = float("inf")
        self._deadlines: Counter[float] = Counter()

    def join(self, stream: WaitingStream) -> None:
        """A stream enters, with its deadline."""
        self._count(stream, 1)

    def quit(self, stream: WaitingStream) -> None:
        """It leaves, or its deadline changes."""
        self._count(stream, -1)

    def learn(self, stream: WaitingStream, ticket: Ticket, now: float) -> None:
        """A frame went through the engine."""
        if stream.deadline_s != self.shortest_s:
            return
        step_s = (1.0 - _MAX_LATE) if now > ticket.deadline else -_MAX_LATE
        self.margin_s = min(max(self.margin_s + _STEP_S * step_s, 0.0), _LARGEST_S)

    def forget(self) -> None:
        """Another engine: its batches are not known yet."""
        self.margin_s = 0.0

    def _count(self, stream: WaitingStream, num: int) -> None:
        if stream.qos_class in _PROMPT_CLASSES:
            self._deadlines[stream.deadline_s] += num
            self._deadlines = +self._deadlines
            self.shortest_s = min(self._deadlines, default=float("inf"))
