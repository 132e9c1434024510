"""Who is in a zone: what the rules on what happens in one have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

from actors.analytics.rules.geometry import Point, Polygon
from actors.analytics.rules.lookout import Lookout
from actors.analytics.rules.scene import Moment, Occurrence, Scene, Sighting
from actors.analytics.rules.side import Side
from actors.analytics.rules.state import StateReader, StateWriter
from actors.analytics.rules.whereabouts import Whereabouts, foot_in
from actors.rule_specs import ZoneSpec

# So far around the picture that every foot is far inside.
_EVERYWHERE: list[Point] = [(-9.0, -9.0), (10.0, -9.0), (10.0, 10.0), (-9.0, 10.0)]

_MISTAKEN_S = 1.0  # votes on the class of an object have settled by then


@dataclass(slots=True)
class Visit:
    """One object and a zone.

    Attributes:
        track: Identity of the object.
        whereabouts: Knows where it was last seen.
        side: Where it is; True inside.
        entered: When it came in, while it is certainly inside.
        foot: Where it stood when it was last looked at, in pixels.
    """

    track: int
    whereabouts: Whereabouts
    side: Side = field(default_factory=Side)
    entered: Moment | None = None
    foot: Point = (0.0, 0.0)

    @property
    def sighting(self) -> Sighting:
        """The object, as it was last seen."""
        return self.whereabouts.sighting(self.track)

    def catch_up(self, zone: Polygon) -> None:
        """Take where the object was seen before, if that was only noted."""
        last = self.whereabouts.before(self.track)
        if last is not None:
            self.foot = foot_in(last, self.track)
            self.side.distance_px, self.side.at = zone.distance(self.foot), last.at


class Presence(ABC):
    """Follows who is in a zone; a kind of rule says what of it is worth an event.

    An object whose track is not seen for a while stays where it was until the track ends. One that
    begins to count within ``_MISTAKEN_S`` of its first sighting, since it was taken for something
    else until then, has counted since that sighting.
    """

    def __init__(self, spec: ZoneSpec) -> None:
        self._zone = spec
        self._visits: dict[int, Visit] = {}
        self._lookout = Lookout(spec)
        self._firsts: dict[int, Sighting] = {}  # of those that were just born and do not count
        self._polygons: dict[tuple[int, int], Polygon] = {}  # by size of the picture

    @property
    def spec(self) -> ZoneSpec:
        """What the user asked for."""
        return self._zone

    def update(self, scene: Scene) -> list[Occurrence]:
        """What this scene makes happen."""
        occurrences: list[Occurrence] = []
        if self._lookout.conditions is not None and (scene.births or self._firsts):
            self._remember(scene)
        for number in self._lookout.take(scene):
            track, polygon = scene.tracks[number], self._polygon(scene.source_size)
            known = self._visits.get(track)
            visit = known or self._begin(scene.sighting(number), polygon)
            distance_px = polygon.distance(scene.foot(number))
            if not visit.side.stays(distance_px, scene.at):
                if known is not None:
                    known.catch_up(polygon)
                occurrences += self._advance(visit, scene.sighting(number), distance_px, polygon)
            if visit.side.rest is None:
                self._lookout.move(track)
            else:
                self._lookout.rest(scene, track, self.free_px(scene, distance_px))
        for track in scene.ended:
            occurrences += self._end(track, "track_lost")
        return occurrences

    def close(self, reason: str) -> list[Occurrence]:
        """End what is open, with ``reason`` in its data, and forget all objects."""
        ends = [end for track in list(self._visits) for end in self._end(track, reason)]
        self._lookout.clear()
        return ends

    def share(self, whereabouts: Whereabouts) -> None:
        """Note where objects are together with other rules of the stream."""
        self._lookout.share(whereabouts)

    def save(self, to: StateWriter) -> None:
        """Write down all that it knows."""
        visits = self._visits.values()
        to.ints(self._visits)
        to.sides([visit.side for visit in visits])
        to.moments([visit.entered for visit in visits])
        to.sightings(self._lookout.whereabouts.sightings(self._visits))
        to.sightings(self._firsts.values())

    def restore(self, saved: StateReader) -> None:
        """Go on from what ``save`` wrote."""
        rows = zip(saved.ints(), saved.sides(), saved.moments(), strict=True)
        whereabouts = self._lookout.whereabouts
        self._visits = {
            track: Visit(track, whereabouts, side, entered) for track, side, entered in rows
        }
        whereabouts.restore(self._visits, saved.sightings())
        self._firsts = {first.track: first for first in saved.sightings()}

    def inside(self) -> Iterator[tuple[int, Visit, Moment]]:
        """Who is certainly inside, and since when."""
        for track, visit in self._visits.items():
            if visit.entered is not None:
                yield track, visit, visit.entered

    def seen_inside(self, scene: Scene) -> Iterator[tuple[int, Visit, Moment]]:
        """Of these, who is in the scene."""
        last = self._lookout.whereabouts.last
        return (each for each in self.inside() if last(each[0]) is scene)

    def seen(self, scene: Scene) -> Iterator[Visit]:
        """Who is in the scene, on whichever side."""
        last = self._lookout.whereabouts.last
        for track, visit in self._visits.items():
            if last(track) is scene:
                yield visit

    def free_px(self, scene: Scene, distance_px: float) -> float:
        """How far an object at a distance from the border may go until it must be measured."""
        return abs(distance_px)

    def came(self, visit: Visit, at: Moment, reason: str) -> list[Occurrence]:
        """What it means that an object is now certainly inside, since ``at``."""
        return []

    @abstractmethod
    def left(self, visit: Visit, entered: Moment, at: Moment, reason: str) -> list[Occurrence]:
        """What it means that an object has left the zone, or cannot be followed any further."""

    def forget(self, track: int) -> None:  # noqa: B027 - few kinds have anything to forget
        """An object does not come again."""

    def _polygon(self, size: tuple[int, int]) -> Polygon:
        """The zone in pixels, worked out once for each size of the picture."""
        if size not in self._polygons:
            self._polygons = {size: Polygon(self._corners(size))}
        return self._polygons[size]

    def _corners(self, size: tuple[int, int]) -> list[Point]:
        if self._zone.points is None:
            return [(x * size[0], y * size[1]) for x, y in _EVERYWHERE]
        return self._zone.in_pixels(self._zone.points, size)

    def _begin(self, sighting: Sighting, polygon: Polygon) -> Visit:
        self._visits[sighting.track] = visit = Visit(sighting.track, self._lookout.whereabouts)
        first = sighting.first or self._firsts.pop(sighting.track, None)
        if first is not None:
            visit.foot = first.foot
            visit.side.observe(polygon.distance(first.foot), first.at)
        return visit

    def _remember(self, scene: Scene) -> None:
        """Keep the first sightings of those that were just born."""
        since_s = scene.at.t_s - _MISTAKEN_S
        self._firsts = {
            track: first for track, first in self._firsts.items() if first.at.t_s >= since_s
        }
        for number, track in enumerate(scene.tracks):
            if track in scene.births and (first := scene.sighting(number).first) is not None:
                self._firsts[track] = first

    def _advance(
        self, visit: Visit, sighting: Sighting, distance_px: float, polygon: Polygon
    ) -> list[Occurrence]:
        before, foot = visit.side.settled, sighting.foot
        met = polygon.met(visit.foot, foot) if visit.side.leaves(distance_px) else None
        visit.foot = foot
        visit.side.observe(distance_px, sighting.at, met)
        if not visit.side.settle(sighting.size_px):
            return []
        at = visit.side.since or sighting.at
        if visit.side.settled:
            visit.entered = at
            return self.came(visit, at, "appeared" if before is None else "entered")
        return self._leave(visit, at, "left")

    def _end(self, track: int, reason: str) -> list[Occurrence]:
        visit, occurrences = self._visits.pop(track, None), []
        if visit is not None and visit.entered is not None:
            occurrences = self._leave(visit, visit.sighting.at, reason)
        self._lookout.forget(track)
        self.forget(track)
        return occurrences

    def _leave(self, visit: Visit, at: Moment, reason: str) -> list[Occurrence]:
        entered, visit.entered = visit.entered, None
        return [] if entered is None else self.left(visit, entered, at, reason)
