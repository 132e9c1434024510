"""How long a source keeps its session waiting, and what of that is not the source's fault."""

from __future__ import annotations


class SourceWait:
    """One wait after the other, each begun by a session and watched by others.

    While the process stands still, as when its machine does, no packet can be taken up that may
    well have come. Without this, all cameras would be opened anew after a few seconds of that.

    Attributes:
        since: Monotonic time at which the wait began, seconds; None while there is none.
    """

    __slots__ = ("_excused_s", "_watched", "since")

    def __init__(self) -> None:
        self.since: float | None = None
        self._watched: float | None = None
        self._excused_s = 0.0

    def lasted_s(self, now: float, stood_still_s: float = 0.0) -> float:
        """How long the source has kept the session waiting, seconds; 0 while it does not.

        Args:
            now: Monotonic time, seconds.
            stood_still_s: For so long the process has not run since this was asked before.
        """
        since = self.since
        if since is None:
            return 0.0
        if since != self._watched:
            self._watched, self._excused_s = since, 0.0
        self._excused_s = min(self._excused_s + stood_still_s, now - since)
        return now - since - self._excused_s
