"""When the engine's workers ask the scheduler: in time, and not for every call that comes."""

from __future__ import annotations

import threading

_LONGEST_S = 0.5
_NEVER = float("inf")
_SOON_S = 0.0005
"""Nobody is woken to be earlier by less."""


class Alarm:
    """Lets workers sleep until the scheduler could decide otherwise.

    Each change of threads costs about as much as a frame does, so one worker at most is woken, and
    none where one wakes up by itself in time. All calls are made with the lock held.

    Args:
        changed: What workers sleep on; others may wake all of them by it.

    Attributes:
        is_ringing: A worker was woken and has not asked yet: it will see all that came meanwhile.
    """

    def __init__(self, changed: threading.Condition) -> None:
        self.is_ringing = False
        self._changed = changed
        self._wakes_at = _NEVER
        self._num_asleep = 0

    def sleep(self, wakeup: float | None, now: float) -> None:
        """Sleep until then, or until somebody wakes the worker; for half a second at most."""
        wakes_at = min(now + _LONGEST_S, _NEVER if wakeup is None else wakeup)
        self._wakes_at = min(self._wakes_at, wakes_at)
        self._num_asleep += 1
        self._changed.wait(max(0.0, wakes_at - now))
        self._num_asleep -= 1
        self.is_ringing = False
        self._wakes_at = _NEVER  # another one may still sleep: then it is woken for nothing, once

    def wake(self, wakeup: float | None) -> None:
        """Somebody must ask the scheduler at this time; None where there is nothing to ask."""
        if self._num_asleep and wakeup is not None and wakeup < self._wakes_at - _SOON_S:
            self._changed.notify()
            self.is_ringing = True
