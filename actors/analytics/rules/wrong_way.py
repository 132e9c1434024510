"""Wrong way: an object moves against a direction in a zone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from actors.analytics.events import EventType
from actors.analytics.rules.geometry import Point
from actors.analytics.rules.presence import Presence, Visit
from actors.analytics.rules.scene import Moment, Occurrence, Scene, Sighting
from actors.analytics.rules.spells import Spells
from actors.analytics.rules.state import StateReader, StateWriter
from actors.rule_specs import WrongWayRule

_STANDS_SIZES = 0.05  # who has gone less far against the way has not set out yet


@dataclass(slots=True)
class _Run:
    """How far an object has come against the way, in pixels along it and across.

    Attributes:
        along_px: Where it was farthest along the lawful way.
        across_px: Where it was then.
        began: When it set out from there.
        least_px: Where it was least far along.
        turned: When that was.
    """

    along_px: float
    across_px: float
    began: Moment
    least_px: float
    turned: Moment


class WrongWay(Presence):
    """Reports who goes far and long enough against the way, from when it set out in the zone.

    It ends when the object turns (``turned``), leaves (``left``), is not seen any more
    (``track_lost``), or with the reason why the rule was closed. ``data.sizes`` is how far it had
    gone against the way, in sizes of its box.
    """

    def __init__(self, spec: WrongWayRule) -> None:
        super().__init__(spec)
        self._way = spec
        self._slope = math.tan(math.radians(min(spec.max_angle_deg, 89.9)))
        self._spells = Spells(EventType.WRONG_WAY, spec.name, None)
        self._runs: dict[int, _Run] = {}

    def update(self, scene: Scene) -> list[Occurrence]:
        """What this scene makes happen."""
        occurrences = super().update(scene)
        for visit in self.seen(scene):
            if visit.entered is not None or visit.side.is_inside:
                place = self._place(scene, scene.number(visit.track))
                occurrences += self._follow(visit, place, scene.at)
            else:
                self._runs.pop(visit.track, None)
        return occurrences

    def left(self, visit: Visit, entered: Moment, at: Moment, reason: str) -> list[Occurrence]:
        """The end of a drive that was reported."""
        run = self._runs.pop(visit.sighting.track, None)
        return [] if run is None else self._end_of(visit.sighting, run, at, reason)

    def forget(self, track: int) -> None:
        """An object does not come again."""
        self._runs.pop(track, None)

    def save(self, to: StateWriter) -> None:
        """Write down all that it knows."""
        super().save(to)
        self._spells.save(to)
        runs = self._runs.values()
        to.ints(self._runs)
        to.floats([run.along_px for run in runs])
        to.floats([run.across_px for run in runs])
        to.moments([run.began for run in runs])
        to.floats([run.least_px for run in runs])
        to.moments([run.turned for run in runs])

    def restore(self, saved: StateReader) -> None:
        """Go on from what ``save`` wrote."""
        super().restore(saved)
        self._spells.restore(saved)
        tracks, along_px, across_px = saved.ints(), saved.floats(), saved.floats()
        rest = saved.moments(), saved.floats(), saved.moments()
        self._runs = dict(zip(tracks, map(_Run, along_px, across_px, *rest), strict=True))

    def _place(self, scene: Scene, number: int) -> Point:
        """Where an object is along the lawful way and across it, in pixels."""
        (ax, ay), (bx, by) = self._way.in_pixels(self._way.direction, scene.source_size)
        length, (x, y) = math.hypot(bx - ax, by - ay), scene.foot(number)
        ux, uy = (bx - ax) / length, (by - ay) / length
        return x * ux + y * uy, y * ux - x * uy

    def _follow(self, visit: Visit, place: Point, at: Moment) -> list[Occurrence]:
        sighting, (along_px, across_px) = visit.sighting, place
        run = self._runs.get(sighting.track)
        if run is None:
            began = visit.side.since or at
            self._runs[sighting.track] = _Run(along_px, across_px, began, along_px, at)
            return []
        if along_px < run.least_px:
            run.least_px, run.turned = along_px, at
        if sighting.track in self._spells:
            return self._perhaps_turned(run, sighting, place, at)
        if along_px >= run.along_px:
            self._runs[sighting.track] = _Run(along_px, across_px, at, along_px, at)
        elif run.along_px - along_px <= _STANDS_SIZES * sighting.size_px:
            run.began = at
        elif visit.entered is not None and self._is_certain(run, sighting, place, at):
            began = max(run.began, visit.entered)
            return self._spells.begin(sighting, began, at.t_s, _far(run, sighting))
        return []

    def _is_certain(self, run: _Run, sighting: Sighting, place: Point, at: Moment) -> bool:
        against_px, aside_px = run.along_px - place[0], abs(place[1] - run.across_px)
        is_far = against_px >= self._way.min_distance_sizes * sighting.size_px
        is_long = at.t_s - run.began.t_s >= self._way.min_s
        return is_far and is_long and aside_px <= self._slope * against_px

    def _perhaps_turned(
        self, run: _Run, sighting: Sighting, place: Point, at: Moment
    ) -> list[Occurrence]:
        if place[0] - run.least_px < self._way.min_distance_sizes * sighting.size_px:
            return []
        self._runs[sighting.track] = _Run(*place, at, place[0], at)
        return self._end_of(sighting, run, run.turned, "turned")

    def _end_of(self, sighting: Sighting, run: _Run, at: Moment, reason: str) -> list[Occurrence]:
        return self._spells.end(sighting, at, {**_far(run, sighting), "reason": reason})


def _far(run: _Run, sighting: Sighting) -> dict[str, Any]:
    sizes = (run.along_px - run.least_px) / max(sighting.size_px, 1.0)
    return {"sizes": round(sizes, 2)}
