"""Objects that are in a zone for long: loitering; and the ground of objects that appear."""

from __future__ import annotations

from typing import Any

from actors.analytics.events import EventType
from actors.analytics.rules.presence import Presence, Visit
from actors.analytics.rules.scene import Moment, Occurrence, Scene
from actors.analytics.rules.spells import Spells
from actors.analytics.rules.state import StateReader, StateWriter
from actors.rule_specs import LoiteringRule, ObjectRule


class Stay(Presence):
    """Reports an object that is in a zone for ``min_s``, from when it came until it is gone.

    The event begins when the object came, and is reported once it was there for long enough.
    ``data.dwell_s`` is how long it has been there; an end has its ``reason`` besides: ``left``,
    ``track_lost``, or why the rule was closed.
    """

    def __init__(self, spec: LoiteringRule | ObjectRule) -> None:
        super().__init__(spec)
        type_ = EventType.LOITERING if isinstance(spec, LoiteringRule) else EventType.OBJECT
        self._min_s = spec.min_s
        self._spells = Spells(type_, spec.name, spec.update_s)

    def update(self, scene: Scene) -> list[Occurrence]:
        """What this scene makes happen."""
        occurrences, at = super().update(scene), scene.at
        for track, visit, entered in self.seen_inside(scene):
            data = _dwell(entered, at)
            if track in self._spells:
                occurrences += self._spells.update(visit.sighting, at, data)
            elif at.t_s - entered.t_s >= self._min_s:
                occurrences += self._spells.begin(visit.sighting, entered, at.t_s, data)
        return occurrences

    def left(self, visit: Visit, entered: Moment, at: Moment, reason: str) -> list[Occurrence]:
        """The end of a stay that was reported."""
        data = self.told(visit, entered, at) | {"reason": reason}
        return self._spells.end(visit.sighting, at, data)

    def told(self, visit: Visit, entered: Moment, at: Moment) -> dict[str, Any]:
        """What an end says."""
        return _dwell(entered, at)

    def save(self, to: StateWriter) -> None:
        """Write down all that it knows."""
        super().save(to)
        self._spells.save(to)

    def restore(self, saved: StateReader) -> None:
        """Go on from what ``save`` wrote."""
        super().restore(saved)
        self._spells.restore(saved)


def _dwell(entered: Moment, at: Moment) -> dict[str, Any]:
    return {"dwell_s": round(at.t_s - entered.t_s, 3)}
