"""On which side of a border an object is, told apart from the jitter of its box."""

from __future__ import annotations

from dataclasses import dataclass

from actors.analytics.rules.scene import Moment

# How far from the border, in sizes of the box, and for how long there, until a side is certain. A
# foot that something hides for a moment jumps by a quarter of the box and comes back.
CERTAINTY = ((0.5, 0.0), (0.08, 0.25), (0.0, 0.5))


@dataclass(slots=True)
class Side:
    """The side of one object; feed it signed distances from the border.

    Attributes:
        settled: The last side that was certain: True where distances are positive; None at first.
        rest: The same while the object is there; None while it is somewhere else.
        since: When the object came to the side where it is now, interpolated between sightings.
        distance_px: The last distance; its sign holds for as long as the object rests.
        at: When that was; None before the first.
    """

    settled: bool | None = None
    rest: bool | None = None
    since: Moment | None = None
    distance_px: float = 0.0
    at: Moment | None = None

    @property
    def is_inside(self) -> bool:
        """Whether the object is where distances are positive, certainly or not."""
        return self.distance_px >= 0

    def stays(self, distance_px: float, at: Moment) -> bool:
        """Whether the object is still where it certainly was; if so, the distance is taken.

        That is what almost every frame says of almost every object, so it costs the least.
        """
        if self.rest is not (distance_px >= 0):
            return False
        self.distance_px, self.at = distance_px, at
        return True

    def leaves(self, distance_px: float) -> bool:
        """Whether the object is on another side than when it was last seen."""
        return self.at is not None and (distance_px >= 0) != (self.distance_px >= 0)

    def observe(self, distance_px: float, at: Moment, met: float | None = None) -> float | None:
        """Take a signed distance.

        Args:
            distance_px: The distance.
            at: When that was.
            met: Where the way from the last sighting met the border, as a fraction of that way;
                without it as for a straight border.

        Returns:
            Where the way from the last sighting to this one met the border, as a fraction of that
            way; None where it did not.
        """
        last_px, last_at = self.distance_px, self.at
        self.distance_px, self.at = distance_px, at
        self.rest = self.settled if (distance_px >= 0) is self.settled else None
        if last_at is None:
            self.since = at
            return None
        if (distance_px >= 0) == (last_px >= 0):
            return None
        fraction = last_px / (last_px - distance_px) if met is None else met
        self.since = last_at.towards(at, fraction)
        return fraction

    def settle(self, size_px: float) -> bool:
        """Whether the object is now certainly on another side than it was, once a change."""
        if self.since is None or self.at is None:
            return False
        positive = self.distance_px >= 0
        if positive is self.settled:
            return False
        sizes, stay_s = abs(self.distance_px) / max(size_px, 1.0), self.at.t_s - self.since.t_s
        for far, long in CERTAINTY:
            if sizes >= far and stay_s >= long:
                self.settled = self.rest = positive
                return True
        return False
