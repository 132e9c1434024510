"""Overcrowding: too many objects are in a zone."""

from __future__ import annotations

from typing import Any

from actors.analytics.events import EventType
from actors.analytics.rules.presence import Presence, Visit
from actors.analytics.rules.scene import Moment, Occurrence, Scene
from actors.analytics.rules.side import CERTAINTY
from actors.analytics.rules.spells import Spells
from actors.analytics.rules.state import StateReader, StateWriter
from actors.rule_specs import CrowdRule

_SURE_S = max(stay_s for _, stay_s in CERTAINTY)  # until then it is certain who came in meanwhile


class Overcrowding(Presence):
    """Reports more than ``max_objects`` for ``min_s``, from when they were too many.

    It ends when they are ``end_at`` or fewer for more than a moment. ``data.count`` is how many
    there are, ``data.most`` how many there were at most; an end has its ``reason`` besides:
    ``cleared``, or why the rule was closed. These events are of no single object.
    """

    def __init__(self, spec: CrowdRule) -> None:
        super().__init__(spec)
        self._max, self._min_s = spec.max_objects, spec.min_s
        self._end_at = max(spec.max_objects - 1, 0) if spec.end_at is None else spec.end_at
        self._spells = Spells(EventType.OVERCROWDING, spec.name, spec.update_s)
        self._since: Moment | None = None  # too many since then
        self._last_left: Moment | None = None  # who made them few enough
        self._most = 0

    def update(self, scene: Scene) -> list[Occurrence]:
        """What this scene makes happen."""
        occurrences, at = super().update(scene), scene.at
        num = sum(1 for _ in self.inside())
        if self._since is not None:
            self._most = max(self._most, num)
        if None in self._spells:
            cleared = self._last_left or at
            if num <= self._end_at and at.t_s - cleared.t_s >= _SURE_S:
                return occurrences + self._end_of("cleared", cleared, num)
            return occurrences + self._spells.update(None, at, self._data(num))
        if num <= self._max:
            self._since = None
        elif self._since is None:
            came = sorted(since for _, _, since in self.inside())
            self._since, self._most = came[self._max], num
        if self._since is None or at.t_s - self._since.t_s < self._min_s:
            return occurrences
        return occurrences + self._spells.begin(None, self._since, at.t_s, self._data(num))

    def close(self, reason: str) -> list[Occurrence]:
        """End what is open, with ``reason`` in its data, and forget all objects."""
        num, seen = len(list(self.inside())), [visit.sighting.at for _, visit, _ in self.inside()]
        cleared = self._last_left if num <= self._end_at else None
        super().close(reason)
        if cleared is not None:
            return self._end_of("cleared", cleared, num)
        if self._last_left is not None:
            seen.append(self._last_left)
        at = max(seen, default=None)
        return [] if at is None else self._end_of(reason, at, num)

    def left(self, visit: Visit, entered: Moment, at: Moment, reason: str) -> list[Occurrence]:
        """One fewer."""
        if sum(1 for _ in self.inside()) >= self._end_at:
            self._last_left = at
        return []

    def save(self, to: StateWriter) -> None:
        """Write down all that it knows."""
        super().save(to)
        self._spells.save(to)
        to.moments([self._since, self._last_left])
        to.ints([self._most])

    def restore(self, saved: StateReader) -> None:
        """Go on from what ``save`` wrote."""
        super().restore(saved)
        self._spells.restore(saved)
        self._since, self._last_left = saved.moments()
        (self._most,) = saved.ints()

    def _end_of(self, reason: str, at: Moment, num: int) -> list[Occurrence]:
        self._since = self._last_left = None
        return self._spells.end(None, at, {**self._data(num), "reason": reason})

    def _data(self, num: int) -> dict[str, Any]:
        return {"count": num, "most": self._most}
