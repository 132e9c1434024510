"""On which side of a border an object is, told apart from the jitter of its box."""

from __future__ import annotations

from dataclasses import dataclass

from actors.analytics.rules.scene import Moment

MARGIN = 0.08  # of the box's size: nearer to the border, the side is not certain
SETTLE_S = 0.5  # a side kept for so long is certain also within the margin


@dataclass(slots=True)
class Side:
    """The side of one object; feed it signed distances from the border.

    Attributes:
        settled: The last side that was certain: True where distances are positive; None at first.
        since: When the object came to the side where it is now, interpolated between sightings.
    """

    settled: bool | None = None
    since: Moment | None = None
    _distance_px: float = 0.0
    _at: Moment | None = None

    def observe(self, distance_px: float, at: Moment) -> float | None:
        """Take a signed distance.

        Returns:
            Where the way from the last sighting to this one met the border, as a fraction of that
            way; None where it did not.
        """
        last_px, last_at = self._distance_px, self._at
        self._distance_px, self._at = distance_px, at
        if last_at is None:
            self.since = at
            return None
        if (distance_px >= 0) == (last_px >= 0):
            return None
        fraction = last_px / (last_px - distance_px)
        self.since = last_at.towards(at, fraction)
        return fraction

    def settle(self, size_px: float) -> bool:
        """Whether the object is now certainly on another side than it was, once a change."""
        if self.since is None or self._at is None:
            return False
        positive = self._distance_px >= 0
        is_clear = abs(self._distance_px) >= MARGIN * size_px
        if positive is self.settled:
            return False
        if not is_clear and self._at.t_s - self.since.t_s < SETTLE_S:
            return False
        self.settled = positive
        return True
