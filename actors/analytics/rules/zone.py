"""Zone entry and exit: an object's foot comes into a polygon and leaves it again."""

from __future__ import annotations

from actors.analytics.events import EventType, Phase
from actors.analytics.rules.presence import Presence, Visit
from actors.analytics.rules.scene import Moment, Occurrence


class ZonePresence(Presence):
    """Reports ``zone_enter`` (begin) and ``zone_exit`` (end) of each object.

    ``data.reason`` of an entry is ``entered``, or ``appeared`` for an object that was first seen
    inside; of an exit it is ``left``, ``track_lost``, or why the rule was closed.
    """

    def came(self, visit: Visit, at: Moment, reason: str) -> list[Occurrence]:
        """An entry."""
        return [self._occurrence(EventType.ZONE_ENTER, Phase.BEGIN, visit, at, reason)]

    def left(self, visit: Visit, entered: Moment, at: Moment, reason: str) -> list[Occurrence]:
        """An exit."""
        return [self._occurrence(EventType.ZONE_EXIT, Phase.END, visit, at, reason)]

    def _occurrence(
        self, type_: EventType, phase: Phase, visit: Visit, at: Moment, reason: str
    ) -> Occurrence:
        return Occurrence(type_, phase, self.spec.name, visit.sighting, at, {"reason": reason})
