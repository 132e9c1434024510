"""Illegal parking: an object stands still in a zone for long."""

from __future__ import annotations

from typing import Any

from actors.analytics.events import EventType
from actors.analytics.rules.presence import Presence, Visit
from actors.analytics.rules.scene import Moment, Occurrence, Scene
from actors.analytics.rules.spells import Spells
from actors.analytics.rules.state import StateReader, StateWriter
from actors.analytics.rules.stillness import Stillness, restore_stillnesses, save_stillnesses
from actors.rule_specs import ParkingRule

_NEAR = 0.1  # of the picture's height: who comes is followed from there on, to tell when it stops


class IllegalParking(Presence):
    """Reports who stands for ``min_s``, from when it came to rest until it moves or is gone.

    ``data.standing_s`` is how long it has stood; an end has its ``reason`` besides: ``moved``,
    ``left``, ``track_lost``, or why the rule was closed.
    """

    def __init__(self, spec: ParkingRule) -> None:
        super().__init__(spec)
        self._min_s, self._tolerance_sizes = spec.min_s, spec.tolerance_sizes
        self._spells = Spells(EventType.ILLEGAL_PARKING, spec.name, spec.update_s)
        self._still: dict[int, Stillness] = {}

    def update(self, scene: Scene) -> list[Occurrence]:
        """What this scene makes happen."""
        occurrences = super().update(scene)
        near_px = _NEAR * scene.source_size[1]
        for visit in self.seen(scene):
            if visit.entered is None and visit.side.distance_px < -near_px:
                self._still.pop(visit.track, None)
                continue
            still = self._still.get(visit.track)
            if still is None:
                still = self._still[visit.track] = self._stillness()
            occurrences += self._watch(visit, still, scene.at)
        return occurrences

    def free_px(self, scene: Scene, distance_px: float) -> float:
        """Where it is near the zone counts as a border, too."""
        near_px = _NEAR * scene.source_size[1]
        return min(abs(distance_px), abs(distance_px + near_px))

    def left(self, visit: Visit, entered: Moment, at: Moment, reason: str) -> list[Occurrence]:
        """The end of a stand that was reported.

        It is still followed near the zone: one box that is off, where another object passes, may
        carry it out of the zone and back.
        """
        still = self._still.get(visit.track)
        if still is None:
            return self._end_of(visit, entered, at, reason)
        since = entered if still.since is None else max(entered, still.since)
        started = still.started() if reason == "left" or still.is_away else None
        return self._end_of(visit, since, started or at, reason)

    def forget(self, track: int) -> None:
        """An object does not come again."""
        self._still.pop(track, None)

    def save(self, to: StateWriter) -> None:
        """Write down all that it knows."""
        super().save(to)
        self._spells.save(to)
        to.ints(self._still)
        save_stillnesses(list(self._still.values()), to)

    def restore(self, saved: StateReader) -> None:
        """Go on from what ``save`` wrote."""
        super().restore(saved)
        self._spells.restore(saved)
        self._still = {track: self._stillness() for track in saved.ints()}
        restore_stillnesses(list(self._still.values()), saved)

    def _stillness(self) -> Stillness:
        return Stillness.within(self._tolerance_sizes, self._min_s)

    def _watch(self, visit: Visit, still: Stillness, at: Moment) -> list[Occurrence]:
        sighting, before, entered = visit.sighting, still.since, visit.entered
        started = still.observe(sighting.box, at)
        if entered is None:
            return []
        if before is not None and started is not None:
            return self._end_of(visit, max(entered, before), started, "moved")
        if still.since is None:
            return []
        since = max(entered, still.since)
        data = _standing(since, at)
        if sighting.track in self._spells:
            return self._spells.update(sighting, at, data)
        if at.t_s - since.t_s < self._min_s:
            return []
        return self._spells.begin(sighting, since, at.t_s, data)

    def _end_of(self, visit: Visit, since: Moment, at: Moment, reason: str) -> list[Occurrence]:
        data = {**_standing(since, at), "reason": reason}
        return self._spells.end(visit.sighting, at, data)


def _standing(since: Moment, at: Moment) -> dict[str, Any]:
    return {"standing_s": round(max(at.t_s - since.t_s, 0.0), 3)}
