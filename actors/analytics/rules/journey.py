"""Objects that appear and are gone, and at the end what their way was."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from actors.analytics.rules.presence import Visit
from actors.analytics.rules.scene import Moment, Occurrence, Scene, Sighting
from actors.analytics.rules.state import StateReader, StateWriter, table
from actors.analytics.rules.stay import Stay
from actors.rule_specs import ObjectRule

MAX_POINTS = 33
"""Of a path in an event: so many at most, the last one included."""

_Place = tuple[int, int, int]  # x and y in tenths of a pixel, motion time in ms


@dataclass(slots=True)
class Journey:
    """The way of one object, in few points however long it is.

    Attributes:
        path: Places of every ``step``-th sighting; when there are too many, every other one goes.
        last: Place of the last sighting.
        classes: Sightings by label.
    """

    path: list[_Place] = field(default_factory=list)
    step: int = 1
    last: _Place = (0, 0, 0)
    classes: Counter[str] = field(default_factory=Counter)

    def go(self, foot: tuple[float, float], class_name: str, t_s: float) -> None:
        """The object was seen."""
        self.last = round(10 * foot[0]), round(10 * foot[1]), round(1000 * t_s)
        if self.classes.total() % self.step == 0:
            self.path.append(self.last)
            if len(self.path) == MAX_POINTS:
                self.path, self.step = self.path[::2], 2 * self.step
        self.classes[class_name] += 1

    def told(self, entered: Moment, at: Moment) -> dict[str, Any]:
        """The summary of an event; times of the path are seconds since ``entered``."""
        path = self.path if self.path[-1:] == [self.last] else [*self.path, self.last]
        first_ms = round(1000 * entered.t_s)
        return {
            "first_seen": round(1000 * entered.ts),
            "last_seen": round(1000 * at.ts),
            "path": [[x / 10, y / 10, (t_ms - first_ms) / 1000] for x, y, t_ms in path],
            "classes": dict(self.classes.most_common()),
        }


class Appearance(Stay):
    """Reports who is there, from when it came until it is gone; see ``Stay``.

    With ``summary``, the end has ``first_seen`` and ``last_seen`` (UTC, ms), ``path`` (foot in
    pixels, seconds since it was first seen) and ``classes`` (sightings by label) besides.
    """

    def __init__(self, spec: ObjectRule) -> None:
        super().__init__(spec)
        self._summary = spec.summary
        self._journeys: dict[int, Journey] = {}

    def update(self, scene: Scene) -> list[Occurrence]:
        """What this scene makes happen."""
        occurrences = super().update(scene)
        if self._summary:
            for track, _, _ in self.seen_inside(scene):
                number = scene.number(track)
                foot, name = scene.foot(number), scene.class_name(number)
                self._journeys.setdefault(track, Journey()).go(foot, name, scene.at.t_s)
        return occurrences

    def came(self, visit: Visit, at: Moment, reason: str) -> list[Occurrence]:
        """A way begins, with the first sighting of its track if it was just confirmed."""
        sighting = visit.sighting
        if self._summary:
            self._journeys[sighting.track] = journey = Journey()
            first: Sighting | None = sighting.first
            if first is not None:
                journey.go(first.foot, first.class_name, first.at.t_s)
        return []

    def told(self, visit: Visit, entered: Moment, at: Moment) -> dict[str, Any]:
        """What an end says, the way of the object included."""
        journey = self._journeys.pop(visit.sighting.track, None)
        way = journey.told(entered, at) if journey is not None else {}
        return super().told(visit, entered, at) | way

    def save(self, to: StateWriter) -> None:
        """Write down all that it knows."""
        super().save(to)
        ways = self._journeys.values()
        places = [place for way in ways for place in (*way.path, way.last)]
        to.ints(self._journeys)
        to.ints([way.step for way in ways])
        to.ints([len(way.path) for way in ways])
        to.array(table(places, 3, np.int64))
        to.value([list(way.classes.items()) for way in ways])

    def restore(self, saved: StateReader) -> None:
        """Go on from what ``save`` wrote."""
        super().restore(saved)
        tracks, steps, lengths = saved.ints(), saved.ints(), saved.ints()
        left = iter([(x, y, t_ms) for x, y, t_ms in saved.array().tolist()])
        self._journeys = {
            track: Journey(list(islice(left, num)), step, next(left), Counter(dict(classes)))
            for track, step, num, classes in zip(tracks, steps, lengths, saved.value(), strict=True)
        }
