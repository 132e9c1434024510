"""When the feeder calls the engine next: as soon as may be, or all actors together on a beat."""

from __future__ import annotations

from collections.abc import Sequence

from actors.ingest.config import IngestConfig

_SMOOTHING = 0.1
_COMPANY = 4.0
"""Frames a beat from which an actor's cameras are worth waiting for."""


class Beat:
    """Paces the calls of one feeder.

    A GPU takes thirty frames in little more than the time of one, and each call and each batch
    costs processor time in four processes. So while its cameras bring a few frames a beat, an actor
    calls at the multiples of ``beat_s`` on the monotonic clock, which all processes of a machine
    share: the engine gets the frames of all actors at once. With fewer cameras each frame goes
    at once, as it does everywhere on a CPU, which gains nothing by larger batches. A call brings
    one frame of a camera: where some bring two in a beat, the next call comes after half of it.

    Args:
        config: Intervals.
    """

    def __init__(self, config: IngestConfig) -> None:
        self._config = config
        self._rate_fps = 0.0
        self._last_s: float | None = None

    def pause_s(self, ready: Sequence[float], began: float, now: float, *, is_busy: bool) -> float:
        """How long to wait after a call.

        Args:
            ready: When each of the frames that it brought was there, monotonic, seconds.
            began: When the call began.
            now: When it ended.
            is_busy: Whether the engine has enough to do.
        """
        # What was there for the call before, another frame of its camera kept from it.
        is_behind = self._last_s is not None and min(ready, default=began) < self._last_s
        self._measure(len(ready), began)
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
