"""When a slot's loop does what, and when it looks for streams. Pure.

Times are seconds of a clock that never goes back.
"""

from __future__ import annotations

LOOK_EVERY_S = 1.0
LOOK_AT_MOST_EVERY_S = 0.05  # however many streams are added at once

_NEVER = float("inf")


class Timetable:
    """What is due. What was never asked for is due at once."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._look_at = 0.0
        self._looked_at = 0.0
        self._lease_ends_at = _NEVER

    @property
    def next_look_at(self) -> float:
        """When the slot looks for streams."""
        return min(self._look_at, self._lease_ends_at)

    @property
    def next_at(self) -> float:
        """When the first of all that was asked for is due."""
        return min(self.next_look_at, *self._due.values())

    def is_due(self, what: str, now: float, every_s: float) -> bool:
        """Whether the time for something has come; then the next time is set."""
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every_s
        return True

    def at_once(self, what: str) -> None:
        """Something is due."""
        self._due[what] = 0.0

    def put_off(self, what: str, until: float) -> None:
        """Something is due at this moment, unless it is due at once."""
        if self._due.get(what):
            self._due[what] = until

    def is_look_due(self, now: float) -> bool:
        """Whether it is time to look for streams."""
        return now >= self.next_look_at

    def looked(self, now: float) -> None:
        """The slot looks for streams."""
        self._looked_at = now
        self._look_at = now + LOOK_EVERY_S
        if self._lease_ends_at <= now:
            self._lease_ends_at = _NEVER

    def look_soon(self, now: float, after_s: float = LOOK_AT_MOST_EVERY_S) -> None:
        """Look sooner, yet not sooner than a while after the last time."""
        after_s = max(LOOK_AT_MOST_EVERY_S, after_s)
        self._look_at = min(self._look_at, max(now, self._looked_at + after_s))

    def lease_ends(self, at: float) -> None:
        """Look at this moment, however often before: a lease that nobody renews ends then."""
        self._lease_ends_at = at
