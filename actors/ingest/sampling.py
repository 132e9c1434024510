"""Which pictures of a stream are inferred under ``max_fps``, and how many a second come in."""

from __future__ import annotations

_SMOOTHING = 0.1
_PAUSE_S = 1.0
_WINDOW_S = 1.0


class FrameSampler:
    """Lets through at most ``max_fps`` pictures a second, evenly.

    A grid of due times is laid over the source's time and the picture nearest to each is taken:
    25 a second to 5 is every fifth, 24 to 10 is 10 on average, and jitter below a quarter of the
    source's interval changes nothing.

    Args:
        phase: So much of a period, 0 to 1, goes by between the first picture and the grid. Cameras
            that are opened together send together; different phases let them take turns.
    """

    def __init__(self, phase: float = 0.0) -> None:
        self._phase = phase
        self._due: float | None = None
        self._last: float | None = None
        self._interval_s = 0.0

    def admit(self, ts: float, max_fps: float | None) -> bool:
        """Whether the picture of this time goes on.

        Args:
            ts: Time of the picture, seconds, not less than the one before.
            max_fps: The limit in force now; None lets all through.
        """
        last, self._last = self._last, ts
        if last is not None and 0 < ts - last < _PAUSE_S:
            weight = _SMOOTHING if self._interval_s else 1.0
            self._interval_s += weight * (ts - last - self._interval_s)
        if max_fps is None:
            self._due = None
            return True
        return self._admit(ts, 1.0 / max_fps)

    def _admit(self, ts: float, period_s: float) -> bool:
        tolerance_s = min(self._interval_s, period_s) / 2
        if self._due is None or self._due - ts > (1.0 + self._phase) * period_s:
            self._due = ts + (1.0 + self._phase) * period_s
            return True
        if ts < self._due - tolerance_s:
            return False
        late_s = ts - self._due
        self._due = (ts if late_s > period_s else self._due) + period_s
        return True


class RateMeter:
    """Pictures a second over the last second or so; 0 when they have stopped."""

    def __init__(self) -> None:
        self._begin: float | None = None
        self._num = 0
        self._fps = 0.0

    def count(self, now: float) -> None:
        """A picture came."""
        if self._begin is None:
            self._begin = now
            return
        self._num += 1
        elapsed_s = now - self._begin
        if elapsed_s >= _WINDOW_S:
            self._begin, self._num, self._fps = now, 0, self._num / elapsed_s

    def fps(self, now: float) -> float:
        """The rate as of ``now``."""
        if self._begin is None or self._fps == 0:
            return 0.0
        is_stopped = now - self._begin > 2 * max(_WINDOW_S, 1 / self._fps)
        return 0.0 if is_stopped else self._fps
