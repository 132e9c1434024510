"""Motion time: the time between frames, whatever a camera's clock does."""

from __future__ import annotations

_MAX_AHEAD_S = 5.0  # pts may run ahead of the arrivals by so much in one step, not by more
_MIN_STEP_S = 1e-3


class MotionClock:
    """Follows the presentation times of a session while they advance plausibly, else the arrivals.

    Presentation times are the better measure, since the network does not jitter them; but cameras
    repeat them, set them back and let them jump.
    """

    def __init__(self) -> None:
        self._pts_s = 0.0
        self._arrival = 0.0
        self._t_s: float | None = None

    @classmethod
    def of(cls, t_s: float, pts_s: float, arrival: float) -> MotionClock:
        """A clock that has come to ``t_s`` with a frame of these times."""
        clock = cls()
        clock._t_s, clock._pts_s, clock._arrival = t_s, pts_s, arrival
        return clock

    @property
    def t_s(self) -> float:
        """Time of the last frame in seconds; 0 before the first."""
        return self._t_s or 0.0

    def advance(self, pts_s: float, arrival: float) -> float:
        """Time of the next frame in seconds; 0 for the first one, then always later.

        Args:
            pts_s: Its presentation time, seconds.
            arrival: When it arrived, seconds on a monotonic clock.
        """
        step_s, waited_s = pts_s - self._pts_s, max(arrival - self._arrival, 0.0)
        self._pts_s, self._arrival = pts_s, arrival
        if self._t_s is None:
            self._t_s = 0.0
            return self._t_s
        if not 0 < step_s <= waited_s + _MAX_AHEAD_S:
            step_s = waited_s
        self._t_s += max(step_s, _MIN_STEP_S)
        return self._t_s
