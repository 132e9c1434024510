"""After how many rounds a picture is asked for, so that nobody waits for one that is not done."""

from __future__ import annotations

_LATE_ROUNDS = 3
_PATIENT_S = 20.0
"""Then it is tried again; where that is too soon, it costs as many late rounds."""


class Asking:
    """One round, or two where a decoder takes longer than from one round to the next.

    Who asks too early waits, and all other cameras of its actor with it. Then the next round comes
    too late, and asks for pictures that were begun only just before it: so it would go on.
    """

    def __init__(self) -> None:
        self._num_late = 0
        self._patient_until = float("-inf")

    def num_rounds(self, now: float) -> int:
        """After how many, as of ``now``: monotonic, seconds."""
        return 2 if now < self._patient_until else 1

    def note(self, now: float, *, is_late: bool) -> None:
        """A round has ended; ``is_late`` where the next one should have begun already."""
        self._num_late = self._num_late + 1 if is_late else 0
        if self._num_late == _LATE_ROUNDS:
            self._patient_until, self._num_late = now + _PATIENT_S, 0
