"""Which of a rule's objects are worth a look: almost all are where they were, in every frame."""

from __future__ import annotations

from collections.abc import Iterable, Set
from itertools import compress

from actors.analytics.rules.conditions import Conditions
from actors.analytics.rules.geometry import Point
from actors.analytics.rules.scene import Scene, Sighting

Last = Scene | Sighting | None
"""Where an object was last seen: the scene, or how, if in another process; None if it was not."""


def foot_in(last: Scene | Sighting, track: int) -> Point:
    """Where an object stood when it was last seen."""
    return last.foot if isinstance(last, Sighting) else last.feet[last.number(track)]


class Whereabouts:
    """Where each object was last seen, and who is certainly on one side of the border.

    Of these only the ones that are near a border are looked at; the others are noted all at once.
    """

    def __init__(self) -> None:
        self._resting: set[int] = set()
        self._now: Scene | None = None
        self._present: Set[int] = frozenset()  # who is in it and counts
        self._before: dict[int, Last] = {}  # where those were last seen who are not

    def take(self, scene: Scene, conditions: Conditions | None) -> list[tuple[int, int, Last]]:
        """Note who is in a scene and counts.

        Returns:
            Of those that are worth a look: number in the scene, identity, and where it was seen
            before.
        """
        present: Set[int] = scene.present
        numbers = scene.near
        if conditions is not None:
            tracks = scene.tracks
            met = conditions.met_by(scene.tracked, scene.labels, scene.source_size, scene.known)
            self._resting.difference_update(tracks[n] for n in numbers if not met[n])
            numbers = [number for number in numbers if met[number]]
            present = set(compress(tracks, met))
        if not present <= self._resting:
            numbers = sorted({*numbers, *map(scene.number, present - self._resting)})
        looks = [(n, scene.tracks[n], self.last(scene.tracks[n])) for n in numbers]
        if self._now is not None and not self._present <= present:
            self._before.update(dict.fromkeys(self._present - present, self._now))
        self._now, self._present = scene, present
        return looks

    def rest(self, scene: Scene, number: int, free_px: float) -> None:
        """An object is certainly on one side, and is so until it has gone so far."""
        track = scene.tracks[number]
        self._resting.add(track)
        scene.clearance.limit(track, scene.feet[number], free_px)

    def move(self, track: int) -> None:
        """It is not certain on which side an object is: look at it next time."""
        self._resting.discard(track)

    def last(self, track: int) -> Last:
        """Where an object was last seen."""
        return self._now if track in self._present else self._before.get(track)

    def sighting(self, track: int) -> Sighting:
        """An object as it was last seen; KeyError if it never was."""
        last = self.last(track)
        if last is None:
            raise KeyError(f"object {track} was not seen")
        return last if isinstance(last, Sighting) else last.sighting(last.number(track))

    def sightings(self, tracks: Iterable[int]) -> list[Sighting]:
        """The same of some."""
        now, present = self._now.by_track() if self._now is not None else {}, self._present
        return [now[track] if track in present else self.sighting(track) for track in tracks]

    def restore(self, tracks: Iterable[int], sightings: Iterable[Sighting]) -> None:
        """Take how objects were last seen in another process."""
        self._before.update(zip(tracks, sightings, strict=True))

    def forget(self, track: int) -> None:
        """An object does not come again."""
        self._before.pop(track, None)
        self._resting.discard(track)

    def clear(self) -> None:
        """Forget all objects."""
        self._resting.clear()
        self._before.clear()
        self._now, self._present = None, frozenset()
