"""Which of a rule's objects are worth a look: almost all are where they were, in every frame."""

from __future__ import annotations

from collections.abc import Collection, Set
from itertools import compress

from actors.analytics.rules.conditions import Conditions
from actors.analytics.rules.scene import Scene, Sighting


class Whereabouts:
    """In which scene each object was last seen, and who is certainly on one side of the border.

    Of these only the ones that are near a border are looked at; the others are noted all at once.
    """

    def __init__(self) -> None:
        self._resting: set[int] = set()
        self._now: Scene | None = None
        self._present: Set[int] = frozenset()  # who is in it and counts
        self._scenes: dict[int, Scene] = {}  # of those who are not

    def take(
        self, scene: Scene, conditions: Conditions | None
    ) -> list[tuple[int, int, Scene | None]]:
        """Note who is in a scene and counts.

        Returns:
            Of those that are worth a look: number in the scene, identity, and the scene in which
            it was seen before; None where there is none.
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
        looks = [(n, scene.tracks[n], self.scene(scene.tracks[n])) for n in numbers]
        if self._now is not None and not self._present <= present:
            self._scenes.update(dict.fromkeys(self._present - present, self._now))
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

    def scene(self, track: int) -> Scene | None:
        """In which an object was last seen; None where that was in another process."""
        return self._now if track in self._present else self._scenes.get(track)

    def seen(self, tracks: Collection[int]) -> list[Sighting | None]:
        """Objects as they were last seen; None for those of another process."""
        now, present, before = self._now, self._present, self._scenes.get
        scenes = [now if track in present else before(track) for track in tracks]
        return [
            None if scene is None else scene.sighting(scene.number(track))
            for scene, track in zip(scenes, tracks, strict=True)
        ]

    def forget(self, track: int) -> None:
        """An object does not come again."""
        self._scenes.pop(track, None)
        self._resting.discard(track)

    def clear(self) -> None:
        """Forget all objects."""
        self._resting.clear()
        self._scenes.clear()
        self._now, self._present = None, frozenset()
