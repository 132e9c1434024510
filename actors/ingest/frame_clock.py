"""Maps a source's own time (pts) to UTC, through late packets, drift and jumping timestamps."""

from __future__ import annotations

_MAX_LATE_S = 1.0
_PATIENCE_S = 2.0
_SLEW = 1e-3


class FrameClock:
    """UTC of pictures from their pts and from when they arrived.

    A packet can come late but never early, so the offset between the two clocks is the least
    ``arrival - pts`` seen; it rises slowly, to follow a camera whose clock drifts. A burst after a
    pause of the network keeps its spacing; pts that run ahead, stand still, go backwards or stay
    behind for good begin anew at the arrival.

    Args:
        not_before: UTC of the last picture of the session before; ``stamp`` never returns less.
    """

    def __init__(self, not_before: float = 0.0) -> None:
        self.num_jumps = 0
        self._offset_s: float | None = None
        self._last_pts_s = 0.0
        self._last_ts = not_before
        self._late_since: float | None = None

    def stamp(self, pts_s: float, arrival: float) -> float:
        """The UTC of a picture, seconds since 1970, never less than the one before.

        Args:
            pts_s: Presentation time in the source's clock, seconds.
            arrival: UTC when its packet arrived, seconds since 1970.
        """
        observed_s = arrival - pts_s
        offset_s = observed_s if self._offset_s is None else self._offset_s
        late_s = observed_s - offset_s
        step_s, self._last_pts_s = pts_s - self._last_pts_s, pts_s
        if step_s <= 0 or late_s <= 0 or self._is_late_for_good(late_s, arrival):
            self.num_jumps += abs(late_s) > _MAX_LATE_S
            self._late_since = None
            offset_s = observed_s
        else:
            offset_s += min(late_s, _SLEW * step_s)
        self._offset_s = offset_s
        self._last_ts = max(self._last_ts, pts_s + offset_s)
        return self._last_ts

    def _is_late_for_good(self, late_s: float, arrival: float) -> bool:
        if late_s <= _MAX_LATE_S:
            self._late_since = None
            return False
        if self._late_since is None:
            self._late_since = arrival
        return arrival - self._late_since > _PATIENCE_S
