"""Zone entry and exit: an object's foot comes into a polygon and leaves it again."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.analytics.events import EventType, Phase
from actors.analytics.rules.geometry import Polygon, to_pixels
from actors.analytics.rules.scene import Moment, Occurrence, Scene, Sighting
from actors.analytics.rules.side import Side
from actors.specs import ZoneRule


@dataclass(slots=True)
class _Visit:
    scene: Scene  # in which it was last seen
    number: int  # of the object in that scene
    side: Side = field(default_factory=Side)

    @property
    def sighting(self) -> Sighting:
        return self.scene.sighting(self.number)


class ZonePresence:
    """Reports ``zone_enter`` (begin) and ``zone_exit`` (end) of each object.

    ``data.reason`` of an entry is ``entered``, or ``appeared`` for an object that was first seen
    inside; of an exit it is ``left``, ``track_lost``, or why the rule was closed.
    """

    def __init__(self, spec: ZoneRule) -> None:
        self.spec = spec
        self._visits: dict[int, _Visit] = {}
        self._polygons: dict[tuple[int, int], Polygon] = {}  # by size of the picture

    def border(self, size: tuple[int, int]) -> Polygon:
        """The zone in pixels, worked out once for each size of the picture."""
        if size not in self._polygons:
            self._polygons = {size: Polygon(to_pixels(self.spec.points, size))}
        return self._polygons[size]

    def update(self, scene: Scene) -> list[Occurrence]:
        """The entries and exits that this scene completes."""
        polygon = self.border(scene.source_size)
        visits, at, occurrences = self._visits, scene.at, []
        for number, track, _, distance_px in scene.objects(polygon, self.spec.classes):
            visit = visits.get(track) or self._begin(scene, number, polygon)
            visit.scene, visit.number = scene, number
            if not visit.side.stays(distance_px, at):
                occurrences += self._advance(visit, distance_px)
        for track in scene.ended:
            occurrences += self._end(track, "track_lost")
        return occurrences

    def close(self, reason: str) -> list[Occurrence]:
        """End all visits and forget all objects."""
        return [end for track in list(self._visits) for end in self._end(track, reason)]

    def _begin(self, scene: Scene, number: int, polygon: Polygon) -> _Visit:
        self._visits[scene.tracks[number]] = visit = _Visit(scene, number)
        first = visit.sighting.first
        if first is not None:
            visit.side.observe(polygon.distance(first.foot), first.at)
        return visit

    def _advance(self, visit: _Visit, distance_px: float) -> list[Occurrence]:
        before, sighting = visit.side.settled, visit.sighting
        visit.side.observe(distance_px, sighting.at)
        if not visit.side.settle(sighting.size_px):
            return []
        at = visit.side.since or sighting.at
        if visit.side.settled:
            return [self._enter(sighting, "appeared" if before is None else "entered", at)]
        return [] if before is None else [self._exit(sighting, "left", at)]

    def _end(self, track: int, reason: str) -> list[Occurrence]:
        visit = self._visits.pop(track, None)
        if visit is None or not visit.side.settled:
            return []
        return [self._exit(visit.sighting, reason, visit.scene.at)]

    def _enter(self, sighting: Sighting, reason: str, at: Moment) -> Occurrence:
        return Occurrence(
            EventType.ZONE_ENTER, Phase.BEGIN, self.spec.name, sighting, at, {"reason": reason}
        )

    def _exit(self, sighting: Sighting, reason: str, at: Moment) -> Occurrence:
        return Occurrence(
            EventType.ZONE_EXIT, Phase.END, self.spec.name, sighting, at, {"reason": reason}
        )
