"""When the feeder calls the engine next: as soon as may be, or all actors together on a beat."""

from __future__ import annotations

from actors.ingest.config import IngestConfig

_SMOOTHING = 0.1
_COMPANY = 8.0
"""Frames a beat from which an actor's cameras are worth waiting for."""


class Beat:
    """Paces the calls of one feeder.

    A GPU takes thirty frames in little more than the time of one, and each call and each batch
    costs processor time in four processes. So while its cameras bring many frames a beat, an actor
    calls at the multiples of ``beat_s`` on the monotonic clock, which all processes of a machine
    share: the engine gets the frames of all actors at once. With fewer cameras each frame goes
    at once, as it does everywhere on a CPU, which gains nothing by larger batches. A call brings
    one frame of a camera: where some have another, the next call comes after half a beat.

    Args:
        config: Intervals.
    """

    def __init__(self, config: IngestConfig) -> None:
        self._config = config
        self._rate_fps = 0.0
        self._last_s: float | None = None

    def pause_s(
        self, num_tickets: int, began: float, now: float, *, is_behind: bool, is_busy: bool
    ) -> float:
        """How long to wait after a call.

        Args:
            num_tickets: Frames that it brought.
            began: When it began, monotonic, seconds.
            now: When it ended.
            is_behind: Whether it left frames behind.
            is_busy: Whether the engine has enough to do.
        """
        self._measure(num_tickets, began)
        config = self._config
        if config.beat_s and self._rate_fps * config.beat_s >= _COMPANY:
            beat_s = config.beat_s / 2 if is_behind else config.beat_s
            return beat_s - now % beat_s
        interval_s = config.busy_interval_s if is_busy else config.submit_interval_s
        return max(0.0, began + interval_s - now)

    def _measure(self, num_tickets: int, began: float) -> None:
        last_s, self._last_s = self._last_s, began
        if last_s is not None and began > last_s:
            rate_fps = num_tickets / (began - last_s)
            self._rate_fps += _SMOOTHING * (rate_fps - self._rate_fps)
