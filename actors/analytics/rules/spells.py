"""Spells: what begins, is updated while it lasts, and ends, for each object of a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.analytics.events import EventType, Phase
from actors.analytics.rules.scene import Moment, Occurrence, Sighting
from actors.analytics.rules.state import StateReader, StateWriter

_Subject = int | None  # an object, or None for the zone as a whole


class Spells:
    """Gives what a rule says its phase, in an order that life cycles allow.

    Args:
        type_: What happens.
        rule: Name of the rule.
        update_s: Seconds between updates, from the scene on in which it was said to have begun;
            None for none.
    """

    def __init__(self, type_: EventType, rule: str, update_s: float | None) -> None:
        self._type, self._rule, self._update_s = type_, rule, update_s
        self._due_s: dict[_Subject, float] = {}  # motion time of the next update

    def __contains__(self, subject: _Subject) -> bool:
        return subject in self._due_s

    def begin(
        self, sighting: Sighting | None, at: Moment, now_s: float, data: Mapping[str, Any]
    ) -> list[Occurrence]:
        """It began at a moment, which is certain only now."""
        subject = None if sighting is None else sighting.track
        self._due_s[subject] = now_s + (self._update_s or 0.0)
        return [Occurrence(self._type, Phase.BEGIN, self._rule, sighting, at, data)]

    def update(
        self, sighting: Sighting | None, at: Moment, data: Mapping[str, Any]
    ) -> list[Occurrence]:
        """It lasts: an update where one is due; those that were missed are not made up for."""
        subject = None if sighting is None else sighting.track
        if self._update_s is None or at.t_s < self._due_s[subject]:
            return []
        missed = (at.t_s - self._due_s[subject]) // self._update_s
        self._due_s[subject] += (missed + 1) * self._update_s
        return [Occurrence(self._type, Phase.UPDATE, self._rule, sighting, at, data)]

    def end(
        self, sighting: Sighting | None, at: Moment, data: Mapping[str, Any]
    ) -> list[Occurrence]:
        """It is over; nothing where it had not begun."""
        subject = None if sighting is None else sighting.track
        if self._due_s.pop(subject, None) is None:
            return []
        return [Occurrence(self._type, Phase.END, self._rule, sighting, at, data)]

    def save(self, to: StateWriter) -> None:
        """Write down what is open."""
        to.tracks(self._due_s)
        to.floats(self._due_s.values())

    def restore(self, saved: StateReader) -> None:
        """Go on from what ``save`` wrote."""
        self._due_s = dict(zip(saved.tracks(), saved.floats(), strict=True))
