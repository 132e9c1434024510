"""Zone entry and exit: an object's foot comes into a polygon and leaves it again."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from actors.analytics.events import EventType, Phase
from actors.analytics.rules.geometry import polygon_distance, to_pixels
from actors.analytics.rules.scene import Moment, Occurrence, Scene, Sighting
from actors.analytics.rules.side import Side
from actors.specs import ZoneRule


@dataclass(slots=True)
class _Visit:
    last: Sighting
    side: Side = field(default_factory=Side)


class ZonePresence:
    """Reports ``zone_enter`` (begin) and ``zone_exit`` (end) of each object.

    ``data.reason`` of an entry is ``entered``, or ``appeared`` for an object that was first seen
    inside; of an exit it is ``left``, ``track_lost``, or why the rule was closed.
    """

    def __init__(self, spec: ZoneRule) -> None:
        self.spec = spec
        self._visits: dict[int, _Visit] = {}

    def update(self, scene: Scene) -> list[Occurrence]:
        """The entries and exits that this scene completes."""
        corners = np.array(to_pixels(self.spec.points, scene.source_size))
        sightings = scene.of_classes(self.spec.classes)
        distances = polygon_distance([s.foot for s in sightings], corners)
        occurrences = []
        for sighting, distance_px in zip(sightings, distances, strict=True):
            visit = self._visits.setdefault(sighting.track, _Visit(sighting))
            if sighting.first is not None:
                (first_px,) = polygon_distance([sighting.first.foot], corners)
                visit.side.observe(first_px, sighting.first.at)
            occurrences += self._advance(visit, sighting, distance_px)
        for track in scene.ended:
            occurrences += self._end(track, "track_lost")
        return occurrences

    def close(self, reason: str) -> list[Occurrence]:
        """End all visits and forget all objects."""
        return [end for track in list(self._visits) for end in self._end(track, reason)]

    def _advance(self, visit: _Visit, sighting: Sighting, distance_px: float) -> list[Occurrence]:
        visit.last = sighting
        before = visit.side.settled
        visit.side.observe(distance_px, sighting.at)
        if not visit.side.settle(sighting.size_px):
            return []
        at = visit.side.since or sighting.at
        if visit.side.settled:
            return [self._enter(visit, "appeared" if before is None else "entered", at)]
        return [] if before is None else [self._exit(visit, "left", at)]

    def _end(self, track: int, reason: str) -> list[Occurrence]:
        visit = self._visits.pop(track, None)
        if visit is None or not visit.side.settled:
            return []
        return [self._exit(visit, reason, visit.last.at)]

    def _enter(self, visit: _Visit, reason: str, at: Moment) -> Occurrence:
        return Occurrence(
            EventType.ZONE_ENTER, Phase.BEGIN, self.spec.name, visit.last, at, {"reason": reason}
        )

    def _exit(self, visit: _Visit, reason: str, at: Moment) -> Occurrence:
        return Occurrence(
            EventType.ZONE_EXIT, Phase.END, self.spec.name, visit.last, at, {"reason": reason}
        )
