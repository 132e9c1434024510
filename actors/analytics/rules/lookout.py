"""Whom a rule looks at in a scene: almost all are where they were, in every frame."""

from __future__ import annotations

from collections.abc import Collection, Set
from itertools import compress

from actors.analytics.rules.conditions import Conditions
from actors.analytics.rules.scene import Scene
from actors.analytics.rules.whereabouts import Whereabouts
from actors.rule_specs import AnyRule


class Lookout:
    """Finds who is near a border or not certainly on one side of it; the others are only noted.

    Attributes:
        conditions: On who counts; None for none.
        whereabouts: Where those who count were last seen.
    """

    def __init__(self, spec: AnyRule) -> None:
        self.conditions = Conditions.of(spec)
        self.whereabouts = Whereabouts()
        self._is_shared = False
        self._is_new = True
        self._unsure: set[int] = set()  # to be looked at whenever they are there and count

    def share(self, whereabouts: Whereabouts) -> None:
        """Note where objects are together with others who do so for all that are there."""
        if self.conditions is None:
            self.whereabouts, self._is_shared = whereabouts, True

    def take(self, scene: Scene) -> Collection[int]:
        """Note who is in a scene and counts; the numbers of those who are worth a look."""
        if self._is_new:
            self._is_new = False
            scene.measure_all()
        numbers: Collection[int] = scene.near
        present: Set[int] = scene.present
        if self.conditions is not None:
            tracks = scene.tracks
            met = self.conditions.met_by(
                scene.tracked, scene.labels, scene.source_size, scene.known
            )
            self._unsure.update(tracks[n] for n in numbers if not met[n])
            numbers = [number for number in numbers if met[number]]
            present = set(compress(tracks, met))
        if not self._unsure.isdisjoint(present):
            numbers = sorted({*numbers, *map(scene.number, self._unsure & present)})
        self.whereabouts.note(scene, present)
        return numbers

    def rest(self, scene: Scene, track: int, free_px: float) -> None:
        """An object is certainly on one side, and is so until it has gone so far."""
        self._unsure.discard(track)
        scene.clearance.limit(track, free_px)

    def move(self, track: int) -> None:
        """It is not certain on which side an object is: look at it next time."""
        self._unsure.add(track)

    def forget(self, track: int) -> None:
        """An object does not come again; who shares whereabouts forgets it for all."""
        self._unsure.discard(track)
        if not self._is_shared:
            self.whereabouts.forget(track)

    def clear(self) -> None:
        """Forget all objects."""
        self._is_new = True
        self._unsure.clear()
        if not self._is_shared:
            self.whereabouts.clear()
